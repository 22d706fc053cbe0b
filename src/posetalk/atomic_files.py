"""Write files and folders so that they exist completely or not at all, however the program ends."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.lock import only_run

_ADVICE = "choose another place"


@contextmanager
def writing(path: str | Path, advice: str = _ADVICE) -> Iterator[None]:
    """Turn an OSError inside the block into a PosetalkError: "cannot write PATH: REASON; ADVICE"."""
    try:
        yield
    except OSError as error:
        raise PosetalkError(f"cannot write {path}: {error.strerror or error}; {advice}") from None


@contextmanager
def whole_file(path: str | Path, advice: str = _ADVICE) -> Iterator[Path]:
    """Give a temporary file beside `path`, which replaces `path` when the block ends without an exception.

    An earlier file stays until then, and for good if the block raises. Each process has a temporary file of its own;
    the last one to end wins. Those that killed processes left are removed. The folder of `path` is made. A device or a
    pipe (`/dev/stdout`) is written directly.

    Args:
        path: The file to write.
        advice: How the error's sentence ends.

    Yields:
        The file to write to.

    Raises:
        PosetalkError: the file cannot be written.
    """
    path = Path(path)
    with writing(path, advice):
        if path.exists() and not (path.is_file() or path.is_dir()):
            yield path
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, process in _left_behind(path, _parts_in(path.parent.absolute())):
            if not _runs(process):
                with suppress(OSError):  # a folder, or another user's
                    file.unlink()
        part = _part_path(path)
        try:
            yield part
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str, advice: str = _ADVICE) -> None:
    """Write a UTF-8 file as `whole_file` does, with ? for lone surrogates.

    Raises:
        PosetalkError: the file cannot be written.
    """
    with whole_file(path, advice) as part:
        part.write_text(text, encoding="utf-8", errors="replace")


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which becomes `path` when the block ends without an exception.

    Yields:
        The folder to write to.

    Raises:
        PosetalkError: `path` exists and is not empty, another run is writing it, or it cannot be written.
    """
    path = Path(path).absolute()  # "." has no name
    check_free(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with only_run(path, beside=True):
            check_free(path)  # another run may just have ended
            for folder, _ in _left_behind(path, path.parent.iterdir()):  # one that runs has the lock
                shutil.rmtree(folder, ignore_errors=True)
            part = _part_path(path)
            part.mkdir()
            try:
                yield part
                part.replace(path)
            finally:
                shutil.rmtree(part, ignore_errors=True)


def check_free(folder: str | Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        PosetalkError: it is not, or it is no folder.
    """
    folder = Path(folder)
    with writing(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PosetalkError(f"{folder} is there already; give a folder that is new or empty")


def _left_behind(path: Path, files: Iterable[Path]) -> list[tuple[Path, int]]:
    """The temporary files or folders of `path` among those of its folder, and the number of each one's process."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)\.part{re.escape(path.suffix)}")
    return [(file, int(found[1])) for file in files if (found := pattern.fullmatch(file.name))]


@lru_cache(maxsize=64)
def _parts_in(folder: Path) -> list[Path]:
    """The temporary files. A folder may hold hundreds of thousands of files, so it is looked through once."""
    try:
        return [file for file in folder.iterdir() if ".part" in file.name]
    except OSError:  # it may be written to and not be looked into
        return []


def _runs(process: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _part_path(path: Path) -> Path:
    """A hidden name for this process alone, with the same suffix, by which some writers choose a format."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
