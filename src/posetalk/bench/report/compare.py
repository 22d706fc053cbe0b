"""Numbers of models with how far they can be trusted, and differences between two models.

Intervals are 95 % percentile bootstrap over pictures, 1,000 draws; tests are permutation tests, in which the two models
change places in half of the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from posetalk.bench.report.stats import swap_test
from posetalk.score.bootstrap import interval, resample
from posetalk.types import Floats

Pair = tuple[float, float]
# Question -> a top and a bottom; a model's number is the sum of its tops over the sum of its bottoms.
Scores = dict[str, Pair]


@dataclass(frozen=True, slots=True)
class KindScore:
    """One number of a model over some questions. n: questions; interval: 95 %."""

    kind: str
    n: int
    value: float
    interval: Pair | None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """`second` minus `first` on the questions that both have. what: `relative score` or `accuracy`."""

    what: str
    first: str
    second: str
    n: int
    difference: float
    interval: Pair | None
    p: float | None


def number_of(kind: str, scores: Scores, images: Mapping[str, str], scale: float = 1) -> KindScore:
    """images: question -> its picture; scale: what the number is multiplied by."""
    top, bottom = _sums([scores], images)
    value = scale * float(top.sum() / bottom.sum())
    return KindScore(kind, len(scores), value, interval(scale * resample(top, bottom)[:, 0]))


def paired(what: str, scores: Mapping[str, Scores], images: Mapping[str, str]) -> list[PairedDifference]:
    """Each two models, on the questions that both have. scores: by the models' names."""
    found = []
    for first, second in combinations(scores, 2):
        shared = [q for q in scores[first] if q in scores[second]]
        if not shared:
            continue
        top, bottom = _sums([{q: scores[name][q] for q in shared} for name in (first, second)], images)
        scale = 100 if what == "relative score" else 1
        values = scale * top.sum(0) / bottom.sum(0)
        drawn = scale * resample(top, bottom)
        middle = interval(drawn[:, 1] - drawn[:, 0])
        difference = float(values[1] - values[0])
        found.append(
            PairedDifference(what, first, second, len(shared), difference, middle, swap_test(top, bottom))
        )
    return found


def _sums(scores: Sequence[Scores], images: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Tops and bottoms summed by picture: (pictures, len(scores)) each."""
    rows = {name: i for i, name in enumerate(dict.fromkeys(images[q] for some in scores for q in some))}
    top, bottom = np.zeros((len(rows), len(scores))), np.zeros((len(rows), len(scores)))
    for column, some in enumerate(scores):
        for question, (one, other) in some.items():
            row = rows[images[question]]
            top[row, column] += one
            bottom[row, column] += other
    return top, bottom
