"""A report as one HTML file that opens offline, runs no script and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posetalk.atomic_files import write_text
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.report.cards import Thumbnails, examples
from posetalk.bench.report.compare import FEW, KindScore
from posetalk.bench.report.report import BenchReport, ModelResults
from posetalk.pages.render import render
from posetalk.write.questions.questions import Question

COLOURS = 5


@dataclass(frozen=True, slots=True)
class _Bar:
    """A model's score as text, and the ends of its bar and of its interval as shares of the scale."""

    model: str
    number: str
    length: float
    ends: tuple[float, float] | None
    interval: str


@dataclass(frozen=True, slots=True)
class _Group:
    """The models' bars of one kind of question. `baseline` and `blind` are lines at shares of the scale."""

    kind: str
    questions: int
    bars: tuple[_Bar, ...]
    baseline: float
    blind: float | None


def write_page(
    report: BenchReport,
    out: Path,
    models: Sequence[ModelResults] = (),
    closed: Sequence[Question] = (),
    open_set: OpenSet | None = None,
    images: Path | None = None,
    title: str = "Who understands bodies?",
) -> list[str]:
    """Write the page of a report.

    Args:
        report: The numbers.
        out: The HTML file.
        models: Results of the models, for examples of their answers.
        closed: Questions with one right answer, for the examples.
        open_set: Open questions, for the examples.
        images: Folder of the images; a missing image is left out.
        title: Title of the page.

    Returns:
        A sentence for each image that cannot be read.

    Raises:
        PosetalkError: The file cannot be written.
    """
    thumbnails = Thumbnails(images)
    text = render(
        "bench.html.jinja",
        title=title,
        what=_summary(report),
        names=list(report.models),
        colours={name: f"--bar:var(--hue{i % COLOURS})" for i, name in enumerate(report.models)},
        open_groups=_open_groups(report),
        closed_groups=_closed_groups(report),
        blind=bool(report.blind),
        faults=_faults(report),
        tests=_tests(report),
        few=FEW,
        examples=[section for model in models for section in examples(model, closed, open_set, thumbnails)],
    )
    write_text(out, text)
    return thumbnails.faults


def _summary(report: BenchReport) -> str:
    parts = []
    if report.relative:
        reviews = max(scores.judged + scores.failed for scores in report.relative.values())
        judge = f", judged by {report.judge}" if report.judge else ""
        parts.append(f"open answers beside written references{judge}, up to {reviews:,} reviews a model")
    if report.accuracy:
        questions = max(number.n for scores in report.accuracy.values() for number in scores.numbers)
        parts.append(f"{questions:,} questions whose answers are known from the keypoints")
    keys = f" {report.keys[0].upper()}{report.keys[1:]}." if report.keys else ""
    return f"{', '.join(report.models)}: {'; '.join(parts)}.{keys}"


def _open_groups(report: BenchReport) -> list[_Group]:
    scores = {name: relative.numbers for name, relative in report.relative.items()}
    ends = (value for numbers in scores.values() for n in numbers for value in (n.value, *(n.interval or ())))
    scale_end = max([110.0, *ends])
    return _groups(scores, scale_end, {}, {}, 1, 100 / scale_end)


def _closed_groups(report: BenchReport) -> list[_Group]:
    scores = {name: accuracy.numbers for name, accuracy in report.accuracy.items()}
    blind = {kind: number.value for kind, number in report.blind.items()}
    return _groups(scores, 1.0, report.chance, blind, 100)


def _groups(
    scores: dict[str, tuple[KindScore, ...]],
    scale_end: float,
    baselines: dict[str, float],
    blind: dict[str, float],
    factor: float,
    baseline: float = 0,
) -> list[_Group]:
    """A group for each kind with a bar for each model, on a scale from 0 to `scale_end`.

    Numbers in texts are multiplied by `factor`. `baselines` and `blind` are by kind, as shares of the scale; `baseline`
    is for kinds without one.
    """
    groups = []
    for kind in {number.kind: None for numbers in scores.values() for number in numbers}:
        bars, questions = [], 0
        for name, numbers in scores.items():
            score = next((number for number in numbers if number.kind == kind), None)
            if score is None:
                continue
            questions = max(questions, score.n)
            ends, interval = None, ""
            if score.interval is not None:
                low, high = score.interval
                ends = (low / scale_end, high / scale_end)
                interval = f"{factor * low:.1f} to {factor * high:.1f}"
            text = f"{factor * score.value:.1f}"
            bars.append(_Bar(name, text, score.value / scale_end, ends, interval))
        groups.append(_Group(kind, questions, tuple(bars), baselines.get(kind, baseline), blind.get(kind)))
    return groups


@dataclass(frozen=True, slots=True)
class _Faults:
    """A table of faults: what the rows mean, and for each row its label and a number for each model."""

    note: str
    rows: list[list[str]]


def _faults(report: BenchReport) -> _Faults:
    """Failed reviews, missing and unreadable answers, and the position bias."""
    relative = [report.relative.get(name) for name in report.models]
    accuracy = [report.accuracy.get(name) for name in report.models]
    bias = [scores.first if scores else None for scores in relative]
    rows, notes = [], []
    if report.relative:
        rows += [
            ["reviews failed", *("-" if scores is None else f"{scores.failed:,}" for scores in relative)],
            [
                "questions left out",
                *("-" if scores is None else f"{scores.left_out:,}" for scores in relative),
            ],
            [
                "points more if shown first",
                *("-" if n is None else _signed(n.value, n.interval) for n in bias),
            ],
        ]
        notes.append(
            "Failed reviews count nowhere. The same answer's score when the judge saw it first, less when it saw it "
            "second, should be 0."
        )
    if report.accuracy:
        rows += [
            [
                "unreadable answers",
                *("-" if scores is None else f"{scores.unreadable:,}" for scores in accuracy),
            ],
            ["missing answers", *("-" if scores is None else f"{scores.missing:,}" for scores in accuracy)],
        ]
        notes.append("Answers that are unreadable or missing count as wrong.")
    return _Faults(" ".join(notes), rows)


def _tests(report: BenchReport) -> list[list[str]]:
    rows = []
    for test in report.tests:
        digits = ".1f" if test.what == "relative score" else ".3f"
        p = "-" if test.p is None else f"{test.p:.4f}"
        difference = _signed(test.difference, test.interval, digits)
        rows.append([f"{test.second} less {test.first}", test.what, f"{test.n:,}", difference, p])
    return rows


def _signed(value: float, ends: tuple[float, float] | None, digits: str = ".2f") -> str:
    text = format(value, f"+{digits}")
    return text if ends is None else f"{text} ({ends[0]:+{digits}} to {ends[1]:+{digits}})"
