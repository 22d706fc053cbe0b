"""Prices of models, and an estimate of what a run will cost before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings, max_reply_tokens, prompt_tokens, request_key
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.resources import resource_toml
from posetalk.settings import Settings


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs.

    Attributes:
        input: US dollars for a million tokens of prompt.
        output: US dollars for a million tokens of reply.
    """

    input: float
    output: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """What so many tokens cost.

        Args:
            tokens_in: The number of tokens of the prompt.
            tokens_out: The number of tokens of the reply.

        Returns:
            US dollars.
        """
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


def price_of(model: str, table: str | Path | None = None) -> Price | None:
    """Look up the price of a model.

    Args:
        model: The name that the server knows the model by.
        table: A TOML file of prices; by default the packaged prices.toml.

    Returns:
        The price; None where the table has none.

    Raises:
        PosetalkError: the table cannot be read, or the price in it is not two numbers of dollars.
    """
    data = resource_toml("llm/prices.toml") if table is None else Settings.read(table)
    models = data.get("models", {})
    if not isinstance(models, dict) or model not in models:
        return None
    match models[model]:
        case {"in": int() | float() as dollars_in, "out": int() | float() as dollars_out} if all(
            0 <= dollars <= 1e9 for dollars in (dollars_in, dollars_out)
        ):
            return Price(dollars_in, dollars_out)
    raise PosetalkError(f"{table}: the price of {model!r} is not of the form {{ in = 2.5, out = 10.0 }}")


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What requests take if the first reply to each is accepted.

    Attributes:
        requests: How many will be sent.
        tokens_in: Tokens of the prompts, by the rule of four characters a token.
        tokens_out: The most tokens that the replies may have.
        dollars: What both cost; None without a price.
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
    requests: Iterable[ChatRequest],
    settings: ServerSettings,
    price: Price | None,
    ledger: Ledger | None = None,
) -> CostEstimate:
    """Estimate what requests will cost, without sending any.

    Args:
        requests: What will be asked.
        settings: The model and how it is asked.
        price: The model's price, if it is known.
        ledger: Requests that it has an answer to are not counted.
    """
    count = tokens_in = tokens_out = 0
    for request in requests:
        row = ledger.row(request_key(request, settings)) if ledger else None
        if row is None or row.answer is None:
            count += 1
            tokens_in += prompt_tokens(request)
            tokens_out += max_reply_tokens(request, settings)
    return CostEstimate(
        count, tokens_in, tokens_out, None if price is None else price.of(tokens_in, tokens_out)
    )
