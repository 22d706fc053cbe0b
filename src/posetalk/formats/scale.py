"""Whether places are told in pixels of their pictures: how far they reach, over all pictures of a set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from posetalk.types import Floats

Size = tuple[int, int]  # width, height px

OF_POINTS, OF_BOXES = 0.01, 0.1  # of a side, and 1 px more: what lies further out lies outside
# Shares that lie outside: of COCO's and LSPET's keypoints none, of COCO's x 1.1 0.07, x 1.5 0.43.
TOLD, REFUSED = 0.02, 0.25
# In 1 of 26 COCO pictures no keypoint is beyond 0.55 of either side; in all of 3 in 1 of 17,000 draws, of 4 in none.
FEW, UPPER_LEFT = 3, 0.55
MORE, WIDER = 20, 0.75  # in 1 of 6 pictures, and in 2 of 5 of LSPET's
# So many images, of so many sizes, are no frames of one scene, whose people may keep to a corner. From the larger
# number on the labels are refused.
MANY, SURELY, SIZES = 10, 25, 3
LARGER, SMALLER = "; made for larger ones?", "; made for smaller ones?"
SHORT = 0.7  # of a side, where the numbers end at 1000 as well
SCALES = {100: 0.8, 1000: 0.97}  # a scale's end -> the share of it that the largest numbers reach


class Fault(NamedTuple):
    """What does not fit, and whether numbers measured with it mean nothing."""

    said: str
    sure: bool


def _zero() -> Floats:
    return np.zeros(2)


@dataclass(slots=True)
class Reach:
    """Places (keypoints, or the lower right corners of boxes) held against the sizes of their pictures.

    margin: OF_POINTS or OF_BOXES. places, out: how many there are, and lie outside. share, most: the furthest along x
    and y, of the sides and in px.
    """

    margin: float
    pictures: set[int] = field(default_factory=set)
    sizes: set[Size] = field(default_factory=set)
    places: int = 0
    out: int = 0
    share: Floats = field(default_factory=_zero)
    most: Floats = field(default_factory=_zero)

    def add(self, picture: int, places: Floats, size: Size) -> None:
        """places: (n, 2) px of the picture with that id."""
        if not len(places):
            return
        sides = np.array(size, np.float64)
        edge = self.margin * sides + 1
        self.pictures.add(picture)
        self.sizes.add(size)
        self.places += len(places)
        self.out += int(((places < -edge) | (places > sides + edge)).any(axis=1).sum())
        self.most = np.maximum(self.most, places.max(axis=0))
        self.share = np.maximum(self.share, places.max(axis=0) / sides)

    def fault(self, what: str, pictures: str = "their pictures", told: float = TOLD) -> Fault | None:
        """what: the places' name in the plural; told: the share that may lie outside."""
        end, advice = self._end(), "give them in px of these pictures"
        read = f"; numbers from 0 to {end} for each side?" if end else ""
        if self.out > told * self.places:
            said = f"{self.out:,} of {self.places:,} {what} lie outside {pictures}{read or LARGER} {advice}"
            return Fault(said, self.out > REFUSED * self.places)
        x, y = self.share
        count, mixed = len(self.pictures), len(self.sizes) >= SIZES
        most = f"no {what} lie beyond {x:.0%} of the width and {y:.0%} of the height of {pictures}"
        if count >= FEW and max(x, y) < UPPER_LEFT:
            sure = end == 100 or (count >= SURELY and mixed)
            return Fault(f"{most}{read or SMALLER} {advice}", sure)
        if count >= MORE and mixed and max(x, y) < WIDER:
            return Fault(f"{most}{read or SMALLER} {advice}", False)
        if end and count >= MANY and min(x, y) < SHORT:
            return Fault(f"{most}{read} {advice}", False)
        return None

    def _end(self) -> int | None:
        """100 or 1000, where the largest numbers along both sides are just below."""
        low, high = self.most.min(), self.most.max()
        return next((end for end, near in SCALES.items() if near * end < low and high <= end + 1), None)
