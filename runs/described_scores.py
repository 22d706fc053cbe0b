"""Answers about described points, and the tables of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from described_labels import DescribedPerson, part_of

from posetalk.score.bootstrap import interval, resample
from posetalk.score.tables import number, span, table
from posetalk.skeleton import swap_sides
from posetalk.types import Floats

NEAR, NEARER = 0.1, 0.05  # of the longer side of the box; the labels are exact to about half of the second
SIDED = {"feet": ("toe", "heel"), "hands": ("hand", "wrist", "finger", "thumb")}  # words of their points
AVERAGE = "average place"


@dataclass(frozen=True, slots=True)
class PointAnswer:
    """Where one labelled point was found. person: its number; error: a share of the box's longer side; score: None for
    what is no model's answer; wrong_side: whether the same point of the other side is nearer, None where that is not
    labelled or there is none."""

    person: int
    name: str
    x: float
    y: float
    error: float
    score: float | None
    wrong_side: bool | None

    @property
    def found(self) -> bool:
        return self.error <= NEAR


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """What a model answers by wording, and arithmetic on its answers to COCO's 17 joints by name."""

    arithmetic: dict[str, list[PointAnswer]]
    wordings: dict[str, list[PointAnswer]]


def answer(
    people: Sequence[DescribedPerson],
    person: int,
    name: str,
    xy: tuple[float, float],
    score: float | None = None,
) -> PointAnswer:
    one = people[person]

    def distance(to: tuple[float, float]) -> float:
        return float(np.hypot(xy[0] - to[0], xy[1] - to[1]))

    own, other = one.points[name], one.points.get(swap_sides(name))
    has_side = swap_sides(name) != name and other is not None
    return PointAnswer(
        person=person,
        name=name,
        x=float(xy[0]),
        y=float(xy[1]),
        error=distance(own) / max(one.box.w, one.box.h),
        score=score,
        wrong_side=distance(other) < distance(own) if has_side and other else None,
    )


def auroc(answers: Sequence[PointAnswer]) -> float | None:
    """The chance that a found point has a higher score than another, ties counting half; None without both kinds."""
    right, wrong = (
        np.array([a.score for a in answers if a.found == kind and a.score is not None])
        for kind in (True, False)
    )
    if not len(right) or not len(wrong):
        return None
    above = right[:, None] - wrong[None]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def share(answers: Sequence[PointAnswer]) -> float | None:
    return sum(a.found for a in answers) / len(answers) if answers else None


def by_name_table(columns: Mapping[str, Sequence[PointAnswer]], counts: Mapping[str, int]) -> list[str]:
    """A row for each point without side: the share found, of each column; all points, and the mean over the rows."""
    rows = []
    shares: dict[str, list[float]] = {column: [] for column in columns}
    for part in counts:
        row = [part, str(counts[part])]
        for column, answers in columns.items():
            value = share([a for a in answers if part_of(a.name) == part])
            row.append(number(value))
            shares[column] += [] if value is None else [value]
        rows.append(row)
    rows.append(["all points", str(sum(counts.values())), *(number(share(a)) for a in columns.values())])
    rows.append(
        ["mean of the rows", "", *(number(float(np.mean(s)) if s else None) for s in shares.values())]
    )
    return table(["point", "labels", *columns], rows)


@dataclass(frozen=True, slots=True)
class WordingScore:
    """One wording of one model.

    labels: points asked for; found: the share found, with its 95 % interval; nearer: the share within 0.05; leads: 95 %
    intervals of its lead over each arithmetic on the same points; score: the mean; auroc: of the score, for found
    against not; wrong_sides: of feet and of hands, of the points whose other side is labelled too: those that are
    nearer to the other side, and all.
    """

    labels: int
    found: float | None
    interval: tuple[float, float] | None
    nearer: float | None
    leads: dict[str, tuple[float, float] | None]
    score: float | None
    auroc: float | None
    wrong_sides: dict[str, tuple[int, int]]

    def row(self, model: str, way: str) -> list[str]:
        leads = ["" if name == way else span(lead) for name, lead in self.leads.items()]
        cells = [
            number(self.found),
            span(self.interval),
            *leads,
            number(self.nearer),
            number(self.score),
            number(self.auroc),
        ]
        sides = [f"{wrong} of {count}" for wrong, count in self.wrong_sides.values()]
        return [model, way, str(self.labels), *cells, *sides]


def wording_score(
    answers: Sequence[PointAnswer], references: Mapping[str, Sequence[PointAnswer]], people: int
) -> WordingScore:
    """The score of some answers; references: those of arithmetic by name; people: how many there are."""
    keys = {(a.person, a.name) for a in answers}
    same = [[a for a in some if (a.person, a.name) in keys] for some in references.values()]
    found = np.array([_of_each(some, people, lambda a: a.found) for some in (answers, *same)]).T
    labels = _of_each(answers, people, lambda a: True)
    draws = resample(found, np.tile(labels[:, None], found.shape[1]))
    scores = [a.score for a in answers if a.score is not None]
    return WordingScore(
        labels=len(answers),
        found=share(answers),
        interval=interval(draws[:, 0]),
        nearer=float(np.mean([a.error <= NEARER for a in answers])) if answers else None,
        leads={name: interval(draws[:, 0] - draws[:, i]) for i, name in enumerate(references, 1)},
        score=float(np.mean(scores)) if scores else None,
        auroc=auroc(answers),
        wrong_sides={group: wrong_sides(answers, words) for group, words in SIDED.items()},
    )


def _of_each(answers: Sequence[PointAnswer], people: int, counts: Callable[[PointAnswer], bool]) -> Floats:
    """How many answers count, of each person: (people,)."""
    return np.bincount([a.person for a in answers if counts(a)], minlength=people).astype(np.float64)


def wrong_sides(answers: Sequence[PointAnswer], words: Sequence[str]) -> tuple[int, int]:
    """Of the points with one of the words in their names: those on the wrong side, and all where that can be told."""
    told = [
        a.wrong_side for a in answers if a.wrong_side is not None and any(word in a.name for word in words)
    ]
    return sum(told), len(told)


def section(
    title: str,
    people: Sequence[DescribedPerson],
    average: Sequence[PointAnswer],
    given: Mapping[str, ModelAnswers],
) -> tuple[list[str], dict[str, object]]:
    """The tables of one set of labels in Markdown, and the same for JSON; average: the baseline; given: by model."""
    counts: dict[str, int] = {}
    for one in people:
        for name in one.points:
            counts[part_of(name)] = counts.get(part_of(name), 0) + 1
    columns: dict[str, Sequence[PointAnswer]] = {AVERAGE: average}
    scores: dict[str, dict[str, WordingScore]] = {}
    for model, answers in given.items():
        ways = {**answers.arithmetic, **answers.wordings}
        columns |= {f"{model}: {way}": some for way, some in ways.items()}
        scores[model] = {
            way: wording_score(some, answers.arithmetic, len(people)) for way, some in ways.items()
        }
    photos = len({one.image for one in people})
    lines = [f"## {title}: {sum(counts.values())} points of {len(people)} people on {photos} photos", ""]
    lines += [f"The share found within {NEAR} of the longer side of the person's box.", ""]
    lines += by_name_table(columns, counts)
    leads = [f"lead over {name}" for name in next(iter(given.values())).arithmetic]
    head = ["model", "wording", "labels", "found", "95 %", *leads, f"within {NEARER}", "mean score", "AUROC"]
    rows = [score.row(model, way) for model, ways in scores.items() for way, score in ways.items()]
    lines += ["", *table([*head, *(f"wrong sides: {group}" for group in SIDED)], rows), ""]
    lines.append("Intervals: 95 %, percentile bootstrap over people, 1,000 draws.")
    data = {
        "scores": {
            model: {way: asdict(score) for way, score in ways.items()} for model, ways in scores.items()
        },
        "answers": {column: [asdict(a) for a in some] for column, some in columns.items()},
    }
    return lines, data
