"""A square of an image, and the exact transform between crop and image coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.settings import CropSettings
from posetalk.types import Box, Floats


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the full image, cropped to `size` x `size` pixels.

    center:   (x, y) px of the full image; it lands on crop pixel (size/2, size/2) before any flip.
    side:     length of the square's edge, px of the full image.
    size:     length of the crop's edge, px.
    rotation: degrees; the square turns clockwise on the screen, so its content turns anticlockwise.
    flip:     the finished crop is mirrored: x' = size - 1 - x.

    Raises PosetalkError for numbers that are not finite or too large, and for a side or size of 0.

    Pixel centres lie at integer coordinates and crop = (image - center) * size / side + size / 2: the
    convention of HRNet's `get_affine_transform` with scale = side / 200, which LocLLM uses.

    The flip differs: HRNet mirrors the full image and the points (x' = width - 1 - x) and crops afterwards, which
    mirrors about crop x = size/2. Here it is about (size - 1)/2, so that a flipped crop is exactly the unflipped pixels
    in reverse order. An image mirrored first and cropped at rotation r is therefore this square with rotation -r and
    flip, shifted by one crop pixel: HRNet's x = x here + 1, y is equal.
    """

    center: tuple[float, float]
    side: float
    size: int
    rotation: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        # beyond these bounds the matrix overflows; `not <` also catches NaN
        if not all(abs(v) < 1e9 for v in (*self.center, self.side, self.rotation)):
            raise PosetalkError(
                f"the square at {self.center} with side {self.side} and rotation {self.rotation} "
                "holds a number that is not finite or far too large"
            )
        if self.side < 1e-6 or self.size <= 0:
            raise PosetalkError(
                f"a square needs a positive side and size, not {self.side} px and {self.size} px"
            )

    @property
    def matrix(self) -> Floats:
        """The (2, 3) matrix of image px -> crop px, as `cv2.warpAffine` takes it."""
        linear = _turn(self.rotation).T * (self.size / self.side)
        shift = self.size / 2 - linear @ np.array(self.center, dtype=np.float64)
        both = np.column_stack([linear, shift])
        if self.flip:
            both[0] *= -1
            both[0, 2] += self.size - 1
        return both

    @property
    def inverse(self) -> Floats:
        """The (2, 3) matrix of crop px -> image px."""
        linear = _turn(self.rotation) * (self.side / self.size)
        shift = np.array(self.center, dtype=np.float64) - linear @ np.full(2, self.size / 2)
        if self.flip:
            shift += linear[:, 0] * (self.size - 1)
            linear = linear * (-1, 1)
        return np.column_stack([linear, shift])

    def to_crop(self, xy: npt.ArrayLike) -> Floats:
        """Points (..., 2), px of the full image -> px of the crop (below 0 or above `size` outside)."""
        return _apply(self.matrix, xy)

    def to_image(self, xy: npt.ArrayLike) -> Floats:
        """Points (..., 2), px of the crop -> px of the full image."""
        return _apply(self.inverse, xy)

    def normalise(self, xy: npt.ArrayLike) -> Floats:
        """Points (..., 2), px of the full image -> 0..1 of the crop: crop px / size, as in LocLLM."""
        return self.to_crop(xy) / self.size

    def denormalise(self, uv: npt.ArrayLike) -> Floats:
        """Points (..., 2), 0..1 of the crop -> px of the full image."""
        return self.to_image(np.asarray(uv, dtype=np.float64) * self.size)


def square_of(box: Box, size: int, padding: float = 1.0) -> Square:
    """The square around a box.

    Args:
        box: px of the full image; the square has its centre.
        size: px of the crop.
        padding: The square's side as a multiple of the box's longer side. LocLLM: 1.0; most other top-down methods:
            1.25.
    """
    return Square(center=box.center, side=max(box.w, box.h) * padding, size=size)


def crop_square(box: Box, crop: CropSettings, width: int, height: int) -> Square:
    """The square that a person is cut out by, as a model's settings say.

    Args:
        box: px of the full image.
        crop: the model's settings.
        width: of the full image, px.
        height: of the full image, px.

    Raises:
        PosetalkError: As `clip_box`, where the settings ask for it.
    """
    if crop.clip_box:
        box = clip_box(box, width, height)
    return square_of(box, crop.size, crop.padding)


def clip_box(box: Box, width: int, height: int) -> Box:
    """Clip a box to an image of width x height px, as HRNet's and LocLLM's COCO readers do.

    Left and top become at least 0, right = min(width - 1, left + w - 1), bottom likewise. A box inside the image
    therefore loses one pixel of width and height, and one that starts left of the image keeps its width. Sides are at
    least one pixel (in the reference they can be 0).

    Raises:
        PosetalkError: The box lies outside the image.
    """
    x2, y2 = box.x + box.w, box.y + box.h
    if x2 <= 0 or y2 <= 0 or box.x > width - 1 or box.y > height - 1:
        raise PosetalkError(
            f"the box {box.xywh} lies outside its image of {width} x {height} px; "
            "give x,y,width,height in pixels of that image"
        )
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(width - 1.0, left + box.w - 1), min(height - 1.0, top + box.h - 1)
    return Box(left, top, max(right - left, 1.0), max(bottom - top, 1.0))


def _turn(degrees: float) -> Floats:
    """The (2, 2) matrix that turns a vector clockwise on the screen (y points down)."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _apply(matrix: Floats, xy: npt.ArrayLike) -> Floats:
    points = np.asarray(xy, dtype=np.float64)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
