"""How probable each place of a crop is for a keypoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from posetalk.images.affine import Square
from posetalk.types import Floats, frozen_array


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A heat map over a square of the image, which may reach beyond the image.

    values: (rows, columns) probabilities from the top left; they sum to 1.
    x, y:   the left top corner, px of the full image.
    side:   the length of the square's edge, px of the full image.
    """

    values: Floats
    x: float
    y: float
    side: float

    @classmethod
    def of(cls, square: Square, values: Floats) -> Self:
        """The map of an upright crop."""
        x, y = square.center
        return cls(frozen_array(values), x - square.side / 2, y - square.side / 2, square.side)
