"""How many requests, tokens and dollars may go to a server, and when."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from posetalk.llm.answer import Completion
from posetalk.llm.client import ServerSettings, max_reply_tokens, prompt_tokens
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest


@dataclass(slots=True)
class _Entry:
    time: float
    amount: float


class SlidingWindow:
    """No more than `limit` in any 60 seconds, by the clock of the caller; None for no limit."""

    SECONDS = 60.0

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._entries: deque[_Entry] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be spent. An amount above the limit waits for an empty window."""
        if self.limit is None:
            return 0
        while self._entries and self._entries[0].time <= now - self.SECONDS:
            self._sum -= self._entries.popleft().amount
        if not self._entries or self._sum + amount <= self.limit:
            return 0
        excess = self._sum + amount - self.limit
        for entry in self._entries:
            excess -= entry.amount
            if excess <= 0:
                break
        return max(entry.time + self.SECONDS - now, 0.001)

    def spend(self, amount: float, now: float) -> _Entry:
        """Enter an estimated amount; `correct` it once the true one is known."""
        entry = _Entry(now, amount)
        if self.limit is not None:
            self._entries.append(entry)
            self._sum += amount
        return entry

    def correct(self, entry: _Entry, amount: float) -> None:
        """Replace the amount of an entry."""
        if self._entries and self._entries[0].time <= entry.time:  # else it has left the window and the sum
            self._sum += amount - entry.amount
            entry.amount = amount


@dataclass(slots=True)
class Reservation:
    """The most that one request in flight may take. prompt_tokens: the estimate for its messages."""

    prompt_tokens: int
    tokens: _Entry
    dollars: float


@dataclass(slots=True)
class RateLimiter:
    """Limits on requests and tokens per minute and on cost, and the pause that a server has asked for.

    To stay below the limit on cost, a request in flight counts as if its reply had the maximum length and its prompt
    `prompt_factor` times the estimated tokens. The factor is 2, as numbers take more tokens than words, or the largest
    ratio that an answer so far has shown.

    Attributes:
        settings: The limits.
        price: The price of the model, if it is known.
        spent: US dollars of all answers so far.
        clock: Seconds.
    """

    settings: ServerSettings
    price: Price | None
    spent: float
    clock: Callable[[], float] = time.monotonic
    requests: SlidingWindow = field(init=False)
    tokens: SlidingWindow = field(init=False)
    requests_in_flight: int = 0
    dollars_in_flight: float = 0.0
    prompt_factor: float = 2.0
    not_before: float = 0.0

    def __post_init__(self) -> None:
        self.requests = SlidingWindow(self.settings.requests_per_minute)
        self.tokens = SlidingWindow(self.settings.tokens_per_minute)

    def wait(self, request: ChatRequest) -> float | None:
        """Seconds to wait before the request is sent; None where it might pass the limit on cost."""
        now = self.clock()
        max_cost = self.settings.max_cost_usd
        if (
            max_cost is not None
            and self.spent + self.dollars_in_flight + self._max_dollars(request) > max_cost
        ):
            return 0.05 if self.requests_in_flight else None  # those in flight may cost less than reserved
        return max(
            self.requests.wait(1, now),
            self.tokens.wait(prompt_tokens(request) + max_reply_tokens(request, self.settings), now),
            self.not_before - now,
            0,
        )

    def begin(self, request: ChatRequest) -> Reservation:
        """Reserve what a request may take, as it is sent."""
        now, dollars = self.clock(), self._max_dollars(request)
        self.requests.spend(1, now)
        self.requests_in_flight += 1
        self.dollars_in_flight += dollars
        estimate = prompt_tokens(request)
        tokens = self.tokens.spend(estimate + max_reply_tokens(request, self.settings), now)
        return Reservation(estimate, tokens, dollars)

    def end(self, reservation: Reservation, answer: Completion | None) -> float:
        """Replace the reservation by what the answer took, and return its dollars."""
        self.requests_in_flight -= 1
        self.dollars_in_flight = max(0.0, self.dollars_in_flight - reservation.dollars)
        if answer is None:
            return 0
        self.tokens.correct(reservation.tokens, answer.tokens_in + answer.tokens_out)
        self.prompt_factor = max(self.prompt_factor, answer.tokens_in / max(reservation.prompt_tokens, 1))
        dollars = self.price.of(answer.tokens_in, answer.tokens_out) if self.price else 0.0
        self.spent += dollars
        return dollars

    def pause(self, seconds: float) -> bool:
        """Send nothing for so many seconds, as the server asks. Returns whether no pause was on before."""
        now = self.clock()
        is_new, self.not_before = self.not_before <= now, max(self.not_before, now + seconds)
        return is_new

    def _max_dollars(self, request: ChatRequest) -> float:
        if self.price is None:
            return 0.0
        tokens_in = self.prompt_factor * prompt_tokens(request)
        return self.price.of(tokens_in, max_reply_tokens(request, self.settings))
