"""Places that were pointed to, against labels: every number as a ratio of sums over people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from posetalk.formats.masks import Polygon
from posetalk.locate.similarity import similarity
from posetalk.score.bootstrap import interval, resample
from posetalk.score.metrics import Labels, Metrics, ratio
from posetalk.score.pck import within
from posetalk.skeleton import BUILT_IN, load_skeleton
from posetalk.types import Floats

NEAR, NEARER = 0.1, 0.05  # of the longer side of the person's box
APART = 0.1  # of the same: labels of both sides that are further apart tell left from right

NUMBERS = {
    "mean_oks": "mean over people of OKS over their labelled points; a point without place counts as 0",
    "PCK@0.1": "share of points within 0.1 of the longer side of the person's box",
    "PCK@0.05": "the same within 0.05",
    "inside_box": "share of points whose answer is inside the person's box",
    "inside_outline": "share of points whose answer is inside the person's polygons, of people who have some",
    "wrong_side": "share of answers nearer to the label of the other side than to their own, where both are labelled "
    "and more than 0.1 of the box apart",
    "PCK@0.1_skeleton_names": "PCK@0.1 of names that a built-in skeleton has",
    "PCK@0.1_other_names": "PCK@0.1 of names that none has: described points",
}


@dataclass(frozen=True, slots=True)
class PointScores:
    """The numbers of one pointer.

    Attributes:
        numbers: By the names of `NUMBERS`, 0 to 1; None where there is nothing to measure.
        intervals: 95 % percentile bootstrap over people, 1,000 draws; NAME_over_baseline for the lead over the average
            place on the same draws.
        near: The share within 0.1 by the name of the point.
    """

    numbers: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]
    near: dict[str, float | None]


def score_points(
    labels: Labels,
    places: Mapping[str, Floats],
    baseline: str,
    outlines: Mapping[tuple[int, int], Sequence[Polygon]],
) -> dict[str, PointScores]:
    """Score several pointers on the same people.

    Args:
        labels: The n people and their k points.
        places: By the name of the pointer: (n, k, 2) px of the full image; nan for no place.
        baseline: The name of the pointer that the others' leads are measured over.
        outlines: Polygons by image id and annotation id, see `read_polygons`.
    """
    metrics = {name: _metrics(labels, xy, outlines) for name, xy in places.items()}
    names = list(NUMBERS)
    numerators, denominators = (
        np.stack([metrics[pointer][name][side] for pointer in places for name in names], axis=1)
        for side in (0, 1)
    )
    draws = resample(numerators, denominators).reshape(-1, len(places), len(names))
    at = list(places).index(baseline)
    scores = {}
    for i, (pointer, xy) in enumerate(places.items()):
        intervals = {name: interval(draws[:, i, j]) for j, name in enumerate(names)}
        if pointer != baseline:
            leads = draws[:, i] - draws[:, at]
            intervals |= {f"{name}_over_baseline": interval(leads[:, j]) for j, name in enumerate(names)}
        near = within(xy, labels.xy, _longer(labels), NEAR) * labels.labelled
        scores[pointer] = PointScores(
            numbers={name: ratio(*pair) for name, pair in metrics[pointer].items()},
            intervals={name: pair for name, pair in intervals.items() if pair is not None},
            near={
                name: ratio(near[:, j], labels.labelled[:, j]) for j, name in enumerate(labels.skeleton.names)
            },
        )
    return scores


def average_places(labels: Labels) -> Floats:
    """The baseline, (n, k, 2) px: each point at its average place in the person's box.

    It is the place that the skeleton gives. A point without one is where it lies in the boxes of the other people of
    the set on average; in the middle of the box where nobody else has it.
    """
    boxes = np.array([p.box.xywh for p in labels.persons])
    relative = (labels.xy - boxes[:, None, :2]) / boxes[:, None, 2:]
    weights = labels.labelled[..., None]
    others = (relative * weights).sum(0) - relative * weights
    count = weights.sum(0) - weights
    place = np.divide(others, count, out=np.full_like(others, 0.5), where=count > 0)
    for j, point in enumerate(labels.skeleton.keypoints):
        if point.place:
            place[:, j] = point.place
    found: Floats = boxes[:, None, :2] + place * boxes[:, None, 2:]
    return found


def is_skeleton_name(name: str) -> bool:
    """Whether a built-in skeleton has a keypoint of this name."""
    return any(name in load_skeleton(skeleton).names for skeleton in BUILT_IN)


def _longer(labels: Labels) -> Floats:
    return np.array([max(p.box.w, p.box.h) for p in labels.persons], np.float64)


def _metrics(labels: Labels, xy: Floats, outlines: Mapping[tuple[int, int], Sequence[Polygon]]) -> Metrics:
    labelled = labels.labelled
    alike = np.nan_to_num(similarity(xy, labels.xy, labels.area, labels.skeleton.sigmas)) * labelled
    near, nearer = (within(xy, labels.xy, _longer(labels), share) * labelled for share in (NEAR, NEARER))
    known = np.array([is_skeleton_name(name) for name in labels.skeleton.names], np.float64)
    outlined = np.array([(image.id, person.id) in outlines for image, person in labels.people], np.float64)
    count = labelled.sum(1)
    return {
        "mean_oks": (alike.sum(1) / count, np.ones(len(count))),
        "PCK@0.1": (near.sum(1), count),
        "PCK@0.05": (nearer.sum(1), count),
        "inside_box": ((_in_boxes(labels, xy) * labelled).sum(1), count),
        "inside_outline": ((_in_outlines(labels, xy, outlines) * labelled).sum(1), count * outlined),
        "wrong_side": _wrong_sides(labels, xy),
        "PCK@0.1_skeleton_names": ((near * known).sum(1), (labelled * known).sum(1)),
        "PCK@0.1_other_names": ((near * (1 - known)).sum(1), (labelled * (1 - known)).sum(1)),
    }


def _in_boxes(labels: Labels, xy: Floats) -> npt.NDArray[np.bool_]:
    corners = np.array([p.box.xyxy for p in labels.persons])[:, None]
    return np.asarray(((xy >= corners[..., :2]) & (xy <= corners[..., 2:])).all(-1))


def _in_outlines(
    labels: Labels, xy: Floats, outlines: Mapping[tuple[int, int], Sequence[Polygon]]
) -> npt.NDArray[np.bool_]:
    inside = np.zeros(labels.labelled.shape, np.bool_)
    for i, (image, person) in enumerate(labels.people):
        for polygon in outlines.get((image.id, person.id), ()):
            for j in np.flatnonzero(np.isfinite(xy[i, :, 0])):
                point = (float(xy[i, j, 0]), float(xy[i, j, 1]))
                inside[i, j] |= cv2.pointPolygonTest(polygon, point, measureDist=False) >= 0
    return inside


def _wrong_sides(labels: Labels, xy: Floats) -> tuple[Floats, Floats]:
    mirror = list(labels.skeleton.flip_order)
    other = labels.xy[:, mirror]
    apart = np.linalg.norm(labels.xy - other, axis=-1) > APART * _longer(labels)[:, None]
    tells = (labels.labelled * labels.labelled[:, mirror] > 0) & apart & np.isfinite(xy[..., 0])
    wrong = np.linalg.norm(xy - other, axis=-1) < np.linalg.norm(xy - labels.xy, axis=-1)
    return (wrong & tells).sum(1).astype(np.float64), tells.sum(1).astype(np.float64)
