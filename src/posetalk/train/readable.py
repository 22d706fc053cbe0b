"""Pictures that cannot be read are found before the first step, so that they can be left out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
from rich.progress import track
from transformers import TrainingArguments

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.inputs import Content, content_of


class _Kept(msgspec.Struct):
    """contents: of every picture, None where it cannot be opened. unreadable: the sentences. again: look once more."""

    contents: dict[str, Content | None]
    unreadable: dict[str, str]
    again: bool = False


def unreadable(pictures: Iterable[Path], file: Path, arguments: TrainingArguments) -> dict[Path, str]:
    """Decode each picture; of those that cannot be, the sentence that says why.

    What is found is kept in `file`, with what the pictures held: a resumed run leaves out the same ones without looking
    again, and so do the other processes of a run, which wait for the first. Errors: once steps were taken (there is a
    checkpoint beside `file`), another picture in the place of one of them; what is damaged meanwhile is left out.
    """
    resolved = {picture: _resolved(picture) for picture in sorted(set(pictures))}
    names = sorted(set(resolved.values()))
    quiet = arguments.process_index > 0
    with arguments.main_process_first(local=False):
        before = _read(file)
        contents = dict(zip(names, _contents(names, before), strict=True))
        if before and any((file.parent / "checkpoints").glob("checkpoint-*")):
            found = _looked_on(contents, before, file, quiet)
        elif before and not before.again and contents == before.contents:
            found = before.unreadable
        else:
            found = _look(names, quiet)
            _write(file, _Kept(contents, found))
    return {picture: found[name] for picture, name in resolved.items() if name in found}


def _looked_on(
    contents: Mapping[str, Content | None], before: _Kept, file: Path, quiet: bool
) -> dict[str, str]:
    """Of a run that has taken steps, what cannot be read. `file` keeps what the pictures held then."""
    held = {name: one and one.digest for name, one in before.contents.items()}
    changed = {name for name, one in contents.items() if (one and one.digest) != held.get(name)}
    found = _look(list(contents) if before.again else sorted(changed), quiet)
    found |= before.unreadable  # the run goes on without those that were repaired
    if others := sorted(changed - found.keys()):
        more = f" and {len(others) - 1:,} more pictures" if len(others) > 1 else ""
        raise PosetalkError(
            f"{others[0]}{more} changed since the run in {file.parent} began; put back what was there, or choose "
            "another folder"
        )
    same = {name: one for name, one in contents.items() if name not in changed}
    kept = _Kept(
        before.contents | same,  # with their times
        before.unreadable | {name: sentence for name, sentence in found.items() if name in same},
    )
    if kept != before:
        _write(file, kept)
    return found


@contextmanager
def looked_at_again(file: Path) -> Iterator[None]:
    """What ends with an error inside may be a picture that was damaged meanwhile: the next start looks again."""
    try:
        yield
    except PosetalkError:
        if kept := _read(file):
            kept.again = True
            _write(file, kept)
        raise


def _resolved(picture: Path) -> str:
    return os.path.join(_real(os.path.dirname(picture)), picture.name)  # noqa: PTH118, PTH120  (100,000 of them)


_real = cache(os.path.realpath)


def _read(file: Path) -> _Kept | None:
    """What was found before."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (OSError, ValueError, RecursionError):
        return None


def _write(file: Path, kept: _Kept) -> None:
    with whole_file(file) as part:
        part.write_bytes(msgspec.json.encode(kept))


def _contents(names: Sequence[str], before: _Kept | None) -> list[Content | None]:
    def content(name: str) -> Content | None:
        try:
            return content_of(name, before.contents.get(name) if before else None)
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(content, names))


def _look(names: list[str], quiet: bool) -> dict[str, str]:
    if not names:
        return {}
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
