"""One page of the reports of several pointers, best first: made from their report.json files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_file
from posetalk.pages.render import render
from posetalk.pointer.report import OUTCOMES, OUTCOMES_TEXT
from posetalk.pointer.scores import NUMBERS

MAIN = "PCK@0.1"  # what the rows are ordered by
_SHOWN = {
    "PCK@0.1": "PCK@0.1",
    "PCK@0.05": "PCK@0.05",
    "mean_oks": "mean OKS",
    "inside_box": "inside the box",
    "inside_outline": "inside the outline",
    "wrong_side": "wrong side",
    "PCK@0.1_skeleton_names": "PCK@0.1, skeleton names",
    "PCK@0.1_other_names": "PCK@0.1, other names",
}


class _SavedScores(msgspec.Struct):
    numbers: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]


class _SavedReport(msgspec.Struct):
    """What the page needs of a report.json; see `PointerReport`."""

    model: str
    form: str
    view: str
    data: str
    people_mark: str
    images: int
    people: int
    points: int
    scores: _SavedScores
    beside: dict[str, _SavedScores]
    outcomes: dict[str, int]
    usage: dict[str, float]


@dataclass(frozen=True, slots=True)
class _LeaderboardRow:
    """A pointer in a panel. bar, ends: shares of the scale; cells: the numbers as text."""

    name: str
    how: str
    bar: float
    ends: tuple[float, float] | None
    text: str
    interval: str
    is_model: bool
    cells: list[str]


def write_leaderboard(reports: Sequence[str | Path], out: str | Path) -> None:
    """Write the page.

    Pointers stand in one panel where they were asked for the same points of the same people. The average place, the
    bundled model and others of a report stand among them once.

    Args:
        reports: report.json files, or the folders that hold them.
        out: The HTML file.

    Raises:
        PosetalkError: No report is given, a file is no report of a pointer, or the page cannot be written.
    """
    if not reports:
        raise PosetalkError("no report is given; name the folders of posetalk evaluate --pointer")
    panels: dict[str, list[_SavedReport]] = {}
    for path in map(Path, reports):
        file = path / "report.json" if path.is_dir() else path
        report = decode_file(file, _SavedReport, "a report of posetalk evaluate --pointer")
        panels.setdefault(report.people_mark, []).append(report)
    text = render(
        "leaderboard.html.jinja",
        title="Who points best at bodies?",
        panels=[_panel(panel) for panel in panels.values()],
        meanings=[(label, NUMBERS[name]) for name, label in _SHOWN.items()],
        outcomes_text=OUTCOMES_TEXT,
    )
    write_text(out, text)


def _panel(reports: Sequence[_SavedReport]) -> dict[str, Any]:
    first = reports[0]
    beside = {name: scores for report in reports for name, scores in report.beside.items()}
    shown = [
        name
        for name in _SHOWN
        if any(s.numbers.get(name) is not None for s in (*beside.values(), *(r.scores for r in reports)))
    ]
    rows = [
        _row(report.model, f"{report.form}, {report.view}", report.scores, shown, True) for report in reports
    ]
    rows += [_row(name, "", scores, shown, False) for name, scores in beside.items()]
    rows.sort(key=lambda row: -row.bar)
    outcomes = [
        [
            f"{report.model} ({report.form}, {report.view})",
            *(f"{report.outcomes.get(outcome, 0):,}" for outcome in OUTCOMES),
            f"{report.usage['requests']:,.0f}",
            f"{report.usage['tokens_in']:,.0f}",
            f"{report.usage['tokens_out']:,.0f}",
            f"{report.usage['dollars']:,.2f}",
        ]
        for report in reports
    ]
    return {
        "title": first.data,
        "what": f"{first.points:,} points of {first.people:,} people on {first.images:,} photos",
        "rows": rows,
        "head": ["", *(_SHOWN[name] for name in shown)],
        "numbers": [[f"{row.name} ({row.how})" if row.how else row.name, *row.cells] for row in rows],
        "outcomes_head": ["", *OUTCOMES, "requests", "tokens read", "written", "US dollars"],
        "outcomes": outcomes,
    }


def _row(name: str, how: str, scores: _SavedScores, shown: Sequence[str], is_model: bool) -> _LeaderboardRow:
    value = scores.numbers.get(MAIN) or 0.0
    ends = scores.intervals.get(MAIN)
    cells = ["-" if (number := scores.numbers.get(key)) is None else f"{100 * number:.1f}" for key in shown]
    interval = f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}" if ends else ""
    return _LeaderboardRow(name, how, value, ends, f"{100 * value:.1f}", interval, is_model, cells)
