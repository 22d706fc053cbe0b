"""The tables of a report in the terminal."""

from __future__ import annotations

from rich.table import Table

from posetalk.bench.report.compare import KindScore
from posetalk.bench.report.report import BenchReport
from posetalk.errors import shown


def tables(report: BenchReport) -> list[Table]:
    """Tables for the terminal: relative scores, accuracy beside chance and blind guessing, differences of models."""
    result = []
    if report.relative:
        relative = report.relative.values()
        judge = f" by {report.judge}" if report.judge else ""
        table = _table(
            f"Scores{judge} beside the references', which are 100 (95 %)", ["answers", *report.relative]
        )
        for kind in {number.kind: None for scores in relative for number in scores.numbers}:
            table.add_row(kind, *(_kind_cell(scores.numbers, kind, ".1f") for scores in relative))
        table.add_row("reviews that failed", *(f"{scores.failed:,}" for scores in relative))
        table.add_row("questions left out for it", *(f"{scores.left_out:,}" for scores in relative))
        table.add_row("points more if shown first", *(_cell(scores.first, "+.2f") for scores in relative))
        result.append(table)
    if report.accuracy:
        accuracy = report.accuracy.values()
        table = _table(
            "Questions answered rightly, of 1 (95 %)", ["about", "n", "chance", "blind", *report.accuracy]
        )
        for kind, chance in report.chance.items():
            n = next(number.n for scores in accuracy for number in scores.numbers if number.kind == kind)
            blind = _cell(report.blind.get(kind), ".3f")
            cells = (_kind_cell(scores.numbers, kind, ".3f") for scores in accuracy)
            table.add_row(kind, f"{n:,}", f"{chance:.3f}", blind, *cells)
        counts = [f"{scores.unreadable:,}" for scores in accuracy]
        table.add_row("unreadable, taken as wrong", "", "", "", *counts)
        table.add_row("missing, taken as wrong", "", "", "", *(f"{scores.missing:,}" for scores in accuracy))
        result.append(table)
    if report.tests:
        table = _table("Differences, paired", ["of", "between", "n", "difference (95 %)", "p"])
        for test in report.tests:
            digits = "+.1f" if test.what == "relative score" else "+.3f"
            difference = _cell(KindScore("", test.n, test.difference, test.interval), digits)
            p = "-" if test.p is None else f"{test.p:.4f}"
            table.add_row(test.what, shown(f"{test.second} - {test.first}"), f"{test.n:,}", difference, p)
        result.append(table)
    return result


def _table(title: str, head: list[str]) -> Table:
    table = Table(title=shown(title), title_justify="left")
    for column, name in enumerate(head):
        table.add_column(shown(name), justify="right" if column else "left")
    return table


def _kind_cell(numbers: tuple[KindScore, ...], kind: str, digits: str) -> str:
    return _cell(next((number for number in numbers if number.kind == kind), None), digits)


def _cell(number: KindScore | None, digits: str) -> str:
    if number is None:
        return "-"
    text = format(number.value, digits)
    if number.interval is None:
        return text
    low, high = number.interval
    return f"{text} ({low:{digits}} to {high:{digits}})"
