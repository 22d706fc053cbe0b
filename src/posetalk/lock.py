"""One run at a time for what a run writes: two at once would write every record twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from posetalk.errors import PosetalkError

# Seconds: a run that has just ended may still be letting go of its lock. Nobody is waited for.
_PATIENCE = 0.2


@contextmanager
def only_run(path: str | Path, *, beside: bool = False) -> Iterator[None]:
    """Hold a folder that is there, or a file that need not be, for as long as the block takes.

    The system frees the lock when the process dies, however it dies. Of a distributed run the first process holds it
    for all. beside: the lock of a folder lies beside it too, so that its place can be taken meanwhile. Errors: another
    process, or another thread of this one, holds it; the lock's file cannot be written.
    """
    path = Path(path)
    if int(os.environ.get("RANK") or 0) > 0:  # set by torchrun and accelerate
        yield
        return
    file = path / ".lock" if path.is_dir() and not beside else path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise PosetalkError(
            f"{path} is in use by another run; wait until it has ended, or choose another folder"
        ) from None
    except OSError as error:
        raise PosetalkError(f"cannot write to {path}: {error.strerror}; choose another folder") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file
            file.unlink()  # while it is held: whoever opened it meanwhile notices that it is gone and opens it again
        lock.release()
