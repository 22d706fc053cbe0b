"""Which people the pages of a report show: by OKS, and by what they lost by one cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posetalk.locate.predictions import Prediction
from posetalk.score.causes import CAUSES, causes_of
from posetalk.score.metrics import Labels, keypoint_similarity, person_scores
from posetalk.score.qualitative import CASES_PER_KIND, MIN_LARGE, QualitativeCase
from posetalk.types import Floats


def best_first(labels: Labels, xy: Floats, predictions: Sequence[Prediction]) -> tuple[QualitativeCase, ...]:
    """The people that have a prediction, the best first; only large ones if there are enough."""
    cases = _cases(labels, xy, predictions)
    return tuple(cases[i] for i in sorted(cases, key=lambda i: -cases[i].oks))


def worst_by_cause(
    labels: Labels, xy: Floats, predictions: Sequence[Prediction]
) -> dict[str, tuple[QualitativeCase, ...]]:
    """By cause a few of those people who lost most similarity by it, the worst first; absent where nobody lost."""
    cases, own, cause = (
        _cases(labels, xy, predictions),
        keypoint_similarity(labels, xy),
        causes_of(labels, xy),
    )
    found = {}
    for number, name in enumerate(CAUSES):
        lost = np.where(cause == number, 1 - own, 0).sum(1)
        worst = sorted((i for i in cases if lost[i] > 0), key=lambda i: -lost[i])[:CASES_PER_KIND]
        if worst:
            found[name] = tuple(replace(cases[i], about=_about(own[i], cause[i] == number)) for i in worst)
    return found


def _about(
    own: Floats, of_cause: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[tuple[int, float], ...]:
    return tuple((int(j), float(own[j])) for j in np.argsort(own, kind="stable") if of_cause[j])


def _cases(labels: Labels, xy: Floats, predictions: Sequence[Prediction]) -> dict[int, QualitativeCase]:
    """By index everybody who has a prediction; only large people if there are enough."""
    by_key = {p.key: p for p in predictions}
    scores = person_scores(labels, xy)
    eligible = labels.large > 0 if labels.large.sum() >= MIN_LARGE else np.ones(len(scores), bool)
    return {
        i: QualitativeCase(image, person, by_key[image.id, person.id], float(scores[i]))
        for i, (image, person) in enumerate(labels.people)
        if eligible[i] and (image.id, person.id) in by_key
    }
