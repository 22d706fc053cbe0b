"""A report as one HTML file that opens offline, runs nothing and asks nothing of the net."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.questions.questions import Question
from posetalk.bench.report.cards import Thumbnails, examples
from posetalk.bench.report.compare import KindScore
from posetalk.bench.report.report import BenchReport, ModelResults
from posetalk.whole import write_text

COLOURS = 5


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
    colours = {name: f"--bar:var(--m{i % COLOURS})" for i, name in enumerate(found.models)}
    legend = [
        f'<li style="{colour}"><i class="dot"></i>{escape(name)}</li>' for name, colour in colours.items()
    ]
    text = Template(
        files("posetalk.bench.report").joinpath("page.html").read_text(encoding="utf-8")
    ).substitute(
        title=escape(title),
        what=escape(_what(found)),
        legend="".join(legend),
        panels=f'<div class="stack">{_relative(found, colours)}{_counts(found)}{_tests(found)}</div>'
        + _accuracy(found, colours),
        examples="".join(examples(model, colours[model.name], closed, opened, photos) for model in models),
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


def _relative(found: BenchReport, colours: dict[str, str]) -> str:
    if not found.relative:
        return ""
    numbers = {name: one.numbers for name, one in found.relative.items()}
    ends = [value for some in numbers.values() for n in some for value in (n.value, *(n.interval or ()))]
    top = max([110.0, *ends])
    mark = f'<s style="--at:{100 / top:.2%}"></s>'
    rows = _groups(numbers, colours, top, lambda kind: mark)
    said = "The judge's scores of the answers as a share of those of the references, which are 100 (dashed)."
    return _panel("Open answers", said, rows)


def _accuracy(found: BenchReport, colours: dict[str, str]) -> str:
    if not found.accuracy:
        return ""

    def mark(kind: str) -> str:
        marks = f'<s style="--at:{found.chance[kind]:.2%}"></s>'
        if kind in found.blind:
            marks += f'<s class="seen" style="--at:{found.blind[kind].value:.2%}"></s>'
        return marks

    numbers = {name: one.numbers for name, one in found.accuracy.items()}
    rows = _groups(numbers, colours, 1.0, mark, 100)
    said = "Questions answered rightly, of 100, by what they are about; dashed: chance"
    said += "; dotted: a classifier of the words alone." if found.blind else "."
    return _panel("Questions with one right answer", said, rows)


def _groups(
    numbers: dict[str, tuple[KindScore, ...]],
    colours: dict[str, str],
    top: float,
    mark: Callable[[str], str],
    shown: float = 1,
) -> str:
    """A group of bars for each kind, a bar for each model, on a scale from 0 to `top`; numbers are times `shown`."""
    groups = []
    for kind in {number.kind: None for some in numbers.values() for number in some}:
        bars, n = [], 0
        for name, some in numbers.items():
            one = next((number for number in some if number.kind == kind), None)
            if one is None:
                continue
            n = max(n, one.n)
            line, ends = "", ""
            if one.interval is not None:
                low, high = one.interval
                line = f'<u style="--low:{low / top:.2%};--high:{high / top:.2%}"></u>'
                ends = f" <small>{shown * low:.1f} to {shown * high:.1f}</small>"
            bars.append(
                f'<div class="bar" style="{colours[name]}" title="{escape(name)}"><div class="track">'
                f'<i style="--to:{one.value / top:.2%}"></i>{mark(kind)}{line}</div>'
                f"<span><strong>{shown * one.value:.1f}</strong>{ends}</span></div>"
            )
        rows = f'<div class="rows">{"".join(bars)}</div>'
        groups.append(f'<div class="group"><b>{escape(kind)}<small>{n:,}</small></b>{rows}</div>')
    return "".join(groups)


def _counts(found: BenchReport) -> str:
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
    return _panel("What went wrong", " ".join(said), _table(["", *found.models], rows))


def _tests(found: BenchReport) -> str:
    if not found.tests:
        return ""
    rows = []
    for test in found.tests:
        digits = ".1f" if test.what == "relative score" else ".3f"
        p = "-" if test.p is None else f"{test.p:.4f}"
        ends = _signed(test.difference, test.interval, digits)
        rows.append([f"{test.second} less {test.first}", test.what, f"{test.n:,}", ends, p])
    head = ["models", "of", "questions", "difference, 95 %", "p"]
    return _panel("Differences", "On the questions that both answered.", _table(head, rows))


def _signed(value: float, ends: tuple[float, float] | None, digits: str = ".2f") -> str:
    text = format(value, f"+{digits}")
    return text if ends is None else f"{text} ({ends[0]:+{digits}} to {ends[1]:+{digits}})"


def _panel(title: str, said: str, inside: str) -> str:
    return f'<section class="panel"><h2>{escape(title)}</h2><p class="quiet">{escape(said)}</p>{inside}</section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'
