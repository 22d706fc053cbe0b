"""How alike two poses are, keypoint by keypoint (COCO's OKS), and people who were found twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from posetalk.formats.coco import AREA_OF_BOX
from posetalk.types import Floats, Poses


def similarity(
    pred: npt.ArrayLike, truth: npt.ArrayLike, area: npt.ArrayLike, sigmas: Sequence[float]
) -> Floats:
    """How alike each keypoint is to its label: (n, k) in 0..1, exp(-d^2 / (2 area (2 sigma)^2)).

    pred, truth: (n, k, 2) px; area: (n,) px^2; sigmas: k constants.
    """
    distance2 = ((np.asarray(pred, np.float64) - np.asarray(truth, np.float64)) ** 2).sum(-1)
    variance = (2 * np.asarray(sigmas, np.float64)) ** 2
    # COCO's own guard against a person without area
    scale = np.asarray(area, np.float64)[:, None] + np.spacing(1)
    return np.asarray(np.exp(-distance2 / variance / scale / 2))


def without_doubles(poses: Poses, sigmas: Sequence[float], limit: float = 0.85) -> list[int]:
    """The people of one image without those who were found twice, as in two boxes around one motorcyclist.

    People whose keypoints agree are one: their similarity, averaged over the keypoints with both scores as weights, is
    above `limit`. A keypoint that one box cuts off gets a low score there, so it hardly counts. Of one person's poses
    the one with the highest score stays: the mean over its keypoints, times the box's score if there is one.

    Args:
        poses: The people of one image.
        sigmas: OKS's constant for each of the k keypoints.
        limit: In 0..1. The default was chosen on photos of COCO train2017, see benchmarks/detect.py.

    Returns:
        The indices of the people who stay, in the order of `poses`.
    """
    scores = poses.score.mean(1) if len(poses) else np.zeros(0)
    if poses.box_scores is not None:
        scores = scores * poses.box_scores
    areas = np.array([AREA_OF_BOX * box.area for box in poses.boxes])
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        alike = similarity(poses.xy[left], poses.xy[best], (areas[left] + areas[best]) / 2, sigmas)
        weights = poses.score[left] * poses.score[best]
        total = weights.sum(1)
        mean = np.divide((alike * weights).sum(1), total, out=np.zeros(len(left)), where=total > 0)
        left = left[mean <= limit]
    return sorted(kept)
