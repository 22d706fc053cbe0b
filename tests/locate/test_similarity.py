"""People who were found twice: what their keypoints say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.locate.localizer import oks_scale
from posetalk.locate.similarity import similarity, without_doubles
from posetalk.skeleton import Keypoint, load_skeleton
from posetalk.types import Box, Poses

BODY = load_skeleton("coco17")
SIGMAS, NAMES = BODY.sigmas, BODY.names
# nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles of somebody who stands, in a box of 60 x 200
STANDING = np.array(
    [
        *((30, 20), (33, 17), (27, 17), (36, 19), (24, 19), (45, 45), (15, 45), (52, 75), (8, 75), (55, 105)),
        *((5, 105), (40, 105), (20, 105), (40, 150), (20, 150), (40, 192), (20, 192)),
    ],
    float,
)
BESIDE, BEHIND = STANDING + np.array([70, 0]), STANDING + np.array([30, 5])
UPPER = np.arange(17) < 11


def people(*persons: tuple[np.ndarray, np.ndarray | float, Box]) -> Poses:
    return Poses(
        np.array([xy for xy, _, _ in persons]).reshape(-1, 17, 2),
        np.array([np.broadcast_to(score, 17) for _, score, _ in persons]).reshape(-1, 17),
        NAMES,
        tuple(box for _, _, box in persons),
    )


WHOLE = Box(0, 0, 60, 200)
NOISE = np.random.default_rng(0).normal(0, 2, (17, 2))
# the legs' box: it sees hips to ankles, and squeezes the rest in above them, unsure of it
HALF = (
    np.where(UPPER[:, None], STANDING * (1, 0.05) + (0, 100), STANDING + 1),
    np.where(UPPER, 0.05, 0.7),
    Box(0, 100, 60, 100),
)


@pytest.mark.parametrize(
    ("persons", "kept"),
    [
        ([], []),
        ([(STANDING, 0.8, WHOLE)], [0]),
        ([(STANDING, 0.7, WHOLE), (STANDING + NOISE, 0.8, Box(-5, -5, 70, 210))], [1]),
        ([(STANDING, 0.8, WHOLE), (BESIDE, 0.8, Box(70, 0, 60, 200))], [0, 1]),
        ([(STANDING, 0.8, WHOLE), (BEHIND, 0.7, Box(30, 5, 60, 200))], [0, 1]),  # close behind
        ([(STANDING, 0.8, WHOLE), HALF], [0]),
        ([HALF, (STANDING, 0.8, WHOLE)], [1]),
        (
            [(STANDING, 0.8, WHOLE), (STANDING * 0.4 + (10, 40), 0.8, Box(10, 40, 24, 80))],
            [0, 1],
        ),  # a carried child
    ],
)
def test_one_person_is_kept_once(
    persons: list[tuple[np.ndarray, np.ndarray | float, Box]], kept: list[int]
) -> None:
    assert without_doubles(people(*persons), SIGMAS) == kept


def test_the_box_scores_count_where_there_are_any() -> None:
    poses = people((STANDING, 0.7, WHOLE), (STANDING + NOISE, 0.8, WHOLE))
    assert without_doubles(poses, SIGMAS) == [1]
    assert without_doubles(replace(poses, box_scores=np.array([0.9, 0.3])), SIGMAS) == [0]


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.sampled_from([0.0, 0.5, 0.7, 0.9, 1.0]))
def test_who_stays_are_not_alike_and_who_goes_is_like_a_better_one(
    seed: int, count: int, limit: float
) -> None:
    rng = np.random.default_rng(seed)
    persons = [
        (STANDING + rng.integers(0, 3) * 10 + rng.normal(0, 3, (17, 2)), rng.uniform(0, 1, 17), WHOLE)
        for _ in range(count)
    ]
    poses = people(*persons)
    kept = without_doubles(poses, SIGMAS, limit)
    assert kept == sorted(set(kept)) and bool(kept) == bool(count)
    scores = poses.score.mean(1)

    def alike(a: int, b: int) -> float:
        weights = poses.score[a] * poses.score[b]
        area = np.array([0.53 * WHOLE.area])
        return float(
            similarity(poses.xy[a][None], poses.xy[b][None], area, SIGMAS)[0] @ weights / weights.sum()
        )

    for n in range(count):
        nearer = [m for m in kept if m != n and alike(n, m) > limit]
        assert not nearer if n in kept else any(scores[m] >= scores[n] for m in nearer)
    order = rng.permutation(count)
    again = without_doubles(people(*[persons[n] for n in order]), SIGMAS, limit)
    assert sorted(order[again].tolist()) == kept  # whatever the order
    assert without_doubles(people(*[persons[n] for n in kept]), SIGMAS, limit) == list(range(len(kept)))


@pytest.mark.parametrize("box", [Box(0, 0, 100, 400), Box(5, 9, 400, 100), Box(0, 0, 400, 400)])
def test_scores_of_keypoints_without_sigma_do_not_depend_on_how_narrow_a_box_is(box: Box) -> None:
    measured, unmeasured = oks_scale([box], [Keypoint("left shoulder", sigma=0.079), Keypoint("navel")])[0]
    np.testing.assert_allclose(measured, 2 * 0.079 * (0.53 * box.area) ** 0.5)
    np.testing.assert_allclose(unmeasured, 2 * 0.079 * (0.53 * 400**2) ** 0.5)
