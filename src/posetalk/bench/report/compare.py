"""Scores of models with confidence intervals, and differences between two models.

Intervals are 95 % percentile bootstrap over images, 1,000 draws. Of few images, and where all answers are alike, the
draws say nothing; the interval of a share is then Wilson's with as many trials as images, because answers about one
image are not independent. Tests are permutation tests, which swap the two models in half of the images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from posetalk.bench.report.stats import swap_test, wilson
from posetalk.score.bootstrap import interval, resample
from posetalk.types import Floats

FEW = 30  # images; of fewer a share gets Wilson's interval
Pair = tuple[float, float]
# Question id -> numerator and denominator; a model's score is the sum of numerators over the sum of denominators.
Scores = dict[str, Pair]


@dataclass(frozen=True, slots=True)
class KindScore:
    """The score of a model on one kind of question.

    Attributes:
        kind: Kind of question, or `all`.
        n: Number of questions.
        value: The score.
        interval: 95 % confidence interval; None where there is too little data.
    """

    kind: str
    n: int
    value: float
    interval: Pair | None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The score of `second` minus that of `first`.

    Attributes:
        what: `relative score` or `accuracy`.
        first: Name of a model.
        second: Name of another model.
        n: Number of questions that both have.
        difference: The difference.
        interval: 95 % confidence interval; None where there is too little data.
        p: p-value of the permutation test, two-sided; None where there is no test.
    """

    what: str
    first: str
    second: str
    n: int
    difference: float
    interval: Pair | None
    p: float | None


def number_of(kind: str, scores: Scores, images: Mapping[str, str], scale: float = 1) -> KindScore:
    """The score over some questions, times `scale`. `images`: question id -> its image."""
    numerators, denominators = _sums([scores], images)
    value = scale * float(numerators.sum() / denominators.sum())
    return KindScore(kind, len(scores), value, interval(scale * resample(numerators, denominators)[:, 0]))


def share_of(kind: str, scores: Scores, images: Mapping[str, str]) -> KindScore:
    """The share of right answers over some questions, 0 to 1. `images`: question id -> its image."""
    score = number_of(kind, scores, images)
    n = len({images[question] for question in scores})
    if n < FEW or score.interval is None or score.interval[0] == score.interval[1]:
        return replace(score, interval=wilson(score.value * n, n))
    return score


def paired(what: str, scores: Mapping[str, Scores], images: Mapping[str, str]) -> list[PairedDifference]:
    """Differences between every two models, on the questions that both have. `scores` is by model name."""
    differences = []
    for first, second in combinations(scores, 2):
        shared = [q for q in scores[first] if q in scores[second]]
        if not shared:
            continue
        sums = _sums([{q: scores[name][q] for q in shared} for name in (first, second)], images)
        numerators, denominators = sums
        scale = 100 if what == "relative score" else 1
        values = scale * numerators.sum(0) / denominators.sum(0)
        resampled = scale * resample(numerators, denominators)
        ends = interval(resampled[:, 1] - resampled[:, 0])
        if what == "accuracy" and ends is not None and ends[0] == ends[1]:
            ends = None  # all draws are the same, which does not say how sure the difference is
        differences.append(
            PairedDifference(
                what,
                first,
                second,
                len(shared),
                float(values[1] - values[0]),
                ends,
                swap_test(numerators, denominators),
            )
        )
    return differences


def _sums(scores: Sequence[Scores], images: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Numerators and denominators summed by image: (images, models) each."""
    rows = {
        name: i
        for i, name in enumerate(dict.fromkeys(images[q] for model_scores in scores for q in model_scores))
    }
    numerators, denominators = np.zeros((2, len(rows), len(scores)))
    for column, model_scores in enumerate(scores):
        for question, (numerator, denominator) in model_scores.items():
            row = rows[images[question]]
            numerators[row, column] += numerator
            denominators[row, column] += denominator
    return numerators, denominators
