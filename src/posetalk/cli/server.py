"""The options of every command that asks a model on a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from posetalk.errors import PosetalkError

if TYPE_CHECKING:
    from posetalk.llm.client import ServerSettings
    from posetalk.llm.pricing import Price
    from posetalk.llm.request_state import RunReport


@Parameter(name="*")
@dataclass(frozen=True)
class Server:
    """How a server is asked.

    Attributes:
        base_url: The address of a server with OpenAI's interface, such as http://localhost:8000/v1. The default
            is OpenAI's own.
        settings: A TOML file with these options and more (temperature, seed, timeout, retries,
            requests_per_minute, tokens_per_minute). Options given beside it take the place of what it says.
        concurrency: The largest number of requests that wait for an answer at the same time. The default is 16.
        max_tokens: The largest number of tokens of an answer, thinking included. By default each task has its
            own number.
        max_cost_usd: The largest cost of all requests of the folder together, in US dollars. By default there is no
            limit.
        prices: A TOML table of prices in US dollars a million tokens, a line a model under [models]:
            "gpt-4.1-mini" = { in = 0.4, out = 1.6 }. The default is a built-in table of examples, which has to
            be checked.
    """

    base_url: str | None = None
    settings: Path | None = None
    concurrency: int | None = None
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    prices: Path | None = None

    def asks(self, model: str | None) -> ServerSettings:
        """The file, and what is given beside it. One of the two must name a model."""
        from posetalk.llm.client import ServerSettings

        given = ServerSettings.read(self.settings) if self.settings else {}
        beside = {
            "model": model,
            "base_url": self.base_url,
            "concurrency": self.concurrency,
            "max_tokens": self.max_tokens,
            "max_cost_usd": self.max_cost_usd,
        }
        given |= {key: value for key, value in beside.items() if value is not None}
        if "model" not in given:
            raise PosetalkError(
                "which model shall be asked? give --model NAME, and --base-url for a server of your own"
            )
        return ServerSettings.check(given, str(self.settings or "the options"))

    def price(self, model: str) -> Price | None:
        """What the model costs."""
        from posetalk.llm.pricing import price_of

        return price_of(model, self.prices)


HERE = Server()  # nothing given
STOPPED = 3  # the exit code of a run that a limit has ended before all was asked


def leave(report: RunReport, made: bool, nothing: str) -> None:
    """After what was done is printed: end the command with the code that its run has earned, or go on where that is 0.

    made: there is something to show; nothing: a sentence for where there is not. Interrupted: 130; nothing: 2; ended by
    the limit of money: STOPPED.
    """
    if report.interrupted:
        raise KeyboardInterrupt
    if not made:
        raise PosetalkError(nothing + (f"; stopped: {report.stopped}" if report.stopped else ""))
    if report.stopped:
        raise SystemExit(STOPPED)
