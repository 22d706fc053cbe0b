"""How fast, and for how much, a server may be asked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from posetalk.llm.client import Completion, ServerSettings, limit, tokens_in
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest


@dataclass(slots=True)
class _Spent:
    at: float
    amount: float


class SlidingWindow:
    """No more than `most` in any 60 seconds, by the clock of the caller."""

    SECONDS = 60.0

    def __init__(self, most: float | None) -> None:
        self.most = most
        self._spent: deque[_Spent] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be spent; 0 for now. What is larger than the limit waits for an empty window."""
        if self.most is None:
            return 0
        while self._spent and self._spent[0].at <= now - self.SECONDS:
            self._sum -= self._spent.popleft().amount
        if not self._spent or self._sum + amount <= self.most:
            return 0
        over = self._sum + amount - self.most
        for spent in self._spent:
            over -= spent.amount
            if over <= 0:
                break
        return max(spent.at + self.SECONDS - now, 0.001)

    def spend(self, amount: float, now: float) -> _Spent:
        """Enter an amount, to be corrected once it is known."""
        spent = _Spent(now, amount)
        if self.most is not None:
            self._spent.append(spent)
            self._sum += amount
        return spent

    def correct(self, spent: _Spent, amount: float) -> None:
        """What was entered was `amount` in truth."""
        if self._spent and self._spent[0].at <= spent.at:  # else it is out of the window, and of the sum
            self._sum += amount - spent.amount
            spent.amount = amount


@dataclass(slots=True)
class Reservation:
    """What one request in flight may take at most. estimate: of its messages, in tokens."""

    estimate: int
    tokens: _Spent
    dollars: float


@dataclass(slots=True)
class RateLimiter:
    """Requests and tokens a minute, money, and the time that a server asked to be left alone.

    spent: dollars of all answers, so far. Where money is concerned a request in flight is reckoned as if it wrote all
    that it may, and its messages as `swollen` times the estimate: twice, since numbers take more tokens than words, or
    as many times as any answer so far has shown.
    """

    settings: ServerSettings
    price: Price | None
    spent: float
    clock: Callable[[], float] = time.monotonic
    requests: SlidingWindow = field(init=False)
    tokens: SlidingWindow = field(init=False)
    open: int = 0
    in_flight: float = 0.0  # dollars
    swollen: float = 2.0
    not_before: float = 0.0

    def __post_init__(self) -> None:
        self.requests = SlidingWindow(self.settings.requests_per_minute)
        self.tokens = SlidingWindow(self.settings.tokens_per_minute)

    def wait(self, job: ChatRequest) -> float | None:
        """Seconds to wait before asking; 0 for now; None where the money is at an end."""
        now = self.clock()
        most = self.settings.max_cost_usd
        if most is not None and self.spent + self.in_flight + self._dollars(job) > most:
            return 0.05 if self.open else None  # what is in flight may turn out to cost less
        return max(
            self.requests.wait(1, now),
            self.tokens.wait(tokens_in(job) + limit(job, self.settings), now),
            self.not_before - now,
            0,
        )

    def begin(self, job: ChatRequest) -> Reservation:
        """A request is sent."""
        now, dollars = self.clock(), self._dollars(job)
        self.requests.spend(1, now)
        self.open += 1
        self.in_flight += dollars
        estimate = tokens_in(job)
        return Reservation(estimate, self.tokens.spend(estimate + limit(job, self.settings), now), dollars)

    def end(self, slip: Reservation, answer: Completion | None) -> float:
        """A request is over. Returns the dollars it took."""
        self.open -= 1
        self.in_flight = max(0.0, self.in_flight - slip.dollars)
        if answer is None:
            return 0
        self.tokens.correct(slip.tokens, answer.tokens_in + answer.tokens_out)
        self.swollen = max(self.swollen, answer.tokens_in / max(slip.estimate, 1))
        dollars = self.price.of(answer.tokens_in, answer.tokens_out) if self.price else 0.0
        self.spent += dollars
        return dollars

    def leave_alone(self, seconds: float) -> bool:
        """The server asks for so many seconds of quiet. Returns whether it had not asked before."""
        now = self.clock()
        anew, self.not_before = self.not_before <= now, max(self.not_before, now + seconds)
        return anew

    def _dollars(self, job: ChatRequest) -> float:
        if self.price is None:
            return 0.0
        return self.price.of(self.swollen * tokens_in(job), limit(job, self.settings))
