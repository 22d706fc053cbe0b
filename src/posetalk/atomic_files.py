"""Files and folders that are there whole or not at all, however the program ends."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.lock import only_run

_ADVICE = "choose another place"


@contextmanager
def writing(path: str | Path, advice: str = _ADVICE) -> Iterator[None]:
    """What the system refuses inside becomes one sentence: "cannot write PATH: REASON; ADVICE"."""
    try:
        yield
    except OSError as error:
        raise PosetalkError(f"cannot write {path}: {error.strerror or error}; {advice}") from None


@contextmanager
def whole_file(path: str | Path, advice: str = _ADVICE) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its name when the block has ended well.

    What was there before stays until then, and for good where the block fails. Each process writes a file of its own;
    of several the last to end stands. Its folder is made. A device or a pipe (`/dev/stdout`) is written to itself.
    Errors: as `writing`.
    """
    path = Path(path)
    with writing(path, advice):
        if path.exists() and not (path.is_file() or path.is_dir()):
            yield path
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        try:
            yield part
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str, advice: str = _ADVICE) -> None:
    """A whole file of UTF-8; half characters, which it cannot hold, are question marks. Errors: as `writing`."""
    with whole_file(path, advice) as part:
        part.write_text(text, encoding="utf-8", errors="replace")


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to write to, which takes its name when the block has ended well; no other run meanwhile.

    Errors: `path` is there and not empty, another run is writing it; as `writing`.
    """
    path = Path(path).absolute()  # which has a name, also where it is given as a dot
    check_free(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with only_run(path, beside=True):
            check_free(path)  # another run may just have ended
            for name in left_behind(path.parent, path.name):
                shutil.rmtree(name, ignore_errors=True)
            part = _part(path)
            part.mkdir()
            try:
                yield part
                part.replace(path)
            finally:
                shutil.rmtree(part, ignore_errors=True)


def check_free(folder: str | Path) -> None:
    """Errors: the folder is there and holds something, or is no folder."""
    folder = Path(folder)
    with writing(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PosetalkError(f"{folder} is there already; give a folder that is new or empty")


def left_behind(folder: Path, name: str) -> list[Path]:
    """What killed processes left in `folder` of writing `name`; only for the one who holds that, see `only_run`."""
    path = Path(name)
    part = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.part{re.escape(path.suffix)}")
    return [found for found in folder.iterdir() if part.fullmatch(found.name)]


def _part(path: Path) -> Path:
    """Hidden, of this process alone, and with the suffix by which some writers choose a format."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
