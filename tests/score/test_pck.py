"""PCKh and PCK by hand."""

import numpy as np
import pytest

from posetalk.score.bootstrap import interval, resample
from posetalk.score.pck import counts, head_lengths, torso_lengths, within
from posetalk.types import Box, Person, frozen_array


def person(xy: dict[int, tuple[float, float]], k: int, head_size: float | None = None) -> Person:
    points, flags = np.zeros((k, 2)), np.zeros(k)
    for j, place in xy.items():
        points[j], flags[j] = place, 2
    return Person(1, Box(0, 0, 1, 1), frozen_array(points), frozen_array(flags), 1.0, head_size=head_size)


def test_within_counts_the_edge_in_and_no_answer_out() -> None:
    truth = np.zeros((2, 3, 2))
    pred = np.array([[[3.0, 4], [3, 4.001], [np.nan, 0]], [[6, 8], [0, 0], [10.1, 0]]])
    assert within(pred, truth, [10.0, 20.0], 0.5).tolist() == [[1, 0, 0], [1, 1, 0]]
    assert within(pred, truth, [np.nan, 20.0], 0.5)[0].tolist() == [0, 0, 0]


def test_the_mean_is_weighted_by_labels() -> None:
    hits = np.array([[1, 1, 0], [1, 0, 0.0]])
    labelled = np.array([[1, 1, 1], [1, 0, 0.0]])
    top, bottom = counts(hits, labelled)
    assert top.sum() / bottom.sum() == pytest.approx(3 / 4)  # not the mean of 1, 1, 0
    top, bottom = counts(hits, labelled, left_out=(2,))
    assert top.sum() / bottom.sum() == 1
    assert labelled[0, 2] == 1


def test_counts_equal_the_published_formula() -> None:
    """HRNet's MPII evaluation: share of each joint, weighted by its part of all labels that are kept."""
    rng = np.random.default_rng(0)
    hits, labelled = rng.integers(0, 2, (2, 50, 16))
    hits = hits * labelled
    kept = [j for j in range(16) if j not in (6, 7)]
    share = hits.sum(0)[kept] / labelled.sum(0)[kept]
    mean = (share * labelled.sum(0)[kept] / labelled[:, kept].sum()).sum()
    top, bottom = counts(hits, labelled, (6, 7))
    assert top.sum() / bottom.sum() == pytest.approx(mean, abs=1e-12)


def test_head_sizes() -> None:
    lengths, own = head_lengths([person({}, 16, 12.0), person({}, 16), person({}, 16, 0.0)])
    assert own and lengths[0] == 12 and np.isnan(lengths[1:]).all()
    neck_and_top = {8: (0.0, 0.0), 9: (3.0, 4.0)}
    lengths, own = head_lengths([person(neck_and_top, 16), person({9: (3.0, 4.0)}, 16)])
    assert not own and lengths[0] == 5 and np.isnan(lengths[1])
    assert head_lengths([])[1]


@pytest.mark.parametrize(
    ("labelled", "wanted"),
    [
        ({9: (0, 0), 2: (3, 4), 8: (0, 0), 3: (6, 8)}, 5),  # left shoulder to right hip
        ({9: (0, 0), 8: (0, 0), 3: (6, 8)}, 10),  # no right hip: the other diagonal
        ({2: (0, 1), 8: (0, 0), 3: (6, 8)}, 10),  # no left shoulder
        ({9: (1, 1), 2: (1, 1), 8: (0, 0), 3: (6, 8)}, 10),  # a length of nothing measures nothing
        ({9: (0, 0), 3: (6, 8)}, np.nan),
        ({}, np.nan),
    ],
)
def test_torso(labelled: dict, wanted: float) -> None:
    assert torso_lengths([person(labelled, 14)])[0] == pytest.approx(wanted, nan_ok=True)


def test_intervals_hold_the_truth_and_are_the_same_again() -> None:
    rng = np.random.default_rng(3)
    hits = (rng.random((400, 1)) < 0.7).astype(float)
    low, high = interval(resample(hits, np.ones((400, 1)), rounds=4000)[:, 0])
    spread = 1.96 * np.sqrt(hits.mean() * (1 - hits.mean()) / 400)
    assert (low, high) == pytest.approx((hits.mean() - spread, hits.mean() + spread), abs=0.004)
    first, again, other = (resample(hits, np.ones((400, 1)), seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_two_columns_are_drawn_as_pairs() -> None:
    rng = np.random.default_rng(3)
    values = rng.random((50, 1))
    drawn = resample(np.concatenate([values, values + 0.25], axis=1), np.ones((50, 2)))
    assert np.ptp(drawn[:, 1] - drawn[:, 0]) < 1e-9 < np.ptp(drawn[:, 0])


def test_nobody_has_no_interval() -> None:
    assert interval(resample(np.zeros((0, 2)), np.zeros((0, 2)))) is None
    assert interval(resample(np.zeros((3, 1)), np.zeros((3, 1)))) is None
