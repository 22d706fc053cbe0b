"""Pictures read before their turn, by a thread, within a bound on the memory that they hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.images.opening import open_image

R = TypeVar("R")
Picture = str | Path | Image.Image | np.ndarray

AHEAD = 8  # pictures that are read while those before them are looked at
HELD = 2**29  # bytes of decoded pictures held at a time, read ahead or looked at; one picture always goes


@dataclass(frozen=True, slots=True)
class ReadTask(Generic[R]):
    """A picture, what reads it, and whether the list that it comes in ends with it."""

    picture: Picture
    read: Callable[[], R]
    last: bool


class _Room:
    """Bytes that may be held; who comes when there is no room waits, but for one alone there is always room."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held, self.closed = limit, 0, False
        self.change = Condition()

    def enter(self, size: int) -> None:
        with self.change:
            self.change.wait_for(lambda: self.closed or not self.held or self.held + size <= self.limit)
            self.held += size

    def leave(self, size: int) -> None:
        with self.change:
            self.held -= size
            self.change.notify_all()

    def close(self) -> None:
        with self.change:
            self.closed = True
            self.change.notify_all()


class _Coming(Generic[R]):
    """A picture on its way: its size in bytes, as soon as its header was read, then what `read` gave."""

    def __init__(self, asked: ReadTask[R], room: _Room, reader: ThreadPoolExecutor) -> None:
        self.asked, self.room = asked, room
        self.given = 0 if isinstance(asked.picture, str | Path) else pixel_bytes(asked.picture)
        self.size: Future[int] = Future()
        self.answer = reader.submit(self._read)

    def _read(self) -> R:
        size = pixel_bytes(self.asked.picture)
        self.size.set_result(size)
        self.room.enter(size)
        if self.room.closed:
            raise RuntimeError("nobody waits for this picture any more")
        return self.asked.read()


def read_ahead(pictures: Iterable[ReadTask[R]], limit: int | None = None) -> Generator[list[R], None, None]:
    """What was read of each picture, in order, in lists that end where the caller says so, or before a picture with
    which a list would hold more than `limit` bytes of pixels (None: HELD).

    So what is in a list follows from the pictures themselves, not from how far the thread has come. A list is emptied
    when the next is asked for.
    """
    room = _Room(HELD if limit is None else limit)
    source = iter(pictures)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: deque[_Coming[R]] = deque()
        waiting: list[R] = []
        held = 0
        try:
            while True:
                while len(coming) <= AHEAD and sum(one.given for one in coming) <= room.limit:
                    if (asked := next(source, None)) is None:
                        break
                    coming.append(_Coming(asked, room, reader))
                if not coming:
                    break
                one = coming.popleft()
                size = one.size.result()
                if waiting and held + size > room.limit:
                    yield waiting
                    waiting.clear()
                    room.leave(held)
                    held = 0
                waiting.append(one.answer.result())
                held += size
                if one.asked.last:
                    del one  # which holds its picture too
                    yield waiting
                    waiting.clear()
                    room.leave(held)
                    held = 0
            if waiting:
                yield waiting
        finally:
            room.close()
            for left in coming:
                left.answer.cancel()


def pixel_bytes(picture: Picture) -> int:
    """Bytes of a picture's pixels as (h, w, 3) uint8, from its header alone; 0 where that cannot be read."""
    if isinstance(picture, np.ndarray):
        return picture.nbytes
    if isinstance(picture, Image.Image):
        return picture.width * picture.height * 3
    try:
        with open_image(Path(picture)) as header:
            return header.width * header.height * 3
    except PosetalkError:  # what is wrong with it is said when it is read
        return 0
