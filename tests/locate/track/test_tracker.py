"""Ids of people who are known, from boxes and poses alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from posetalk.locate.track.tracker import PATIENCE, Tracker
from posetalk.types import Box, Poses

BODY = np.random.default_rng(0).random((2, 17, 2))  # two postures, in 0..1 of the box


def people(*rows: tuple[float, float, float, int]) -> Poses:
    """People at (x, y) with a box score and a posture."""
    xy = np.array([BODY[posture] * (60, 160) + (x, y) for x, y, _, posture in rows]).reshape(-1, 17, 2)
    return Poses(
        xy,
        np.full(xy.shape[:2], 0.8),
        tuple(map(str, range(17))),
        tuple(Box(x, y, 60, 160) for x, y, *_ in rows),
        box_scores=np.array([score for _, _, score, _ in rows]),
    )


def test_people_who_cross_keep_their_ids() -> None:
    tracker, draw = Tracker(), np.random.default_rng(1)
    first = second = None
    for n in range(60):
        shift = draw.normal(0, 1.5, 4)
        rows = [
            (100 + 5 * n + shift[0], 50 + shift[1], 0.9, 0),
            (400 - 5 * n + shift[2], 60 + shift[3], 0.9, 1),
        ]
        order = draw.permutation(2)
        ids = tracker.update(people(*(rows[i] for i in order)), n / 25)
        a, b = ids[int(np.flatnonzero(order == 0)[0])], ids[int(np.flatnonzero(order == 1)[0])]
        first, second = first or a, second or b
        assert (a, b) == (first, second) and a != b, n


def test_somebody_out_of_sight_is_known_again_for_a_while() -> None:
    for gap, same in ((0.6 * PATIENCE, True), (1.5 * PATIENCE, False)):
        tracker = Tracker()
        (before,) = tracker.update(people((100, 50, 0.9, 0)), 0.0)
        assert tracker.update(people(), 0.1) == []
        (after,) = tracker.update(people((104, 50, 0.9, 0)), 0.1 + gap)
        assert (before == after) is same


def test_an_unsure_one_only_goes_on() -> None:
    tracker = Tracker()
    assert tracker.update(people((100, 50, 0.3, 0)), 0.0) == [None]
    assert tracker.update(people((100, 50, 0.9, 0)), 0.1) == [1]
    assert tracker.update(people((103, 50, 0.3, 0), (400, 50, 0.3, 1)), 0.2) == [1, None]


def test_the_sure_ones_choose_first() -> None:
    tracker = Tracker()
    tracker.update(people((100, 50, 0.9, 0)), 0.0)
    assert tracker.update(people((101, 50, 0.3, 0), (103, 51, 0.9, 0)), 0.04) == [None, 1]


@given(
    st.lists(
        st.lists(st.tuples(*[st.floats(0, 500)] * 2, st.floats(0, 1), st.integers(0, 1)), max_size=4),
        max_size=8,
    )
)
def test_ids_are_distinct_and_come_again_from_what_was_written(
    frames: list[list[tuple[float, float, float, int]]],
) -> None:
    whole, again = Tracker(), Tracker()
    for n, rows in enumerate(frames):
        poses, time = people(*rows), n / 10
        ids = whole.update(poses, time)
        known = [i for i in ids if i is not None]
        assert len(set(known)) == len(known) and all(i >= 1 for i in known)
        if n == len(frames) - 1:
            assert again.update(poses, time) == ids  # as if it had never stopped
        elif known:
            again.follow(poses.some([j for j, i in enumerate(ids) if i is not None]), list(known), time)


def test_an_unsure_one_who_is_little_alike_is_nobody() -> None:
    for x, score, expected in ((100, 0.9, 1), (125, 0.9, 1), (125, 0.3, None)):
        tracker = Tracker()
        assert tracker.update(people((100, 50, 0.9, 0)), 0.0) == [1]
        assert tracker.update(people((x, 50, score, 1)), 0.04) == [expected]
