"""A report for the terminal."""

from __future__ import annotations

from rich.table import Table

from posetalk.bench.report.compare import KindScore
from posetalk.bench.report.report import BenchReport
from posetalk.errors import shown


def tables(found: BenchReport) -> list[Table]:
    """Relative scores, accuracy beside chance and blind guessing, differences between models; those there are."""
    made = []
    if found.relative:
        kinds = {number.kind: None for one in found.relative.values() for number in one.numbers}
        by = f" by {found.judge}" if found.judge else ""
        table = _table(
            f"Scores{by} beside the references', which are 100 (95 %)", ["answers", *found.relative]
        )
        for kind in kinds:
            table.add_row(kind, *(_of(one.numbers, kind, ".1f") for one in found.relative.values()))
        for name, cells in (
            ("reviews that failed", [f"{one.failed:,}" for one in found.relative.values()]),
            ("questions left out for it", [f"{one.left_out:,}" for one in found.relative.values()]),
            ("points more if shown first", [_cell(one.first, "+.2f") for one in found.relative.values()]),
        ):
            table.add_row(name, *cells)
        made.append(table)
    if found.accuracy:
        table = _table(
            "Questions answered rightly, of 1 (95 %)", ["about", "n", "chance", "blind", *found.accuracy]
        )
        for kind, chance in found.chance.items():
            cells = [_of(one.numbers, kind, ".3f") for one in found.accuracy.values()]
            n = next(x.n for one in found.accuracy.values() for x in one.numbers if x.kind == kind)
            table.add_row(kind, f"{n:,}", f"{chance:.3f}", _cell(found.blind.get(kind), ".3f"), *cells)
        for name, counts in (
            ("unreadable, taken as wrong", [one.unreadable for one in found.accuracy.values()]),
            ("missing, taken as wrong", [one.missing for one in found.accuracy.values()]),
        ):
            table.add_row(name, "", "", "", *(f"{count:,}" for count in counts))
        made.append(table)
    if found.tests:
        table = _table("Differences, paired", ["of", "between", "n", "difference (95 %)", "p"])
        for test in found.tests:
            digits = "+.1f" if test.what == "relative score" else "+.3f"
            number = KindScore("", test.n, test.difference, test.interval)
            p = "-" if test.p is None else f"{test.p:.4f}"
            pair = shown(f"{test.second} - {test.first}")
            table.add_row(test.what, pair, f"{test.n:,}", _cell(number, digits), p)
        made.append(table)
    return made


def _table(title: str, head: list[str]) -> Table:
    table = Table(title=shown(title), title_justify="left")
    for place, name in enumerate(head):
        table.add_column(shown(name), justify="right" if place else "left")
    return table


def _of(numbers: tuple[KindScore, ...], kind: str, digits: str) -> str:
    return _cell(next((number for number in numbers if number.kind == kind), None), digits)


def _cell(number: KindScore | None, digits: str) -> str:
    if number is None:
        return "-"
    text = format(number.value, digits)
    return text if number.interval is None else f"{text} ({_to(number.interval, digits)})"


def _to(pair: tuple[float, float], digits: str) -> str:
    return " to ".join(format(end, digits) for end in pair)
