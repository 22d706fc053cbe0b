"""Sources that do not wait: what nobody asked for in time is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from posetalk.locate.track.newest import Newest
from posetalk.locate.track.source import waits

STEP = 0.02  # seconds between items


def ticks(count: int) -> Iterator[tuple[int, float]]:
    """Numbers at their times, whoever reads them."""
    begun = time.perf_counter()
    for number in range(count):
        time.sleep(max(begun + number * STEP - time.perf_counter(), 0))
        yield number, time.perf_counter()


def test_a_slow_reader_keeps_up() -> None:
    source, taken = Newest(ticks(40)), []
    for number, made in source:
        taken.append((number, time.perf_counter() - made))
        time.sleep(5 * STEP)
    numbers = [number for number, _ in taken]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 39 and len(numbers) <= 12
    assert source.left_out == 40 - len(numbers)
    assert max(age for _, age in taken) < 20 * STEP  # it would be 160 behind


def test_a_fast_reader_gets_everything() -> None:
    source = Newest(ticks(10))
    assert [number for number, _ in source] == list(range(10)) and source.left_out == 0


def test_the_end_and_errors_of_the_source_are_its_readers() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        time.sleep(STEP)
        raise ValueError("gone")

    assert list(Newest([])) == []
    items = iter(Newest(breaks()))
    assert next(items) == 1
    with pytest.raises(ValueError, match="gone"):
        next(items)


def test_a_reader_that_leaves_stops_the_source() -> None:
    read = []

    def endless() -> Iterator[int]:
        while True:
            read.append(0)
            time.sleep(STEP / 10)
            yield len(read)

    items = iter(Newest(endless()))
    next(items)
    items.close()
    time.sleep(STEP)
    before = len(read)
    time.sleep(2 * STEP)
    assert len(read) == before


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("clip.mp4", True),
        ("https://host/clip.mp4", True),
        (0, False),
        ("RTSP://camera/stream", False),
        ("udp://127.0.0.1:5000", False),
    ],
)
def test_which_sources_wait(source: str | int, expected: bool) -> None:
    assert waits(source) == expected
