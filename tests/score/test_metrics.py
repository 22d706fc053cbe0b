"""The protocols' numbers: which keypoints and people count, and how near is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from posetalk.score.metrics import Labels, keypoint_rows, metrics_of, ratio
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array


def labels(
    name: str, boxes: Sequence[tuple[float, float]] = ((100, 200),), labelled: Sequence[int] = ()
) -> Labels:
    """A person per box, with so many keypoints labelled (else all), each at its own place; heads are 50 px long."""
    of = load_skeleton(name)
    people = []
    for number, (w, h) in enumerate(boxes):
        xy = np.array([(7.0 * j, 11.0 * (j % 5) + 200 * (j % 2)) for j in range(len(of))])
        flags = np.zeros(len(of))
        flags[: labelled[number] if labelled else len(of)] = 2
        people.append(
            Person(number, Box(0, 0, w, h), frozen_array(xy), frozen_array(flags), w * h, head_size=50.0)
        )
    image = PoseImage(1, Path("a.jpg"), 400, 400, tuple(people))
    return Labels.of(PoseSet("test", Path("a.json"), of.names, (image,)), of)


def number(of: Labels, xy: np.ndarray, protocol: str, name: str) -> float | None:
    return ratio(*metrics_of(of, xy, protocol, None)[name])  # type: ignore[arg-type]


SPINE = ("pelvis", "thorax")


@pytest.mark.parametrize(
    ("protocol", "of", "name", "left_out"),
    [
        ("pckh", "mpii16", "PCKh@0.5", SPINE),
        ("pckh", "mpii16", "PCKh@0.1", SPINE),
        ("pckh", "mpii16", "PCKh@0.5_12", (*SPINE, "upper neck", "head top")),
        ("pckh", "mpii16", "PCKh@0.1_12", (*SPINE, "upper neck", "head top")),
        ("pck", "lsp14", "PCK@0.2", ()),
        ("pck", "lsp14", "PCK@0.2_12", ("neck", "head top")),
    ],
)
def test_each_keypoint_counts_or_is_left_out(
    protocol: str, of: str, name: str, left_out: tuple[str, ...]
) -> None:
    """One keypoint after the other far off."""
    one = labels(of)
    names = one.skeleton.names
    assert set(left_out) <= set(names)
    kept = len(names) - len(left_out)
    for j, joint in enumerate(names):
        xy = one.xy.copy()
        xy[:, j] += 500
        assert number(one, xy, protocol, name) == pytest.approx(1 if joint in left_out else 1 - 1 / kept), (
            joint
        )


@pytest.mark.parametrize(
    ("protocol", "of", "name", "length", "share"),
    [
        ("pckh", "mpii16", "PCKh@0.5", 50, 0.5), ("pckh", "mpii16", "PCKh@0.1", 50, 0.1),
        ("pck", "lsp14", "PCK@0.2", None, 0.2),
    ],
)  # fmt: skip
def test_how_near_is_near_enough(
    protocol: str, of: str, name: str, length: float | None, share: float
) -> None:
    one = labels(of)
    if length is None:  # left shoulder to right hip
        at = [one.skeleton.names.index(joint) for joint in ("left shoulder", "right hip")]
        length = float(np.linalg.norm(one.xy[0, at[0]] - one.xy[0, at[1]]))
    for off, hits in ((0.99, 1), (1.01, 0)):
        assert number(one, one.xy + np.array((0, off * share * length)), protocol, name) == hits


def test_similarity_is_cocos() -> None:
    """exp(-d^2 / (2 area (2 sigma)^2)), worked out for each keypoint alone."""
    one = labels("coco17")
    for j, sigma in enumerate(one.skeleton.sigmas):
        xy = one.xy.copy()
        xy[0, j] += (3.0, 4.0)
        alone = np.exp(-25 / (2 * 100 * 200 * (2 * sigma) ** 2))
        assert number(one, xy, "oks", "mean_oks") == pytest.approx((16 + alone) / 17)


def test_who_is_large() -> None:
    """Eight keypoints labelled, and a side of 64 px, the longer one."""
    sizes = [(64, 10), (10, 64), (63.9, 63.9), (64, 64), (64, 64)]
    assert labels("coco17", sizes, [8, 8, 17, 7, 17]).large.tolist() == [1, 1, 0, 0, 1]


def test_who_has_no_answer_scores_nothing_and_counts() -> None:
    both = labels("coco17", [(100, 200), (100, 200)])
    xy = both.xy.copy()
    xy[1] = np.nan
    assert number(both, xy, "oks", "mean_oks") == 0.5 and number(both, xy, "oks", "mean_oks_large") == 0.5


def test_the_table_of_keypoints_takes_a_tenth_of_the_longer_side() -> None:
    one = labels("coco17", [(60, 200)])
    rows = keypoint_rows(one, one.xy + np.array((19.9, 0)), one.xy + np.array((20.1, 0)), {"nose"})
    assert {row.near for row in rows} == {1} and {row.baseline_near for row in rows} == {0}
    assert [row.name for row in rows if row.seen] == ["nose"] and {row.n for row in rows} == {1}
    assert all((row.similarity or 0) > (row.baseline_similarity or 0) for row in rows)
    assert {row.seen for row in keypoint_rows(one, one.xy, one.xy, None)} == {True}


def test_seen_and_unseen_keypoints_stand_apart() -> None:
    one = labels("coco17")
    xy = one.xy.copy()
    xy[:, 0] += 1e6  # the nose
    found = {name: ratio(*pair) for name, pair in metrics_of(one, xy, "oks", {"nose"}).items()}
    assert found["mean_oks_seen"] == 0 and found["mean_oks_unseen"] == 1
    assert found["mean_oks"] == pytest.approx(16 / 17)
