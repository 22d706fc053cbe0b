"""Locks, so that two runs never write the same folder or file at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posetalk.errors import PosetalkError

# Seconds: a run that has just ended may still be releasing its lock. Runs that go on are not waited for.
_TIMEOUT = 0.2


class InUse(PosetalkError):
    """Another run is at work in a folder or file."""


@contextmanager
def only_run(path: str | Path, *, beside: bool = False) -> Iterator[None]:
    """Lock a folder or file for as long as the block runs.

    The system frees the lock when the process dies. In a distributed run the first process locks for all.

    Args:
        path: A folder that exists, or a file that need not.
        beside: Put the lock file of a folder beside the folder, so that the folder itself can be replaced meanwhile.

    Raises:
        InUse: another process, or another thread of this one, has the lock.
        PosetalkError: the lock file cannot be written.
    """
    from filelock import FileLock, Timeout  # loads slowly

    path = Path(path)
    if int(os.environ.get("RANK") or 0) > 0:  # set by torchrun and accelerate
        yield
        return
    file = path / ".lock" if path.is_dir() and not beside else path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=_TIMEOUT)
    except Timeout:
        raise InUse(
            f"{path} is in use by another run; wait until it has ended, or choose another folder"
        ) from None
    except OSError as error:
        raise PosetalkError(f"cannot write to {path}: {error.strerror}; choose another folder") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file
            file.unlink()  # before the release: whoever has opened it meanwhile sees that it is gone, and opens it anew
        lock.release()
