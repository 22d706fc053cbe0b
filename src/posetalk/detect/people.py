"""What a detector gives: the people of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.types import Box, Floats, frozen_array


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people that a detector found in an image, the surest first.

    Args:
        boxes: n boxes in px of the full image, origin top left.
        scores: (n,) in 0..1, how sure the detector is of each.

    Raises:
        PosetalkError: Not as many scores as boxes.
    """

    boxes: tuple[Box, ...]
    scores: Floats

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.boxes),):
            raise PosetalkError(
                f"People has {len(self.boxes)} boxes and scores of shape {self.scores.shape}; give one for each box"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: slice) -> People:
        """Some of the people, as `people[:3]`."""
        return People(self.boxes[rows], self.scores[rows])

    def selected(self, max_people: int | None = None, largest: bool = False) -> People:
        """At most `max_people`, the surest; or only the largest person, by the area of the box."""
        if largest and len(self):
            best = max(range(len(self)), key=lambda index: self.boxes[index].area)
            return self[best : best + 1]
        return self[:max_people]


def people_of(corners: Floats, scores: Floats, width: int, height: int) -> People:
    """Boxes as left, top, right, bottom px (n, 4), cut at the edges of an image, the surest first.

    Boxes of which less than a pixel's width or height lies in the image are left out.
    """
    corners = np.clip(corners, 0, [width, height, width, height])
    inside = (corners[:, 2:] - corners[:, :2] >= 1).all(1)
    order = np.argsort(-scores[inside], kind="stable")
    corners, scores = corners[inside][order], scores[inside][order]
    return People(tuple(Box.from_xyxy(*map(float, row)) for row in corners), frozen_array(scores))


def without_overlaps(corners: Floats, scores: Floats, limit: float) -> list[int]:
    """Greedy non-maximum suppression.

    Args:
        corners: (n, 4) left, top, right, bottom px.
        scores: (n,).
        limit: A box goes whose overlap (IoU) with a surer one that stays is above this.

    Returns:
        The indices that stay, the surest first.
    """
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(corners[best, :2], corners[left, :2])
        high = np.minimum(corners[best, 2:], corners[left, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        left = left[shared <= limit * (areas[best] + areas[left] - shared)]
    return kept
