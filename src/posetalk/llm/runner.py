"""Jobs -> answers in the ledger: many requests at once, none lost, none paid twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from posetalk.errors import PosetalkError
from posetalk.llm.client import Client, Completion, RequestError, ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.rate_limits import RateLimiter
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Accept, Outcome, PendingRequest, RunReport, walk
from posetalk.llm.store_worker import StoreWorker

GIVE_UP = 20  # requests given up one after the other, none answered between: the server must be ill


def generate(
    jobs: Iterable[ChatRequest],
    ledger: Ledger,
    settings: ServerSettings,
    accept: Accept,
    price: Price | None = None,
    total: int | None = None,
) -> RunReport:
    """Ask for every job that the ledger does not hold an answer to, and judge the answers.

    jobs: taken one by one, as there is room. total: how many they are, for the time left. What came of them is then
    in the ledger (request_state.results). The first Ctrl-C lets what is in flight come in, the second stops at once
    (KeyboardInterrupt). Errors (PosetalkError), after what is in flight has come in: a refused key, an unknown model,
    a server that cannot be reached or answers nothing; the ledger's own.
    """
    if settings.max_cost_usd is not None and price is None:
        raise PosetalkError(
            f"money is limited, and no price of {settings.model!r} is known; put it into the table of prices"
        )
    return asyncio.run(_Run(jobs, ledger, settings, accept, price).run(total))


class _Run:
    """One call of `generate`. The ledger, the jobs and `accept` are the clerk's thread's, the network is this one's."""

    def __init__(
        self,
        jobs: Iterable[ChatRequest],
        ledger: Ledger,
        settings: ServerSettings,
        accept: Accept,
        price: Price | None,
    ) -> None:
        self.jobs, self.ledger, self.settings, self.accept = iter(jobs), ledger, settings, accept
        self.client = Client(settings)
        self.clerk = StoreWorker(ledger)
        self.report = RunReport(totals=self.clerk.totals)
        self.limits = RateLimiter(settings, price, self.clerk.totals.dollars)
        self.room = asyncio.Semaphore(settings.concurrency)
        self.stop = asyncio.Event()
        self.error: Exception | None = None  # what is raised when all that is in flight has come in
        self.in_vain = 0  # requests given up since the last answer
        self.answered = False
        self.flying: dict[str, asyncio.Event] = {}

    async def run(self, total: int | None) -> RunReport:
        whole, hours = (
            Column(no_wrap=True, min_width=width) for width in (13, 8)
        )  # the words take what is left
        bar = Progress(
            TextColumn("asking"),
            BarColumn(12),
            MofNCompleteColumn(table_column=whole),
            TimeRemainingColumn(table_column=hours),
            TextColumn("{task.fields[report]}", markup=False),  # servers may say [/red]
            console=Console(stderr=True),
            refresh_per_second=2,
        )
        with bar, self._interrupts():
            self.bar, self.task = bar, bar.add_task("", total=total, report=self.report)
            for note in self.ledger.notes:
                self._tell(note)
            if self.ledger.in_flight:
                self._tell(
                    f"{self.ledger.in_flight} requests were in flight when an earlier run died; they are asked again"
                )
            # twice as many as may ask: while an answer is stored and judged, another request takes its place
            workers = (self._work() for _ in range(2 * self.settings.concurrency))
            rounds = asyncio.create_task(self.clerk.work())
            try:
                await asyncio.gather(*workers)
                await self.clerk.do(self.ledger.release)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            finally:
                rounds.cancel()
                last = self.clerk.end()
                self.report.totals = self.clerk.totals
                await self.client.close()
            last.result()
        if self.error:
            raise self.error
        return self.report

    async def _work(self) -> None:
        try:
            while not self.stop.is_set() and (found := await self.clerk.do(self._next)) is not None:
                if not isinstance(found, int):  # else they were settled before, and there may be more
                    await self._settle(*found)
        except Exception as error:  # of the jobs, of `accept`, of the ledger
            self._end(error=error)  # what is in flight shall be stored

    async def _settle(self, job: ChatRequest, request: PendingRequest | None) -> None:
        """Ask for a job, and again, until it is settled, a request of it is given up or the run is stopped."""
        while request is not None and not self.stop.is_set():
            if request.key in self.flying:  # another job with the very same words
                await self.flying[request.key].wait()
            else:
                self.flying[request.key] = asyncio.Event()
                try:
                    if not await self._ask(request):
                        return
                finally:
                    self.flying.pop(request.key).set()
            request = await self.clerk.do(self._walk, job)

    async def _ask(self, request: PendingRequest) -> bool:
        """Ask until there is an answer; False where the request is given up or the run is stopped."""
        trouble: RequestError | None = None
        for number in range(self.settings.max_retries + 1):
            found = await self._send(request, trouble)
            if found is None:
                return False
            if isinstance(found, Completion):
                self.answered, self.in_vain = True, 0
                return True
            trouble = found
            if found.then == "stop" or (found.reason == "unreachable" and not self.answered):
                self._end(error=PosetalkError(found.words))
                return False
            if found.then == "never" or number == self.settings.max_retries:
                await self.clerk.do(self._fail, request, f"{found.reason}: {found.words}")
                self._given_up(found)
                return False
            if found.wait and self.limits.leave_alone(found.wait) and found.wait > 5:
                self._tell(f"the server asks to be left alone for {found.wait:.0f} s")
            pause = min(60.0, self.settings.retry_delay * 2**number) * random.uniform(0.5, 1)
            if await self._stopped_within(pause):
                return False
        raise AssertionError("the last round returns")

    async def _send(
        self, request: PendingRequest, after: RequestError | None
    ) -> Completion | RequestError | None:
        """Send a request once, as soon as there is room and the limits let it; None where the run is stopped.

        after: why the last time there was no answer.
        """
        async with self.room:
            if not await self._may(request.job):
                return None
            slip, answer = self.limits.begin(request.job), None
            self.clerk.sent.append((request.key, request.job.id))
            try:
                return (answer := await self.client.ask(request.job, after))
            except RequestError as trouble:
                return trouble
            finally:
                dollars = self.limits.end(slip, answer)
                if answer is not None:
                    self.clerk.answers.append((request.key, request.job.id, answer, dollars))

    def _given_up(self, trouble: RequestError) -> None:
        self.in_vain += 1
        if self.in_vain >= GIVE_UP:
            sentence = (
                f"{self.in_vain} requests to {self.client.where} were given up one after the other, the last because "
                f"{trouble.words}; what was answered is kept, run again when the server is well"
            )
            self._end(error=PosetalkError(sentence))

    async def _may(self, job: ChatRequest) -> bool:
        """Wait until the limits let a request through; False where the run is stopped."""
        while not self.stop.is_set():
            seconds = self.limits.wait(job)
            if seconds is None:
                self._end(f"the next request might pass the limit of ${self.settings.max_cost_usd:,.2f}")
                return False
            if seconds == 0:
                return True
            await self._stopped_within(min(seconds, 1))
        return False

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return self.stop.is_set()

    def _end(self, reason: str = "", error: Exception | None = None) -> None:
        """Take no more jobs; what is in flight comes in."""
        self.report.stopped = self.report.stopped or reason
        self.error = self.error or error
        self.stop.set()

    def _tell(self, sentence: str) -> None:
        self.bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            if self.stop.is_set():
                task.cancel()
            else:
                self.report.interrupted = True
                self._end("interrupted")
                self._tell(f"{self.limits.open} answers are waited for; Ctrl-C again stops at once")

        try:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    # In the clerk's rounds:

    def _next(self) -> tuple[ChatRequest, PendingRequest] | int | None:
        """The next job with something to ask; how many were settled where none was found soon; None at the end."""
        for settled, job in enumerate(self.jobs, 1):
            request = self._walk(job)
            if request is not None:
                return job, request
            if self.clerk.late():
                return settled
        return None

    def _walk(self, job: ChatRequest) -> PendingRequest | None:
        """What is to be asked next of a job; None where it is settled, which is then counted."""
        found = walk(job, self.ledger, self.settings, self.accept)
        if isinstance(found, PendingRequest):
            return found
        self._settled(found)
        return None

    def _fail(self, request: PendingRequest, reason: str) -> None:
        self.ledger.fail(request.key, reason)
        self._settled(Outcome(failure=reason))

    def _settled(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self.report.totals = self.clerk.totals
        self.bar.advance(self.task)
