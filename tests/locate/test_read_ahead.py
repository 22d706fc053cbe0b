"""Pictures are read ahead within a bound of bytes, in lists that do not hang on how fast anything is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.locate.read_ahead import MAX_AHEAD, ReadTask, pixel_bytes, read_ahead


class Held:
    """How many pixels are alive."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def read(self, size: int) -> One:
        return One(self, size)


class One:
    def __init__(self, held: Held, size: int) -> None:
        self.held, self.size = held, size
        with held.lock:
            held.now += size
            held.most = max(held.most, held.now)

    def __del__(self) -> None:
        with self.held.lock:
            self.held.now -= self.size


def asked(sizes: list[int], held: Held, group: int) -> Iterator[ReadTask[One]]:
    for n, size in enumerate(sizes, 1):
        yield ReadTask(
            np.empty((size // 3, 1, 3), np.uint8), lambda size=size: held.read(size), n % group == 0
        )  # type: ignore[misc]


SIZES = {  # sizes in 300 bytes, groups of four -> the lists that come of a limit of 1,000 such
    "small": ([10] * 9, [4, 4, 1]),
    "one fills it": ([1000] * 5, [1, 1, 1, 1, 1]),
    "larger than the limit": ([4000, 10, 10, 4000, 10], [1, 2, 1, 1]),
    "some": ([400, 400, 400, 400, 400], [2, 2, 1]),
    "a list's end": ([300, 300, 300, 100, 300, 300], [4, 2]),
}


@pytest.mark.parametrize(("sizes", "lists"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("pause", [0, 0.002])
def test_lists_follow_from_sizes_and_memory_is_bounded(
    sizes: list[int], lists: list[int], pause: float
) -> None:
    held, found = Held(), []
    for some in read_ahead(asked([size * 300 for size in sizes], held, 4), limit=300_000):
        found.append([one.size // 300 for one in some])
        time.sleep(pause)
    assert [len(some) for some in found] == lists and [size for some in found for size in some] == sizes
    assert held.most <= max(300_000, *(300 * size for size in sizes))
    del some
    assert held.now == 0


def test_many_small_pictures_are_read_ahead_by_number() -> None:
    held, given = Held(), 0

    def stream() -> Iterator[ReadTask[One]]:
        nonlocal given
        for one in asked([300] * 1000, held, 2):
            given += 1
            yield one

    lists = read_ahead(stream())
    for _ in range(5):
        next(lists)
    assert given <= 10 + MAX_AHEAD + 1
    lists.close()
    assert given <= 10 + MAX_AHEAD + 1


def test_who_stops_listening_does_not_wait_for_what_does_not_fit() -> None:
    held = Held()
    lists = read_ahead(asked([900, 900, 900, 900], held, 1), limit=1000)
    next(lists)
    lists.close()
    assert threading.active_count() < 10


def test_the_size_is_known_from_the_header(tmp_path: Path) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    (tmp_path / "no.png").write_bytes(b"no")
    assert pixel_bytes(tmp_path / "a.png") == pixel_bytes(str(tmp_path / "cut.png")) == 3600
    assert pixel_bytes(Image.new("1", (40, 30))) == 3600
    assert (
        pixel_bytes(tmp_path / "no.png") == pixel_bytes(tmp_path / "gone.png") == pixel_bytes(tmp_path) == 0
    )
