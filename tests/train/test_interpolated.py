"""Questions about points between labelled keypoints."""

from __future__ import annotations

import re

import numpy as np
import pytest

from posetalk.skeleton import load_skeleton
from posetalk.train.interpolated import HELD_OUT, interpolated_keypoints
from posetalk.train.target import Target

COCO = load_skeleton("coco17").keypoints
RNG = np.random.default_rng(0)
FOUND = [
    Target(k, (float(x), float(y)), (True, False, None)[i % 3])
    for i, (k, (x, y)) in enumerate(zip(COCO, RNG.uniform(0, 1, (17, 2)), strict=True))
]
PLACES = {t.keypoint.name: np.array(t.xy) for t in FOUND}
SEEN = {t.keypoint.name: t.visible for t in FOUND}
SHARE = {
    "halfway": 0.5,
    "midpoint of": 0.5,
    "in the middle": 0.5,
    "as far from": 0.5,
    "third": 1 / 3,
    "nearer to": 1 / 3,
    "a quarter": 0.25,
    "just beside": 0.1,
    "close to": 0.1,
    "small step": 0.1,
}
PART = {"upper arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "lower arm": ("elbow", "wrist")}
PART |= {"shin": ("knee", "ankle"), "lower leg": ("knee", "ankle")}


def ends(name: str) -> tuple[float, str, str]:
    """The share and the two ends that a question means."""
    if part := re.fullmatch(r"middle of the (left|right) (.+)", name):
        return 0.5, *(f"{part[1]} {joint}" for joint in PART[part[2]])
    share = next(v for k, v in SHARE.items() if k in name)
    joints = "|".join(sorted(PLACES, key=len, reverse=True))
    first, second = re.findall(rf"the ({joints})", name)[:2]
    if "distance to" in name:  # the only form that names the far end first
        first, second = second, first
    return share, first, second


def test_every_question_means_the_place_that_it_teaches() -> None:
    asked = [t for seed in range(1000) for t in interpolated_keypoints(FOUND, 4, np.random.default_rng(seed))]
    kinds = set()
    for target in asked:
        name = target.keypoint.name
        share, first, second = ends(name)
        wanted = (1 - share) * PLACES[first] + share * PLACES[second]
        assert target.xy == pytest.approx(tuple(wanted))
        if target.keypoint.sentence:
            assert ends(target.keypoint.sentence)[0] == 0.5
            assert {first, second} == set(ends(target.keypoint.sentence)[1:])
        assert target.visible == (
            None if None in (SEEN[first], SEEN[second]) else SEEN[first] and SEEN[second]
        )
        kinds.add(re.sub(r"left|right", "", name) if name.startswith("middle of") else round(share, 2))
    assert len(kinds) == 9  # four shares, five named parts


def test_some_lines_are_kept_for_tests_under_any_name() -> None:
    for seed in range(400):
        for target in interpolated_keypoints(FOUND, 4, np.random.default_rng(seed)):
            _, first, second = ends(target.keypoint.name)
            assert frozenset({first, second}) not in HELD_OUT
            assert not re.search("thigh|pelvis|thorax|chest", target.keypoint.name + target.keypoint.sentence)


@pytest.mark.parametrize("some", [[], FOUND[:1]])
def test_one_keypoint_has_no_line(some: list[Target]) -> None:
    assert interpolated_keypoints(some, 5, np.random.default_rng(0)) == []
    assert interpolated_keypoints(FOUND, 0, np.random.default_rng(0)) == []
