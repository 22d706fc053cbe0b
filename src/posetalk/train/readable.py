"""Images that cannot be read are found before the first step, so that they can be left out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
from transformers import TrainingArguments

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.inputs import Content, content_of
from posetalk.messages import track


class _ImageCheck(msgspec.Struct, rename={"recheck": "again"}):
    """contents: of every image, None where it cannot be opened. unreadable: why, by name. recheck: decode all again."""

    contents: dict[str, Content | None]
    unreadable: dict[str, str]
    recheck: bool = False


def unreadable_images(images: Iterable[Path], file: Path, arguments: TrainingArguments) -> dict[Path, str]:
    """Decode each image; of those that cannot be, the sentence that says why.

    The result is written to `file` with the images' digests: a resumed run leaves out the same ones without decoding
    again, and so do the other processes of a run, which wait for the first. Raises PosetalkError once steps were taken
    (there is a checkpoint beside `file`) and an image was replaced since; what is damaged meanwhile is left out.
    """
    paths = {image: _resolve(image) for image in sorted(set(images))}
    names = sorted(set(paths.values()))
    quiet = arguments.process_index > 0
    with arguments.main_process_first(local=False):
        before = _read(file)
        contents = dict(zip(names, _contents_of(names, before), strict=True))
        if before and any((file.parent / "checkpoints").glob("checkpoint-*")):
            errors = _check_resumed(contents, before, file, quiet)
        elif before and not before.recheck and contents == before.contents:
            errors = before.unreadable
        else:
            errors = _unreadable_among(names, quiet)
            _write(file, _ImageCheck(contents, errors))
    return {image: errors[name] for image, name in paths.items() if name in errors}


def _check_resumed(
    contents: Mapping[str, Content | None], before: _ImageCheck, file: Path, quiet: bool
) -> dict[str, str]:
    """The unreadable images of a run that has taken steps."""
    digests = {name: content and content.digest for name, content in before.contents.items()}
    changed = {
        name for name, content in contents.items() if (content and content.digest) != digests.get(name)
    }
    errors = _unreadable_among(list(contents) if before.recheck else sorted(changed), quiet)
    errors |= before.unreadable  # the run goes on without those that were repaired
    if replaced := sorted(changed - errors.keys()):
        others = f" and {len(replaced) - 1:,} more images" if len(replaced) > 1 else ""
        raise PosetalkError(
            f"{replaced[0]}{others} changed since the run in {file.parent} began; put back what was there, or choose "
            "another folder"
        )
    unchanged = {name: content for name, content in contents.items() if name not in changed}
    check = _ImageCheck(
        before.contents | unchanged,  # with their times
        before.unreadable | {name: sentence for name, sentence in errors.items() if name in unchanged},
    )
    if check != before:
        _write(file, check)
    return errors


@contextmanager
def recheck_after_error(file: Path) -> Iterator[None]:
    """After an error inside, which a damaged image may have caused, the next start decodes all images again."""
    try:
        yield
    except PosetalkError:
        if check := _read(file):
            check.recheck = True
            _write(file, check)
        raise


def _resolve(image: Path) -> str:
    return os.path.join(_real_folder(os.path.dirname(image)), image.name)  # noqa: PTH118, PTH120  (100,000 of them)


_real_folder = cache(os.path.realpath)


def _read(file: Path) -> _ImageCheck | None:
    """What was found before."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_ImageCheck)
    except (OSError, ValueError, RecursionError):
        return None


def _write(file: Path, check: _ImageCheck) -> None:
    with whole_file(file) as part:
        part.write_bytes(msgspec.json.encode(check))


def _contents_of(names: Sequence[str], before: _ImageCheck | None) -> list[Content | None]:
    def content(name: str) -> Content | None:
        try:
            return content_of(name, before.contents.get(name) if before else None)
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(content, names))


def _unreadable_among(names: list[str], quiet: bool) -> dict[str, str]:
    if not names:
        return {}
    pool = ThreadPoolExecutor(os.cpu_count())  # decoders let go of Python's lock
    with warnings.catch_warnings():  # the filters that each image sets are put back here
        try:
            errors = track(pool.map(_error_of, names), "checking images", total=len(names), quiet=quiet)
            return {name: sentence for name, sentence in zip(names, errors, strict=True) if sentence}
        finally:
            pool.shutdown(cancel_futures=True)  # of a run that is stopped here


def _error_of(name: str) -> str:
    try:
        read_image(Path(name))
    except PosetalkError as error:
        return str(error)
    return ""
