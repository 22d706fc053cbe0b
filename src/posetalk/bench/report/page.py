"""A report as one HTML file that opens offline, runs nothing and asks nothing of the net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posetalk.atomic_files import write_text
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.questions.questions import Question
from posetalk.bench.report.cards import Thumbnails, examples
from posetalk.bench.report.compare import KindScore
from posetalk.bench.report.report import BenchReport, ModelResults
from posetalk.pages.render import render

COLOURS = 5


@dataclass(frozen=True, slots=True)
class _Bar:
    """A model's number: its text, and where its bar and its interval end, as shares of the scale."""

    model: str
    number: str
    to: float
    ends: tuple[float, float] | None
    interval: str


@dataclass(frozen=True, slots=True)
class _Group:
    """The models' bars of one kind of question. mark, blind: lines across them, as shares of the scale."""

    kind: str
    questions: int
    bars: tuple[_Bar, ...]
    mark: float
    blind: float | None


def write_page(
    found: BenchReport,
    out: Path,
    models: Sequence[ModelResults] = (),
    closed: Sequence[Question] = (),
    opened: OpenSet | None = None,
    images: Path | None = None,
    title: str = "Who understands bodies?",
) -> list[str]:
    """Write the page; gives back a sentence for each photo that cannot be read.

    models, closed, opened: as reported, for the best and worst answers. images: the folder of the photos; those that
    are not there are left out. Errors: a file that cannot be written.
    """
    photos = Thumbnails(images)
    text = render(
        "bench.html.jinja",
        title=title,
        what=_what(found),
        names=list(found.models),
        colours={name: f"--bar:var(--hue{i % COLOURS})" for i, name in enumerate(found.models)},
        opened=_opened(found),
        closed=_closed(found),
        blind=bool(found.blind),
        wrong=_wrong(found),
        tests=_tests(found),
        examples=[shown for model in models for shown in examples(model, closed, opened, photos)],
    )
    write_text(out, text)
    return photos.faults


def _what(found: BenchReport) -> str:
    parts = []
    if found.relative:
        most = max(one.judged + one.failed for one in found.relative.values())
        by = f", judged by {found.judge}" if found.judge else ""
        parts.append(f"open answers beside written references{by}, up to {most:,} reviews a model")
    if found.accuracy:
        asked = max(number.n for one in found.accuracy.values() for number in one.numbers)
        parts.append(f"{asked:,} questions whose answers are known from the keypoints")
    return f"{', '.join(found.models)}: {'; '.join(parts)}."


def _opened(found: BenchReport) -> list[_Group]:
    numbers = {name: one.numbers for name, one in found.relative.items()}
    ends = [value for some in numbers.values() for n in some for value in (n.value, *(n.interval or ()))]
    top = max([110.0, *ends])
    return _groups(numbers, top, {}, {}, 1, 100 / top)


def _closed(found: BenchReport) -> list[_Group]:
    numbers = {name: one.numbers for name, one in found.accuracy.items()}
    blind = {kind: number.value for kind, number in found.blind.items()}
    return _groups(numbers, 1.0, found.chance, blind, 100)


def _groups(
    numbers: dict[str, tuple[KindScore, ...]],
    top: float,
    marks: dict[str, float],
    blind: dict[str, float],
    shown: float,
    mark: float = 0,
) -> list[_Group]:
    """A group for each kind, a bar for each model, on a scale from 0 to `top`; texts are times `shown`.

    marks, blind: by kind, as shares of the scale; mark: where a kind has none of its own.
    """
    groups = []
    for kind in {number.kind: None for some in numbers.values() for number in some}:
        bars, n = [], 0
        for name, some in numbers.items():
            one = next((number for number in some if number.kind == kind), None)
            if one is None:
                continue
            n = max(n, one.n)
            ends, interval = None, ""
            if one.interval is not None:
                low, high = one.interval
                ends, interval = (low / top, high / top), f"{shown * low:.1f} to {shown * high:.1f}"
            bars.append(_Bar(name, f"{shown * one.value:.1f}", one.value / top, ends, interval))
        groups.append(_Group(kind, n, tuple(bars), marks.get(kind, mark), blind.get(kind)))
    return groups


@dataclass(frozen=True, slots=True)
class _Wrong:
    """said: what the rows mean; rows: a name, and a number for each model."""

    said: str
    rows: list[list[str]]


def _wrong(found: BenchReport) -> _Wrong:
    """What was left out, taken as wrong, or shifted by the order."""
    relative = [found.relative.get(name) for name in found.models]
    accuracy = [found.accuracy.get(name) for name in found.models]
    first = [one.first if one else None for one in relative]
    rows, said = [], []
    if found.relative:
        rows += [
            ["reviews failed", *("-" if one is None else f"{one.failed:,}" for one in relative)],
            ["questions left out", *("-" if one is None else f"{one.left_out:,}" for one in relative)],
            [
                "points more if shown first",
                *("-" if n is None else _signed(n.value, n.interval) for n in first),
            ],
        ]
        said.append(
            "Failed reviews count nowhere. The same answer's score when the judge saw it first, less when it saw it "
            "second, should be 0."
        )
    if found.accuracy:
        rows += [
            ["unreadable answers", *("-" if one is None else f"{one.unreadable:,}" for one in accuracy)],
            ["missing answers", *("-" if one is None else f"{one.missing:,}" for one in accuracy)],
        ]
        said.append("Answers that are unreadable or missing count as wrong.")
    return _Wrong(" ".join(said), rows)


def _tests(found: BenchReport) -> list[list[str]]:
    rows = []
    for test in found.tests:
        digits = ".1f" if test.what == "relative score" else ".3f"
        p = "-" if test.p is None else f"{test.p:.4f}"
        ends = _signed(test.difference, test.interval, digits)
        rows.append([f"{test.second} less {test.first}", test.what, f"{test.n:,}", ends, p])
    return rows


def _signed(value: float, ends: tuple[float, float] | None, digits: str = ".2f") -> str:
    text = format(value, f"+{digits}")
    return text if ends is None else f"{text} ({ends[0]:+{digits}} to {ends[1]:+{digits}})"
