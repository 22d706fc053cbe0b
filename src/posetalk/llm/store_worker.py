"""The one thread that works with the ledger, so that requests never wait for the disk."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from posetalk.llm.answer import Completion
from posetalk.llm.ledger import Ledger, Totals

ROUND_SECONDS = 0.01  # between rounds: each costs a sync of the disk and a change of threads
MAX_ROUND_SECONDS = 0.05  # after which a round should end, as answers wait for the next to be stored

T = TypeVar("T")


class StoreWorker:
    """Works in rounds: each stores the new answers for good, then makes all submitted calls.

    Attributes:
        sent: (key, request id) of requests on their way; the next round empties it.
        answers: (key, request id, answer, dollars) that have come in; the next round empties it.
        totals: Of the ledger, with all that is stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.totals = ledger.totals()
        self.sent: deque[tuple[str, str]] = deque()
        self.answers: deque[tuple[str, str, Completion, float]] = deque()
        self._round_ends = 0.0
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._calls: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._has_calls = asyncio.Event()

    def submit(self, call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Have a call made in the next round. The returned future has its result or its exception."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append((future, partial(call, *arguments)))
        self._has_calls.set()
        return future

    def overdue(self) -> bool:
        """Whether a call of this round should come to an end."""
        return time.monotonic() > self._round_ends

    async def run(self) -> None:
        """Do round after round until cancelled."""
        while True:
            await self._has_calls.wait()
            await asyncio.sleep(ROUND_SECONDS)
            self._has_calls.clear()
            calls, self._calls = self._calls, []
            results = asyncio.get_running_loop().run_in_executor(
                self._thread, self._round, [call for _, call in calls]
            )
            for (future, _), (value, error) in zip(calls, await results, strict=True):
                if future.done():  # whoever waited was cancelled
                    continue
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)

    def close(self) -> Future[None]:
        """Store the last answers and end the thread."""
        last = self._thread.submit(self._store)
        self._thread.shutdown()
        return last

    def _round(self, calls: Sequence[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
        results: list[tuple[Any, Exception | None]] = []
        self._round_ends = time.monotonic() + MAX_ROUND_SECONDS
        try:
            self._store()
            with self.ledger.transaction():
                for call in calls:
                    try:
                        results.append((call(), None))
                    except Exception as error:
                        results.append((None, error))
        except Exception as error:  # of the ledger
            return [(None, error)] * len(calls)
        return results

    def _store(self) -> None:
        sent = [self.sent.popleft() for _ in range(len(self.sent))]
        answers = [self.answers.popleft() for _ in range(len(self.answers))]
        if sent:
            self.ledger.set_state(sent, "asked")
        if answers:
            self.ledger.answer(answers)
            self.totals = Totals(
                self.totals.answers + len(answers),
                self.totals.tokens_in + sum(answer.tokens_in for *_, answer, _ in answers),
                self.totals.tokens_out + sum(answer.tokens_out for *_, answer, _ in answers),
                self.totals.estimated + sum(not answer.counted for *_, answer, _ in answers),
                self.totals.dollars + sum(dollars for *_, dollars in answers),
            )
