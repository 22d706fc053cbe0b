"""What has become of a request: its replies so far, how they were judged, and what to ask next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from posetalk.llm.client import ServerSettings, max_reply_tokens, request_key
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger, ReplyVerdict, Totals
from posetalk.llm.request import ChatRequest, Turns

Accept = Callable[[ChatRequest, str], Turns]
"""Turns a reply into turns, or raises Rejected. It must depend on the request and the reply alone."""

UNASKED = "not asked yet"  # the failure of a request that was never sent
REFUSED = (
    "refused by the model"  # how the failure of a request begins that the model refused, and that was paid
)
_EMPTY_REPLY = "(nothing)"  # stands for an empty reply; some servers take no message without text
_REFUSAL_REASON = (
    "the task is refused, though it is only to say how people stand and move in a published photo"
)


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request to send next.

    Attributes:
        key: Its key in the ledger.
        request: The request, with the replies so far and what was wrong with them.
        failure: Why an earlier run gave it up; empty if none did.
        faults: Of the reply before, which was not accepted; none for a first request.
        reply: The reply before.
    """

    key: str
    request: ChatRequest
    failure: str
    faults: tuple[Fault, ...] = ()
    reply: str = ""

    def without_answer(self, reason: str) -> Outcome:
        """The outcome if this request gets no answer."""
        return Outcome(faults=self.faults, failure=reason, reply=self.reply)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: turns, or the faults of the last reply, or the reason why there is none.

    Faults and a failure together: the last reply was not accepted, and the request that followed it has no answer.
    reply: the last one, as the model wrote it. key: of its request in the ledger, where it was accepted.
    """

    turns: Turns = ()
    faults: tuple[Fault, ...] = ()
    failure: str = ""
    reply: str = ""
    key: str = ""


@dataclass(slots=True)
class RunReport:
    """What became of the requests of a run.

    Attributes:
        done: How many have an accepted reply.
        rejected: How many have none, by the first fault of their last reply.
        failed: How many got no answer, by reason.
        stopped: Why the run ended early; empty if it did not.
        interrupted: Whether Ctrl-C ended it.
        totals: Answers, tokens and dollars of the whole ledger, earlier runs included.
    """

    done: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    interrupted: bool = False
    totals: Totals = field(default_factory=lambda: Totals(0, 0, 0, 0, 0.0))

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if outcome.turns:
            self.done += 1
        elif outcome.failure:
            self.failed[outcome.failure.split(":")[0]] += 1
        else:
            self.rejected[outcome.faults[0].reason] += 1

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


def pending_or_outcome(
    request: ChatRequest, ledger: Ledger, settings: ServerSettings, accept: Accept
) -> PendingRequest | Outcome:
    """Find what to send next for a request, or its outcome if nothing is left to send.

    It reads the replies in the ledger in their order, and judges those that have no verdict yet.
    """
    outcome = Outcome()
    for revision in range(settings.max_revisions + 1):
        key = request_key(request, settings)
        row = ledger.row(key)
        if row is None or row.answer is None:
            refusal = (Fault("failed", outcome.failure),) if outcome.failure else ()
            failure = row.reason if row else ""
            return PendingRequest(key, request, failure, outcome.faults or refusal, outcome.reply)
        answer = row.answer
        if answer.end == "refused":
            outcome = Outcome(failure=f"{REFUSED}: {answer.reply[:200]}", reply=answer.reply)
            reason = _REFUSAL_REASON
        else:
            verdict = row.verdict
            if verdict is None:
                limit = max_reply_tokens(request, settings) if answer.end == "cut off" else None
                ledger.judge(key, verdict := _judge(request, answer.reply, limit, accept))
            if not verdict or not isinstance(verdict[0], Fault):
                return Outcome(turns=cast(Turns, verdict), reply=answer.reply, key=key)
            outcome = Outcome(faults=(faults := verdict), reply=answer.reply)
            reason = "; ".join(fault.words for fault in faults)
        if revision < settings.max_revisions:
            request = request.with_feedback(answer.reply or _EMPTY_REPLY, reason)
    return outcome


def results(
    requests: Iterable[ChatRequest], ledger: Ledger, settings: ServerSettings, accept: Accept
) -> Iterator[tuple[ChatRequest, Outcome]]:
    """The outcome of each request, in their order, from the ledger alone. Nothing is sent."""
    for request in requests:
        outcome = pending_or_outcome(request, ledger, settings, accept)
        if isinstance(outcome, PendingRequest):
            outcome = outcome.without_answer(outcome.failure or UNASKED)
        yield request, outcome


def _judge(request: ChatRequest, reply: str, cut_after: int | None, accept: Accept) -> ReplyVerdict:
    """Turns or faults. cut_after: the number of tokens after which the reply was cut off, if it was."""
    if cut_after is not None:
        return (Fault("length", f"the reply was cut off after {cut_after} tokens, it has to be shorter"),)
    try:
        return accept(request, reply) or (Fault("turns", "there is no question and answer in it"),)
    except Rejected as rejected:
        return rejected.faults or (Fault("unreadable", "it cannot be used"),)
