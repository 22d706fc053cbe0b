"""Read images ahead of their turn in a thread, within a limit on memory."""

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
ImageSource = str | Path | Image.Image | np.ndarray

MAX_AHEAD = 8  # images that are read while those before them are processed
MAX_PIXEL_BYTES = 2**29  # of decoded images in memory, read ahead or in process; a single image may exceed it


@dataclass(frozen=True, slots=True)
class ReadTask(Generic[R]):
    """An image, the function that reads it, and whether its list ends with it."""

    image: ImageSource
    read: Callable[[], R]
    ends_list: bool


class _MemoryLimit:
    """Bytes in use. Whoever would exceed the limit waits, unless nothing else is in use."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used, self.closed = limit, 0, False
        self.change = Condition()

    def acquire(self, size: int) -> None:
        with self.change:
            self.change.wait_for(lambda: self.closed or not self.used or self.used + size <= self.limit)
            self.used += size

    def release(self, size: int) -> None:
        with self.change:
            self.used -= size
            self.change.notify_all()

    def close(self) -> None:
        with self.change:
            self.closed = True
            self.change.notify_all()


class _Reading(Generic[R]):
    """An image that is being read. size: bytes of its pixels, once its header was read; result: of `read`."""

    def __init__(self, task: ReadTask[R], memory: _MemoryLimit, reader: ThreadPoolExecutor) -> None:
        self.task, self.memory = task, memory
        # an image that is in memory already counts from the start
        self.bytes_now = 0 if isinstance(task.image, str | Path) else pixel_bytes(task.image)
        self.size: Future[int] = Future()
        self.result = reader.submit(self._read)

    def _read(self) -> R:
        size = pixel_bytes(self.task.image)
        self.size.set_result(size)
        self.memory.acquire(size)
        if self.memory.closed:
            raise RuntimeError("nobody waits for this image any more")
        return self.task.read()


def read_ahead(tasks: Iterable[ReadTask[R]], limit: int | None = None) -> Generator[list[R], None, None]:
    """Read images in a thread and yield the results in order, as lists.

    The lists depend on the tasks alone, not on the speed of the thread. A list is emptied when the next is asked for.

    Args:
        tasks: Taken as there is room. A list ends where `ends_list` says so, or before the image with which its pixels
            would take more than `limit` bytes.
        limit: Bytes of pixels in memory; None for MAX_PIXEL_BYTES.
    """
    memory = _MemoryLimit(MAX_PIXEL_BYTES if limit is None else limit)
    source = iter(tasks)
    with ThreadPoolExecutor(max_workers=1) as reader:
        queue: deque[_Reading[R]] = deque()
        results: list[R] = []
        results_size = 0
        try:
            while True:
                while len(queue) <= MAX_AHEAD and sum(item.bytes_now for item in queue) <= memory.limit:
                    if (task := next(source, None)) is None:
                        break
                    queue.append(_Reading(task, memory, reader))
                if not queue:
                    break
                reading = queue.popleft()
                size = reading.size.result()
                if results and results_size + size > memory.limit:
                    yield results
                    results.clear()
                    memory.release(results_size)
                    results_size = 0
                results.append(reading.result.result())
                results_size += size
                if reading.task.ends_list:
                    del reading  # it refers to its image
                    yield results
                    results.clear()
                    memory.release(results_size)
                    results_size = 0
            if results:
                yield results
        finally:
            memory.close()
            for reading in queue:
                reading.result.cancel()


def pixel_bytes(image: ImageSource) -> int:
    """Bytes of an image's pixels as (h, w, 3) uint8, from its header alone; 0 if that cannot be read."""
    if isinstance(image, np.ndarray):
        return image.nbytes
    if isinstance(image, Image.Image):
        return image.width * image.height * 3
    try:
        with open_image(Path(image)) as header:
            return header.width * header.height * 3
    except PosetalkError:  # reading the image will report it
        return 0
