"""A picture that was read, and the boxes that are asked for in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.locate.decode import Prefix
from posetalk.types import Box

Boxes = Box | Sequence[float] | Sequence[Box | Sequence[float]]  # one, or a list of them
Seen = dict[tuple[Box, bool], Prefix]  # what was seen in boxes of a picture, mirrored or not


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A person to be looked at: a box of a picture."""

    image: Pixels
    box: Box
    seen: Seen | None


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """boxes: None where a person is to be looked for in the whole picture.

    seen: what was seen of the picture before, of one that may be asked again; None where nothing is kept.
    """

    image: Pixels
    boxes: list[Box] | None = None
    seen: Seen | None = None

    @property
    def whole(self) -> Box:
        height, width = self.image.shape[:2]
        return Box(0, 0, width, height)

    def crops(self) -> list[Crop]:
        return [Crop(self.image, box, self.seen) for box in self.boxes or ()]

    def meets(self, box: Box) -> bool:
        """Whether some of the box lies in the picture."""
        height, width = self.image.shape[:2]
        left, top, right, bottom = box.xyxy
        return left < width and top < height and right > 0 and bottom > 0


def listed(boxes: Boxes | None) -> list[Box] | None:
    """Boxes, or one alone, as a list. Errors: what is no box; see `Box`."""
    return None if boxes is None else [box if isinstance(box, Box) else _box(box) for box in as_list(boxes)]


def as_list(boxes: Any) -> list[Any]:
    """Boxes, or one alone, as a list of what may be boxes."""
    if isinstance(boxes, Box | str) or not isinstance(boxes, Iterable):
        return [boxes]
    found = list(boxes)
    return [found] if len(found) == 4 and all(isinstance(v, Real) for v in found) else found


def _box(values: Any) -> Box:
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 4:
        raise PosetalkError(f"a box is four numbers x,y,width,height in pixels, not {str(values)[:80]!r}")
    return Box(*numbers)
