"""Which of many boxes stay."""

from __future__ import annotations

import numpy as np
from benchmarks.detect import overlaps
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posetalk.detect.people import people_of, without_overlaps
from posetalk.types import Box

COORDINATES = st.integers(0, 40).map(float)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 12))
    low = draw(arrays(np.float64, (count, 2), elements=COORDINATES))
    sides = draw(arrays(np.float64, (count, 2), elements=st.integers(1, 30).map(float)))
    scores = draw(arrays(np.float64, count, elements=st.integers(0, 5).map(lambda n: n / 5)))
    return np.concatenate([low, low + sides], 1), scores


@given(boxes(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_what_stays_does_not_overlap_and_what_goes_overlaps_a_surer_one(
    given_boxes: tuple[np.ndarray, np.ndarray], limit: float
) -> None:
    corners, scores = given_boxes
    kept = without_overlaps(corners, scores, limit)
    iou = overlaps(*[[Box.from_xyxy(*row) for row in corners]] * 2)[0]
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for n in range(len(corners)):
        nearer = [m for m in kept if m != n and iou[n, m] > limit]
        if n in kept:
            assert not nearer
        else:
            assert any(scores[m] >= scores[n] for m in nearer)


@given(boxes())
def test_people_lie_inside_the_image_the_surest_first(given_boxes: tuple[np.ndarray, np.ndarray]) -> None:
    corners, scores = given_boxes
    people = people_of(corners - 10, scores, 30, 20)
    assert (np.diff(people.scores) <= 0).all() and len(people) == len(people.scores)
    for box in people.boxes:
        left, top, right, bottom = box.xyxy
        assert 0 <= left < right <= 30 and 0 <= top < bottom <= 20 and min(box.w, box.h) >= 1
