"""What a run will ask for and cost, before it is begun."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings, key, limit, tokens_in
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.settings import Settings


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens, read and written."""

    into: float
    out: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars for so many tokens."""
        return (tokens_in * self.into + tokens_out * self.out) / 1e6


def price_of(model: str, table: str | Path | None = None) -> Price | None:
    """The price of a model in a TOML table, by default the packaged prices.toml; None where it is not there.

    Errors: a table that cannot be read, a price that is none.
    """
    packaged = files("posetalk.llm").joinpath("prices.toml")
    data = tomllib.loads(packaged.read_text(encoding="utf-8")) if table is None else Settings.read(table)
    found = data.get("models", {})
    if not isinstance(found, dict) or model not in found:
        return None
    match found[model]:
        case {"in": int() | float() as into, "out": int() | float() as out} if all(
            0 <= n <= 1e9 for n in (into, out)
        ):
            return Price(into, out)
    raise PosetalkError(f"{table}: the price of {model!r} is not of the form {{ in = 2.5, out = 10.0 }}")


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What jobs take if each is answered at the first time of asking.

    tokens_in: by the rule of four characters a token. tokens_out: the most that the jobs allow. dollars: of both; None
    without a price.
    """

    requests: int
    tokens_in: int
    tokens_out: int
    dollars: float | None

    def __str__(self) -> str:
        money = "no price is known" if self.dollars is None else f"at most about ${self.dollars:,.2f}"
        return (
            f"{self.requests:,} requests, about {self.tokens_in:,} tokens to read (a token for four characters), "
            f"at most {self.tokens_out:,} to write; {money}; jobs that are asked again come on top"
        )


def estimate(
    jobs: Iterable[ChatRequest], settings: ServerSettings, price: Price | None, ledger: Ledger | None = None
) -> CostEstimate:
    """Count what is to be asked, asking nothing. ledger: what is answered in it is not counted."""
    requests = into = out = 0
    for job in jobs:
        row = ledger.row(key(job, settings)) if ledger else None
        if row is None or row.answer is None:
            requests += 1
            into += tokens_in(job)
            out += limit(job, settings)
    return CostEstimate(requests, into, out, None if price is None else price.of(into, out))
