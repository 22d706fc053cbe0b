"""Whether coordinates are in pixels of their images, from how far they reach over all images of a set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from posetalk.types import Floats

Size = tuple[int, int]  # width, height px

OF_POINTS, OF_BOXES = 0.01, 0.1  # of a side, plus 1 px: points further out are outside
# Shares of points outside. Of COCO's and LSPET's keypoints it is 0, of COCO's x 1.1 0.07, x 1.5 0.43.
NOTED_ABOVE, CERTAIN_ABOVE = 0.02, 0.25
# In 1 of 26 COCO images no keypoint is beyond 0.55 of either side; in all of 3 in 1 of 17,000 draws, of 4 in none.
MIN_IMAGES, UPPER_LEFT = 3, 0.55
MORE_IMAGES, UPPER_LEFT_MORE = 20, 0.75  # in 1 of 6 images, and in 2 of 5 of LSPET's
# So many images, of several sizes, are not frames of one video, in which people may stay in a corner. From the larger
# number on the fault is certain.
MANY_IMAGES, CERTAIN_IMAGES, MIN_SIZES = 10, 25, 3
LARGER, SMALLER = "; made for larger ones?", "; made for smaller ones?"
SHORT_SIDE = 0.7  # of a side, if the numbers end at 1000 as well
SCALES = {100: 0.8, 1000: 0.97}  # end of a scale -> the share of it that the largest numbers reach at least


class ScaleFault(NamedTuple):
    """What does not fit; `certain` if measurements with it would mean nothing."""

    sentence: str
    certain: bool


def _zero() -> Floats:
    return np.zeros(2)


@dataclass(slots=True)
class Reach:
    """How far points (keypoints, or the lower right corners of boxes) reach in their images.

    margin: OF_POINTS or OF_BOXES. points, outside: how many there are, and how many lie outside. furthest,
    furthest_share: the largest x and y, in px and as shares of the sides.
    """

    margin: float
    image_ids: set[int] = field(default_factory=set)
    sizes: set[Size] = field(default_factory=set)
    points: int = 0
    outside: int = 0
    furthest_share: Floats = field(default_factory=_zero)
    furthest: Floats = field(default_factory=_zero)

    def add(self, image_id: int, points: Floats, size: Size) -> None:
        """Count points (n, 2) px of an image."""
        if not len(points):
            return
        sides = np.array(size, np.float64)
        edge = self.margin * sides + 1
        self.image_ids.add(image_id)
        self.sizes.add(size)
        self.points += len(points)
        self.outside += int(((points < -edge) | (points > sides + edge)).any(axis=1).sum())
        self.furthest = np.maximum(self.furthest, points.max(axis=0))
        self.furthest_share = np.maximum(self.furthest_share, points.max(axis=0) / sides)

    def fault(
        self, points_name: str, images_name: str = "their images", allowed: float = NOTED_ABOVE
    ) -> ScaleFault | None:
        """What does not fit, if anything.

        Args:
            points_name: What the points are, for the sentence.
            images_name: What the images are.
            allowed: The share of points that may lie outside.
        """
        end, advice = self._scale_end(), "give them in px of these images"
        guess = f"; numbers from 0 to {end} for each side?" if end else ""
        if self.outside > allowed * self.points:
            counts = f"{self.outside:,} of {self.points:,} {points_name} lie outside {images_name}"
            return ScaleFault(
                f"{counts}{guess or LARGER} {advice}", self.outside > CERTAIN_ABOVE * self.points
            )
        x, y = self.furthest_share
        count, mixed = len(self.image_ids), len(self.sizes) >= MIN_SIZES
        start = f"no {points_name} lie beyond {x:.0%} of the width and {y:.0%} of the height of {images_name}"
        if count >= MIN_IMAGES and max(x, y) < UPPER_LEFT:
            certain = end == 100 or (count >= CERTAIN_IMAGES and mixed)
            return ScaleFault(f"{start}{guess or SMALLER} {advice}", certain)
        if count >= MORE_IMAGES and mixed and max(x, y) < UPPER_LEFT_MORE:
            return ScaleFault(f"{start}{guess or SMALLER} {advice}", False)
        if end and count >= MANY_IMAGES and min(x, y) < SHORT_SIDE:
            return ScaleFault(f"{start}{guess} {advice}", False)
        return None

    def _scale_end(self) -> int | None:
        """100 or 1000, if the largest numbers along both sides are just below it."""
        low, high = self.furthest.min(), self.furthest.max()
        return next((end for end, share in SCALES.items() if share * end < low and high <= end + 1), None)
