"""Send many requests at once; each answer is stored in the ledger and is never paid for twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from posetalk.errors import PosetalkError
from posetalk.llm.answer import Completion, RequestError
from posetalk.llm.client import Client, ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.rate_limits import RateLimiter
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Accept, Outcome, PendingRequest, RunReport, pending_or_outcome
from posetalk.llm.store_worker import StoreWorker
from posetalk.messages import log, progress

MAX_FAILURES_IN_A_ROW = 20  # requests given up with no answer between them: the server must be down


def generate(
    requests: Iterable[ChatRequest],
    ledger: Ledger,
    settings: ServerSettings,
    accept: Accept,
    price: Price | None = None,
    total: int | None = None,
) -> RunReport:
    """Send every request that the ledger has no answer to, and judge the answers.

    The outcomes are then in the ledger, see `request_state.results`. The first Ctrl-C waits for the requests in
    flight, the second stops at once (KeyboardInterrupt).

    Args:
        requests: Taken one by one, as others end.
        ledger: Where answers are stored.
        settings: The server, the model, and the limits.
        accept: Turns a reply into turns, or raises Rejected.
        price: Of the model; needed for a limit on cost.
        total: The number of requests, for the progress bar.

    Raises:
        PosetalkError: a refused key, an unknown model, a server that cannot be reached or answers nothing, each after
            the requests in flight have ended; the ledger's own.
    """
    if settings.max_cost_usd is not None and price is None:
        raise PosetalkError(
            f"max_cost_usd is set, and no price of {settings.model!r} is known; put it into the table of prices"
        )
    return asyncio.run(_Run(requests, ledger, settings, accept, price).run(total))


class _Run:
    """One call of `generate`.

    The ledger, the requests and `accept` are used by the store worker's thread alone, the network by this one.
    """

    def __init__(
        self,
        requests: Iterable[ChatRequest],
        ledger: Ledger,
        settings: ServerSettings,
        accept: Accept,
        price: Price | None,
    ) -> None:
        self.requests, self.ledger, self.settings, self.accept = iter(requests), ledger, settings, accept
        self.client = Client(settings)
        self.store_worker = StoreWorker(ledger)
        self.report = RunReport(totals=self.store_worker.totals)
        self.limits = RateLimiter(settings, price, self.store_worker.totals.dollars)
        self.slots = asyncio.Semaphore(settings.concurrency)
        self.stopping = asyncio.Event()
        self.error: Exception | None = None  # raised when all requests in flight have ended
        self.failures_in_a_row = 0  # requests given up since the last answer
        self.has_answers = False
        self.in_flight: dict[str, asyncio.Event] = {}

    async def run(self, total: int | None) -> RunReport:
        count_column, time_column = (Column(no_wrap=True, min_width=width) for width in (13, 8))
        self.bar = progress(
            TextColumn("asking"),
            BarColumn(12),
            MofNCompleteColumn(table_column=count_column),
            TimeRemainingColumn(table_column=time_column),
            TextColumn("{task.fields[report]}", markup=False),  # servers may say [/red]
            refresh_per_second=2,
        )
        with self.bar, self._interrupts():
            self.task = self.bar.add_task("", total=total, report=self.report)
            for note in self.ledger.notes:
                log.warning(note)
            if self.ledger.in_flight:
                log.warning(
                    f"{self.ledger.in_flight} requests were in flight when an earlier run died; they are asked again"
                )
            # twice as many as may ask: while an answer is stored and judged, another request takes its place
            workers = (self._work() for _ in range(2 * self.settings.concurrency))
            rounds = asyncio.create_task(self.store_worker.run())
            try:
                await asyncio.gather(*workers)
                await self.store_worker.submit(self.ledger.release)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            finally:
                rounds.cancel()
                last = self.store_worker.close()
                self.report.totals = self.store_worker.totals
                await self.client.close()
            last.result()
        if self.error:
            raise self.error
        return self.report

    async def _work(self) -> None:
        try:
            while not self.stopping.is_set():
                step = await self.store_worker.submit(self._next_pending)
                if step is None:
                    break
                if not isinstance(step, int):  # else those requests had their outcome, and there may be more
                    await self._settle(*step)
        except Exception as error:  # of the requests, of `accept`, of the ledger
            self._stop(error=error)  # after the requests in flight are stored

    async def _settle(self, request: ChatRequest, pending: PendingRequest | None) -> None:
        """Send a request and its revisions until it has an outcome, is given up, or the run is stopped."""
        while pending is not None and not self.stopping.is_set():
            if pending.key in self.in_flight:  # another request with the very same words
                await self.in_flight[pending.key].wait()
            else:
                self.in_flight[pending.key] = asyncio.Event()
                try:
                    if not await self._send_until_answered(pending):
                        return
                finally:
                    self.in_flight.pop(pending.key).set()
            pending = await self.store_worker.submit(self._pending, request)

    async def _send_until_answered(self, pending: PendingRequest) -> bool:
        """Send until there is an answer; False where the request is given up or the run is stopped."""
        error: RequestError | None = None
        for retry in range(self.settings.max_retries + 1):
            response = await self._send_once(pending, error)
            if response is None:
                return False
            if isinstance(response, Completion):
                self.has_answers, self.failures_in_a_row = True, 0
                return True
            error = response
            if error.action == "stop" or (error.reason == "unreachable" and not self.has_answers):
                self._stop(error=PosetalkError(error.message))
                return False
            if error.action == "give up" or retry == self.settings.max_retries:
                await self.store_worker.submit(self._fail, pending, f"{error.reason}: {error.message}")
                self._count_failure(error)
                return False
            if error.retry_after and self.limits.pause(error.retry_after) and error.retry_after > 5:
                log.info(f"the server asks to be left alone for {error.retry_after:.0f} s")
            delay = min(60.0, self.settings.retry_delay * 2**retry) * random.uniform(0.5, 1)
            if await self._stopped_within(delay):
                return False
        raise AssertionError("the last round returns")

    async def _send_once(
        self, pending: PendingRequest, previous: RequestError | None
    ) -> Completion | RequestError | None:
        """Send a request as soon as the limits allow it; None where the run is stopped. previous: the last error."""
        async with self.slots:
            if not await self._allowed(pending.request):
                return None
            reservation, answer = self.limits.begin(pending.request), None
            self.store_worker.sent.append((pending.key, pending.request.id))
            try:
                return (answer := await self.client.send(pending.request, previous))
            except RequestError as error:
                return error
            finally:
                dollars = self.limits.end(reservation, answer)
                if answer is not None:
                    self.store_worker.answers.append((pending.key, pending.request.id, answer, dollars))

    def _count_failure(self, error: RequestError) -> None:
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            sentence = (
                f"{self.failures_in_a_row} requests to {self.client.base_url} were given up one after the other, the "
                f"last because {error.message}; what was answered is kept, run again when the server is well"
            )
            self._stop(error=PosetalkError(sentence))

    async def _allowed(self, request: ChatRequest) -> bool:
        """Wait until the limits allow a request; False where the run is stopped."""
        while not self.stopping.is_set():
            seconds = self.limits.wait(request)
            if seconds is None:
                self._stop(f"the next request might pass the limit of ${self.settings.max_cost_usd:,.2f}")
                return False
            if seconds == 0:
                return True
            await self._stopped_within(min(seconds, 1))
        return False

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()

    def _stop(self, reason: str = "", error: Exception | None = None) -> None:
        """Take no more requests; those in flight end as usual."""
        self.report.stopped = self.report.stopped or reason
        self.error = self.error or error
        self.stopping.set()

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        """Handle Ctrl-C as `generate` says."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            if self.stopping.is_set():
                task.cancel()
            else:
                self.report.interrupted = True
                self._stop("interrupted")
                log.warning(
                    f"{self.limits.requests_in_flight} answers are waited for; Ctrl-C again stops at once"
                )

        try:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    # Called by the store worker:

    def _next_pending(self) -> tuple[ChatRequest, PendingRequest] | int | None:
        """The next request with something to send; None at the end.

        Where the round ends before one is found: the number of requests that had their outcome already.
        """
        for settled, request in enumerate(self.requests, 1):
            pending = self._pending(request)
            if pending is not None:
                return request, pending
            if self.store_worker.overdue():
                return settled
        return None

    def _pending(self, request: ChatRequest) -> PendingRequest | None:
        """What to send next for a request; None where it has an outcome, which is then counted."""
        state = pending_or_outcome(request, self.ledger, self.settings, self.accept)
        if isinstance(state, PendingRequest):
            return state
        self._count(state)
        return None

    def _fail(self, pending: PendingRequest, reason: str) -> None:
        self.ledger.fail(pending.key, reason)
        self._count(pending.without_answer(reason))

    def _count(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self.report.totals = self.store_worker.totals
        self.bar.advance(self.task)
