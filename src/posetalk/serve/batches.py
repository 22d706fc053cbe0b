"""Requests of several callers, computed together: a bounded queue, and one thread that empties it."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from posetalk.errors import PosetalkError
from posetalk.serve.problems import ProblemError, mistake

Q = TypeVar("Q")
A = TypeVar("A")


class _Waiting(Generic[Q, A]):
    """A request in the queue; `left` is set when nobody waits for its answer any more."""

    def __init__(self, item: Q, weight: float, loop: asyncio.AbstractEventLoop) -> None:
        self.item, self.weight, self.loop = item, weight, loop
        self.future: asyncio.Future[A] = loop.create_future()
        self.left = False

    def tell(self, answer: A | Exception) -> None:
        """From the thread of the batches: what came out."""

        def settle() -> None:
            if self.future.done():
                return
            if isinstance(answer, Exception):
                self.future.set_exception(answer)
            else:
                self.future.set_result(answer)

        if not self.left:
            self.loop.call_soon_threadsafe(settle)


class Batches(Generic[Q, A]):
    """Computes requests of several callers together, in one thread.

    Args:
        compute: From several items to an answer or error each, in order.
        batch_size: How many items are computed together at most.
        queue_size: How many items wait at most.
        max_weight: How heavy the items of a batch are together at most; one alone may be heavier.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Q]], Sequence[A | Exception]],
        batch_size: int,
        queue_size: int,
        max_weight: float = math.inf,
    ) -> None:
        self._compute, self._batch_size, self._queue_size = compute, batch_size, queue_size
        self._max_weight = max_weight
        self._queue: deque[_Waiting[Q, A]] = deque()
        self._news = threading.Condition()
        self._closed = False
        self._pace = 0.2  # seconds an item, of late
        self._thread = threading.Thread(target=self._run, name="posetalk-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    @property
    def works(self) -> bool:
        """Whether requests are computed."""
        return self._thread.is_alive() and not self._closed

    def check_room(self) -> None:
        """Raises ProblemError (503, with Retry-After) where the queue is full."""
        if len(self._queue) >= self._queue_size:
            seconds = max(1, math.ceil(self._pace * len(self._queue)))
            raise ProblemError(
                f"{len(self._queue)} requests wait already; ask again in {seconds} s",
                503,
                {"Retry-After": str(seconds)},
            )

    async def ask(self, item: Q, weight: float, timeout: float, gone: Callable[[], Awaitable[object]]) -> A:
        """The answer to an item.

        Args:
            item: What `compute` takes.
            weight: See `max_weight`.
            timeout: Seconds after which it is dropped.
            gone: Ends when the caller goes away.

        Raises:
            ProblemError: the queue is full, or the time is over (503); the caller went away (499).
            Exception: what `compute` gave for it.
        """
        self.check_room()
        if not self.works:
            raise ProblemError("the server is shutting down; ask again", 503, {"Retry-After": "5"})
        waiting: _Waiting[Q, A] = _Waiting(item, weight, asyncio.get_running_loop())
        with self._news:
            self._queue.append(waiting)
            self._news.notify()
        leaving = asyncio.ensure_future(gone())
        try:
            ends: set[asyncio.Future[Any]] = {waiting.future, leaving}
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if waiting.future.done():
                return waiting.future.result()
            if leaving.done():
                raise ProblemError("the caller went away", 499)
            raise ProblemError(
                f"there was no answer within {timeout:g} s; ask again later, or for less",
                503,
                {"Retry-After": "5"},
            )
        finally:
            leaving.cancel()
            with self._news, suppress(ValueError):
                waiting.left = True
                self._queue.remove(waiting)

    def close(self) -> None:
        """Compute nothing more."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(timeout=10)

    def _next(self) -> list[_Waiting[Q, A]]:
        """The next batch, once there is one; empty at the end."""
        batch: list[_Waiting[Q, A]] = []
        weight = 0.0
        with self._news:
            while not batch and not self._closed:
                self._news.wait_for(lambda: self._queue or self._closed)
                while self._queue and len(batch) < self._batch_size:
                    weight += self._queue[0].weight
                    if batch and weight > self._max_weight:
                        break
                    batch.append(self._queue.popleft())
        return batch

    def _run(self) -> None:
        while batch := self._next():
            started = time.perf_counter()
            answers: Sequence[A | Exception]
            try:
                answers = self._compute([one.item for one in batch])
            except Exception as error:
                answers = [mistake(error)] * len(batch)
            for one, answer in zip(batch, answers, strict=True):
                one.tell(answer)
            self._pace += 0.2 * ((time.perf_counter() - started) / len(batch) - self._pace)
        for one in self._queue:
            one.tell(PosetalkError("the server was shut down"))
