"""Pictures that cannot be read are found before the first step, so that they can be left out."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.progress import track
from transformers import TrainingArguments

from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image


def unreadable(pictures: Iterable[Path], file: Path, arguments: TrainingArguments) -> dict[Path, str]:
    """Decode each picture; of those that cannot be, the sentence that says why.

    What is found is kept in `file`: a resumed run leaves out the same ones without looking again, and so do the other
    processes of a run, which wait for the first.
    """
    names = sorted({str(picture) for picture in pictures})
    mark = hashlib.blake2b("\n".join(names).encode(errors="replace"), digest_size=16).hexdigest()
    with arguments.main_process_first(local=False):
        found = _kept(file, mark)
        if found is None:
            found = _look(names, quiet=arguments.process_index > 0)
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({"pictures": mark, "unreadable": found}), encoding="utf-8")
            part.replace(file)
    return {Path(name): sentence for name, sentence in found.items()}


@contextmanager
def looked_at_again(file: Path) -> Iterator[None]:
    """What ends with an error inside may be a picture that was damaged meanwhile: the next start looks again."""
    try:
        yield
    except PosetalkError:
        file.unlink(missing_ok=True)
        raise


def _kept(file: Path, mark: str) -> dict[str, str] | None:
    """What was found of the same pictures."""
    try:
        data = json.loads(file.read_bytes())
        return dict(data["unreadable"]) if data["pictures"] == mark else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _look(names: list[str], quiet: bool) -> dict[str, str]:
    pool = ThreadPoolExecutor(os.cpu_count())  # decoders let go of Python's lock
    with warnings.catch_warnings():  # the filters that each picture sets are put back here
        try:
            said = track(
                pool.map(_fault, names), description="looking at pictures", total=len(names), disable=quiet
            )
            return {name: sentence for name, sentence in zip(names, said, strict=True) if sentence}
        finally:
            pool.shutdown(cancel_futures=True)  # of a run that is stopped here


def _fault(name: str) -> str:
    try:
        read_image(Path(name))
    except PosetalkError as error:
        return str(error)
    return ""
