"""Facts of predicted joints: a fact is known only if it stays the same while the joints move within their spread.

Joints that the model considers hidden are left out: it gives a place also to knees under a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from posetalk.facts.fact import Fact, Facts
from posetalk.types import Floats, PoseImage

DRAWS = 8
# Standard deviations that joints move by, and the share of the draws that must say the same. Chosen with
# runs/facts_predicted.py, see docs/guides/label.md.
MARGIN, AGREE = 0.5, 0.5
PREDICTED = "joints predicted by a model"


def has_spread(image: PoseImage) -> bool:
    """Whether somebody's joints have a spread."""
    return any(person.std is not None for person in image.people)


def without_hidden(image: PoseImage) -> PoseImage:
    """The image, in which hidden joints of people with a spread are not labelled."""
    people = tuple(
        p if p.std is None else replace(p, visible=np.where(p.visible == 1, 0, p.visible))
        for p in image.people
    )
    return replace(image, people=people)


def exact(image: PoseImage) -> PoseImage:
    """The image without its people's spread, as if their joints were exact."""
    return replace(image, people=tuple(replace(person, std=None) for person in image.people))


def moved_images(image: PoseImage, margin: float = MARGIN) -> Iterator[PoseImage]:
    """`DRAWS` images whose people's joints are moved at random by `margin` standard deviations, without spread."""
    stds = [np.zeros_like(p.keypoints) if p.std is None else margin * p.std for p in image.people]
    draws = [_moves(std, number) for number, std in enumerate(stds)]
    for draw in range(DRAWS):
        people = [
            replace(person, keypoints=person.keypoints + moves[draw], std=None)
            for person, moves in zip(image.people, draws, strict=True)
        ]
        yield replace(image, people=tuple(people))


def moved_points(keypoints: Floats, std: Floats, margin: float = MARGIN) -> Floats:
    """Joints (k, 2) moved at random by `margin` standard deviations (k, 2): (DRAWS, k, 2), px."""
    return keypoints + _moves(margin * std, 0)


def _moves(std: Floats, seed: int) -> Floats:
    """(DRAWS, k, 2), the same in each call; the second half mirrors the first."""
    half = np.random.default_rng(seed).standard_normal((DRAWS // 2, *std.shape)) * std
    return np.concatenate([half, -half])


def agreed(facts: Facts, drawn: Sequence[Facts], share: float = AGREE) -> Facts:
    """The facts, not known where fewer than `share` of the draws say the same, or one of them says the opposite."""
    return Facts(_settled(fact, [one.value(fact.key) for one in drawn], share) for fact in facts)


def _settled(fact: Fact, values: Sequence[bool | None], share: float) -> Fact:
    if fact.value is None:
        return fact
    if (not fact.value) in values or values.count(fact.value) < share * len(values):
        return replace(fact, value=None, evidence=())
    return replace(fact, evidence=tuple(PREDICTED if entry == "joints" else entry for entry in fact.evidence))
