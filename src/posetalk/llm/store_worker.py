"""The thread that alone works with the ledger, so that asking never waits for the disk."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from posetalk.llm.client import Completion
from posetalk.llm.ledger import Ledger, Totals

ROUND = 0.01  # seconds between rounds: each costs a sync of the disk and a change of threads
LONG = 0.05  # seconds after which a round should end, as answers wait for the next to be stored

T = TypeVar("T")


class StoreWorker:
    """Does in rounds what it is given: what has come in is stored for good, then all calls are made.

    sent: (key, job) of requests on their way. answers: (key, job, answer, dollars) that have come in. Both are emptied
    by the next round. totals: of the ledger, with what is stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.totals = ledger.totals()
        self.sent: deque[tuple[str, str]] = deque()
        self.answers: deque[tuple[str, str, Completion, float]] = deque()
        self._until = 0.0
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._calls: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._called = asyncio.Event()

    def do(self, call: Callable[..., T], *given: Any) -> asyncio.Future[T]:
        """Have the call made in the next round. What it raises is raised where the result is waited for."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append((future, partial(call, *given)))
        self._called.set()
        return future

    def late(self) -> bool:
        """Whether a call of this round should come to an end."""
        return time.monotonic() > self._until

    async def work(self) -> None:
        """Round after round, until it is cancelled."""
        while True:
            await self._called.wait()
            await asyncio.sleep(ROUND)
            self._called.clear()
            calls, self._calls = self._calls, []
            made = asyncio.get_running_loop().run_in_executor(
                self._thread, self._round, [c for _, c in calls]
            )
            for (future, _), (value, error) in zip(calls, await made, strict=True):
                if future.done():  # who waited was cancelled
                    continue
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)

    def end(self) -> Future[None]:
        """Store what has come in last."""
        last = self._thread.submit(self._store)
        self._thread.shutdown()
        return last

    def _round(self, calls: Sequence[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
        found: list[tuple[Any, Exception | None]] = []
        self._until = time.monotonic() + LONG
        try:
            self._store()
            with self.ledger.together():
                for call in calls:
                    try:
                        found.append((call(), None))
                    except Exception as error:
                        found.append((None, error))
        except Exception as error:  # of the ledger
            return [(None, error)] * len(calls)
        return found

    def _store(self) -> None:
        sent = [self.sent.popleft() for _ in range(len(self.sent))]
        found = [self.answers.popleft() for _ in range(len(self.answers))]
        if sent:
            self.ledger.mark(sent, "asked")
        if found:
            self.ledger.answer(found)
            self.totals = Totals(
                self.totals.answers + len(found),
                self.totals.tokens_in + sum(answer.tokens_in for *_, answer, _ in found),
                self.totals.tokens_out + sum(answer.tokens_out for *_, answer, _ in found),
                self.totals.estimated + sum(not answer.counted for *_, answer, _ in found),
                self.totals.dollars + sum(dollars for *_, dollars in found),
            )
