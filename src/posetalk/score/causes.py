"""Why keypoints are wrong: near misses, left for right, a neighbour's joint, or far from all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetalk.locate.similarity import similarity
from posetalk.score.metrics import Labels, keypoint_similarity, ratio
from posetalk.score.tables import number, table
from posetalk.types import Floats

CAUSES = ("good", "jitter", "inversion", "swap", "miss")
GOOD, NEAR = 0.85, 0.5  # Ronchi and Perona's limits of the similarity; .85 is what human labellers differ by
CAUSES_TEXT = (
    f"good: similarity of {GOOD} or more to the label; jitter: {NEAR} to {GOOD}; else inversion: {NEAR} or more to the "
    "same person's keypoint of the other side; swap: to that keypoint, of either side, of another labelled person of "
    "the image (the more similar of the two decides); miss: to none (Ronchi and Perona, ICCV 2017). share: of the "
    "labelled keypoints; lost: of the similarity lost, the sum of 1 - similarity; without: mean OKS if all its "
    "keypoints were at their labels."
)

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One cause. share: of the keypoints; lost: of the lost similarity, None where nothing is lost; without: mean OKS
    with its keypoints at their labels."""

    cause: str
    share: float
    lost: float | None
    without: float


@dataclass(frozen=True, slots=True)
class CauseTable:
    """The causes, in the order of `CAUSES`, over some people and their labelled keypoints."""

    people: int
    keypoints: int
    mean_oks: float
    rows: tuple[CauseRow, ...]


@dataclass(frozen=True, slots=True)
class KeypointCauses:
    """One keypoint over all people: labels, its part of all lost similarity, and the share of each cause."""

    name: str
    n: int
    lost: float | None
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Causes:
    """The table of causes over everybody and over the large people (None where there are none), and by keypoint.

    Those that nobody has labelled are not among the keypoints.
    """

    everybody: CauseTable
    large: CauseTable | None
    per_keypoint: tuple[KeypointCauses, ...]

    def to_markdown(self, boxes: str) -> list[str]:
        """The section of a report, with the source of the boxes in each row."""
        lines = ["## Causes"]
        for title, table_of in (("Everybody", self.everybody), ("Large people", self.large)):
            if table_of:
                rows = [
                    [row.cause, *map(number, (row.share, row.lost, row.without)), boxes]
                    for row in table_of.rows
                ]
                about = f"{title}: {table_of.people}, mean OKS {table_of.mean_oks:.3f}."
                lines += ["", about, "", *table(["cause", "share", "lost", "without", "boxes"], rows)]
        rows = [
            [k.name, *map(number, (k.shares[cause] for cause in CAUSES)), number(k.lost), str(k.n), boxes]
            for k in self.per_keypoint
        ]
        lines += ["", "By keypoint, everybody.", ""]
        lines += table(["keypoint", *CAUSES, "lost", "labels", "boxes"], rows)
        return [*lines, "", CAUSES_TEXT]


def causes_of(labels: Labels, xy: Floats) -> Indices:
    """The cause of each keypoint as an index into `CAUSES`: (n, k); -1 where it is not labelled.

    The limits are those of the paper. A keypoint near its own label is good or jitter, even where another joint is
    nearer still; the authors' program counts such ones as inversion or swap. As there, another person's joint counts
    at that person's scale, and of a person without prediction everything is missed.

    Args:
        labels: n people with k keypoints; its skeleton gives sigmas and mirrors.
        xy: the predicted places, (n, k, 2) px; nan for a person without prediction.

    Source:
        Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017, section 3.1.
    """
    own = keypoint_similarity(labels, xy)
    sigmas, mirror = labels.skeleton.sigmas, np.array(labels.skeleton.flip_order)
    mirrored_xy, mirrored_labelled = labels.xy[:, mirror], labels.labelled[:, mirror]
    inverted = np.nan_to_num(similarity(xy, mirrored_xy, labels.area, sigmas)) * mirrored_labelled
    swapped = np.zeros_like(own)
    image_ids = np.array([image.id for image, _ in labels.people])
    for i in range(len(own)):
        others = np.flatnonzero((image_ids == image_ids[i]) & (np.arange(len(own)) != i))
        for truth, labelled in ((labels.xy, labels.labelled), (mirrored_xy, mirrored_labelled)):
            near = similarity(xy[i], truth[others], labels.area[others], sigmas) * labelled[others]
            swapped[i] = np.maximum(swapped[i], np.nan_to_num(near).max(0, initial=0.0))
    wrong = np.where(
        np.maximum(inverted, swapped) < NEAR,
        CAUSES.index("miss"),
        np.where(inverted >= swapped, CAUSES.index("inversion"), CAUSES.index("swap")),
    )
    right = np.where(own >= GOOD, CAUSES.index("good"), CAUSES.index("jitter"))
    return np.where(labels.labelled > 0, np.where(own >= NEAR, right, wrong), -1)


def causes(labels: Labels, xy: Floats) -> Causes | None:
    """The tables of the places `xy`, (n, k, 2) px, nan for a person not found; None where nobody is labelled."""
    if not labels.people:
        return None
    cause, own = causes_of(labels, xy), keypoint_similarity(labels, xy)
    lost = (1 - own) * labels.labelled
    large = labels.large > 0
    return Causes(
        everybody=_table_of(cause, own, labels.labelled),
        large=_table_of(cause[large], own[large], labels.labelled[large]) if large.any() else None,
        per_keypoint=tuple(
            KeypointCauses(
                name=name,
                n=int(labels.labelled[:, j].sum()),
                lost=ratio(lost[:, j], lost),
                shares={
                    c: float((cause[:, j] == i).sum() / labels.labelled[:, j].sum())
                    for i, c in enumerate(CAUSES)
                },
            )
            for j, name in enumerate(labels.skeleton.names)
            if labels.labelled[:, j].any()
        ),
    )


def _table_of(cause: Indices, own: Floats, labelled: Floats) -> CauseTable:
    lost = (1 - own) * labelled

    def mean_oks(similarities: Floats) -> float:
        return float(((similarities * labelled).sum(1) / labelled.sum(1)).mean())

    return CauseTable(
        people=len(own),
        keypoints=int(labelled.sum()),
        mean_oks=mean_oks(own),
        rows=tuple(
            CauseRow(
                cause=name,
                share=float((cause == i).sum() / labelled.sum()),
                lost=ratio(lost * (cause == i), lost),
                without=mean_oks(np.where(cause == i, 1.0, own)),
            )
            for i, name in enumerate(CAUSES)
        ),
    )
