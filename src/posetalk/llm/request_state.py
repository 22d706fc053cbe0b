"""Where a job stands: its first request, what was answered, how that was judged, and what is to be asked next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from posetalk.llm.client import ServerSettings, key, limit
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger, ReplyVerdict, Totals
from posetalk.llm.request import ChatRequest, Turns

Accept = Callable[[ChatRequest, str], Turns]
"""Turns a reply into turns, or raises Rejected. It must look at the job and the reply alone, never at other samples."""

UNASKED = "not asked yet"  # the failure of a job that no request was sent for
_NOTHING = "(nothing)"  # some servers take no message without text
_REFUSED = "the task is refused, though it is only to say how people stand and move in a published photo"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """What is to be asked next. job: with all that was said so far; failed: why it was given up before, if it was."""

    key: str
    job: ChatRequest
    failed: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: turns, or the faults of the last reply, or the reason why there is none.

    reply: the last one, as the model wrote it.
    """

    turns: Turns = ()
    faults: tuple[Fault, ...] = ()
    failure: str = ""
    reply: str = ""


@dataclass(slots=True)
class RunReport:
    """What became of the jobs that were looked at. rejected: by the first fault; failed: by reason.

    stopped: why the run ended before all jobs were settled; empty where they are. interrupted: by Ctrl-C. totals: of
    the whole ledger.
    """

    done: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    interrupted: bool = False
    totals: Totals = field(default_factory=lambda: Totals(0, 0, 0, 0, 0.0))

    def add(self, outcome: Outcome) -> None:
        if outcome.turns:
            self.done += 1
        elif outcome.faults:
            self.rejected[outcome.faults[0].reason] += 1
        else:
            self.failed[outcome.failure.split(":")[0]] += 1

    def __str__(self) -> str:
        parts = [f"{self.done:,} written"]
        for name, counts in (("rejected", self.rejected), ("failed", self.failed)):
            if counts:
                reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
                parts.append(f"{counts.total():,} {name} ({reasons})")
        parts.append(f"{self.totals.tokens_in:,} tokens read, {self.totals.tokens_out:,} written")
        if self.totals.estimated:
            parts[-1] += f" (estimated for {self.totals.estimated:,} answers)"
        if self.totals.dollars:
            parts.append(f"${self.totals.dollars:,.2f}")
        return "; ".join(parts)


def walk(
    job: ChatRequest, ledger: Ledger, settings: ServerSettings, accept: Accept
) -> PendingRequest | Outcome:
    """Follow a job through the ledger, judging what is not yet judged, to its end or to what must be asked."""
    for number in range(settings.max_revisions + 1):
        of = key(job, settings)
        row = ledger.row(of)
        if row is None or row.answer is None:
            return PendingRequest(of, job, row.reason if row else "")
        answer = row.answer
        if answer.end == "refused":
            outcome = Outcome(failure=f"refused by the model: {answer.reply[:200]}", reply=answer.reply)
            reason = _REFUSED
        else:
            verdict = row.verdict
            if verdict is None:
                most = limit(job, settings) if answer.end == "cut off" else None
                ledger.judge(of, verdict := _judged(job, answer.reply, most, accept))
            if not verdict or not isinstance(verdict[0], Fault):
                return Outcome(turns=cast(Turns, verdict), reply=answer.reply)
            outcome = Outcome(faults=(faults := verdict), reply=answer.reply)
            reason = "; ".join(fault.words for fault in faults)
        if number < settings.max_revisions:
            job = job.again(answer.reply or _NOTHING, reason)
    return outcome


def results(
    jobs: Iterable[ChatRequest], ledger: Ledger, settings: ServerSettings, accept: Accept
) -> Iterator[tuple[ChatRequest, Outcome]]:
    """What became of each job, in the order of the jobs, whatever order the answers came in. Asks nothing."""
    for job in jobs:
        found = walk(job, ledger, settings, accept)
        if isinstance(found, PendingRequest):
            found = Outcome(failure=found.failed or UNASKED)
        yield job, found


def _judged(job: ChatRequest, reply: str, cut_after: int | None, accept: Accept) -> ReplyVerdict:
    if cut_after is not None:
        return (Fault("length", f"the reply was cut off after {cut_after} tokens, it has to be shorter"),)
    try:
        return accept(job, reply) or (Fault("turns", "there is no question and answer in it"),)
    except Rejected as rejected:
        return rejected.faults or (Fault("unreadable", "it cannot be used"),)
