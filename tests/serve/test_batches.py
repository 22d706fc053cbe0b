"""Requests that are computed together: each gets its own answer, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from posetalk.serve.batches import Batches
from posetalk.serve.problems import ProblemError


async def never() -> None:
    await asyncio.Event().wait()


class Held:
    """Computes when it is told to; remembers its batches."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        self.go.wait(10)
        return [ValueError(f"odd {item}") if item % 2 else item * 10 for item in items]


async def told(batches: Batches[int, int], item: int, weight: float = 1, timeout: float = 10) -> int | str:
    try:
        return await batches.ask(item, weight, timeout, never)
    except (ProblemError, ValueError) as error:
        return str(error)


def with_first(held: Held, rest: Sequence[tuple[int, float]], **limits: float) -> list[int | str]:
    """The answers to `rest`, which come while the item 0 is computed."""

    async def run() -> list[int | str]:
        batches: Batches[int, int] = Batches(held, **({"batch_size": 3, "queue_size": 10} | limits))  # type: ignore[arg-type]
        first = asyncio.create_task(told(batches, 0))
        await asyncio.to_thread(held.begun.wait, 10)
        others = [asyncio.create_task(told(batches, *one)) for one in rest]
        await asyncio.sleep(0.05)
        held.go.set()
        answers = [*await asyncio.gather(*others)]
        assert await first == 0
        await asyncio.to_thread(batches.close)
        assert not batches.works
        return answers

    return asyncio.run(run())


def test_each_gets_its_own() -> None:
    held = Held()
    answers = with_first(held, [(number, 1) for number in range(1, 8)])
    assert answers == ["odd 1", 20, "odd 3", 40, "odd 5", 60, "odd 7"]
    assert held.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_heavy_ones_are_computed_apart() -> None:
    held = Held()
    with_first(held, [(1, 5), (2, 5), (3, 5), (4, 99), (5, 1)], max_weight=10)
    assert held.batches == [[0], [1, 2], [3], [4], [5]]


def test_a_full_queue_refuses() -> None:
    answers = with_first(Held(), [(2, 1), (4, 1), (6, 1)], queue_size=2)
    assert answers[:2] == [20, 40] and "2 requests wait already; ask again in" in str(answers[2])


def test_who_waits_too_long_or_leaves_is_dropped() -> None:
    held = Held()

    async def run() -> None:
        batches: Batches[int, int] = Batches(held, 3, 10)
        first = asyncio.create_task(told(batches, 0))
        await asyncio.to_thread(held.begun.wait, 10)
        with pytest.raises(ProblemError, match=r"no answer within 0\.01 s") as late:
            await batches.ask(2, 1, 0.01, never)
        assert late.value.status == 503 and late.value.headers["Retry-After"]
        with pytest.raises(ProblemError, match="went away") as gone:
            await batches.ask(4, 1, 10, lambda: asyncio.sleep(0))
        assert gone.value.status == 499
        held.go.set()
        assert await told(batches, 6) == 60 and await first == 0
        batches.close()
        assert "shutting down" in str(await told(batches, 8))

    asyncio.run(run())
    assert held.batches == [[0], [6]]


def test_a_failing_batch_fails_alone() -> None:
    def compute(items: Sequence[int]) -> list[int | Exception]:
        return [10 // item for item in items]

    async def run() -> list[int | str]:
        batches: Batches[int, int] = Batches(compute, 1, 10)
        return [await told(batches, item) for item in (0, 5)]

    first, second = asyncio.run(run())
    assert "the server failed at this request" in str(first) and second == 2
