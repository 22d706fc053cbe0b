"""The report of a pointer: report.json for programs and the leaderboard, report.md for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from posetalk.atomic_files import write_text
from posetalk.pointer.reply import Outcome
from posetalk.pointer.scores import NUMBERS, PointScores
from posetalk.score.tables import number, rounded, span, table

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
OUTCOMES_TEXT = (
    "found: a place; left out: the reply has places but none for this name; off scale: outside of the picture that was "
    "shown; refused: said in words, by null or by an empty list; unreadable: no place and no refusal; not answered: no "
    "reply. All but found count as misses."
)


@dataclass(frozen=True, slots=True)
class PointerUsage:
    """What asking took: requests of this folder, tokens in and out, US dollars; tokens are 0 on this machine."""

    requests: int
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class PointerReport:
    """The numbers of one pointer on one set of people, beside others on the same people.

    Attributes:
        model: The name of the model.
        form: The form that it was asked in.
        view: What it was shown: photo or crop.
        data: The name of the label file.
        people_mark: A fingerprint of the people and their labelled points: reports with the same can be compared.
        images, people, points: How many there are.
        scores: Of the model.
        beside: Of others by name; the average place is among them.
        outcomes: How many points had which outcome.
        usage: What asking took.
        counts: The labelled points by name.
        notes: What a reader must know.
    """

    model: str
    form: str
    view: str
    data: str
    people_mark: str
    images: int
    people: int
    points: int
    scores: PointScores
    beside: Mapping[str, PointScores]
    outcomes: Mapping[Outcome, int]
    usage: PointerUsage
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds."""
        values: dict[str, Any] = rounded(asdict(self))
        return values

    def to_markdown(self) -> str:
        """The report as tables in Markdown."""
        columns = {self.model: self.scores, **self.beside}
        rows = []
        for name in NUMBERS:
            row = [name]
            for scores in columns.values():
                row += [number(scores.numbers[name]), span(scores.intervals.get(name))]
            rows.append(row)
        header = ["number", *(cell for name in columns for cell in (name, "95 %"))]
        points = [
            [name, str(n), *(number(scores.near[name]) for scores in columns.values())]
            for name, n in self.counts.items()
            if n
        ]
        usage = self.usage
        tokens = f", {usage.tokens_in:,} tokens read, {usage.tokens_out:,} written" if usage.tokens_in else ""
        dollars = f", ${usage.dollars:,.2f}" if usage.dollars else ""
        lines = [
            f"# {self.model}: {self.points:,} points of {self.people} people on {self.images} photos of {self.data}",
            "",
            f"- asked in the form {self.form}, shown the {self.view}: {usage.requests:,} requests{tokens}{dollars}",
            *(f"- {note}" for note in self.notes),
            "",
            *table(header, rows),
            "",
            *(f"{name}: {text}." for name, text in NUMBERS.items()),
            "95 %: percentile bootstrap over people, 1,000 draws.",
            "",
            "## What became of the points",
            "",
            *table(OUTCOMES, [[f"{self.outcomes.get(outcome, 0):,}" for outcome in OUTCOMES]]),
            "",
            OUTCOMES_TEXT,
            "",
            "## PCK@0.1 by name",
            "",
            *table(["point", "labels", *columns], points),
        ]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> None:
        """Write report.json and report.md.

        Raises:
            PosetalkError: The folder cannot be written.
        """
        write_text(folder / "report.json", json.dumps(self.to_dict(), indent=1) + "\n")
        write_text(folder / "report.md", self.to_markdown())
