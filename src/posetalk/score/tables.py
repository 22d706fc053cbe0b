"""Numbers as the cells of a table in Markdown, and rounded for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns are aligned in plain text too."""
    widths = [max(len(row[j]) for row in (head, *rows)) for j in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows)]


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def span(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.3f} to {pair[1]:.3f}"


def rounded(value: Any) -> Any:
    """The value with every float in it rounded to six digits, and tuples as lists."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, tuple | list) else value
