"""An image that was read, and the boxes of the people in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from posetalk.detect.people import People
from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.locate.engine import EncodedCrops
from posetalk.types import Box, Floats

Boxes = Box | Sequence[float] | Sequence[Box | Sequence[float]]  # one, or a list of them
PrefixCache = dict[tuple[Box, bool], EncodedCrops]  # by box, and whether the crop is mirrored


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A person to locate: a box of an image."""

    image: Pixels
    box: Box
    cache: PrefixCache | None


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """An image and the people to locate.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        boxes: None where one person is to be found in the whole image.
        cache: Crops that were encoded before; None to remember none.
        box_scores: A detector's scores of the boxes.
        found: What the detector found, once it was asked.
    """

    image: Pixels
    boxes: list[Box] | None = None
    cache: PrefixCache | None = None
    box_scores: Floats | None = None
    found: list[People] = field(default_factory=list)

    @property
    def full_box(self) -> Box:
        """The box of the whole image."""
        height, width = self.image.shape[:2]
        return Box(0, 0, width, height)

    def crops(self) -> list[Crop]:
        """One crop for each box."""
        return [Crop(self.image, box, self.cache) for box in self.boxes or ()]

    def overlaps(self, box: Box, margin: float = 0.0) -> bool:
        """Whether some of the box lies in the image, whose last `margin` pixels do not count."""
        height, width = self.image.shape[:2]
        left, top, right, bottom = box.xyxy
        return left < width - margin and top < height - margin and right > 0 and bottom > 0


def checked_boxes(boxes: Boxes | None) -> list[Box] | None:
    """One box or several as a list of Box; None stays None.

    Raises:
        PosetalkError: one of them is no box, see `Box`.
    """
    if boxes is None:
        return None
    return [box if isinstance(box, Box) else _box(box) for box in as_list(boxes)]


def as_list(boxes: Any) -> list[Any]:
    """One box or several as a list, unchecked."""
    if isinstance(boxes, Box | str) or not isinstance(boxes, Iterable):
        return [boxes]
    items = list(boxes)
    return [items] if len(items) == 4 and all(isinstance(item, Real) for item in items) else items


def _box(values: Any) -> Box:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 4:
        raise PosetalkError(f"a box is four numbers x,y,width,height in pixels, not {str(values)[:80]!r}")
    return Box(*numbers)
