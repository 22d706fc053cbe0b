"""The picture that a model is shown: a photo or a person's crop of it, and the way back to the photo's pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from posetalk.atomic_files import whole_file
from posetalk.images.opening import read_image
from posetalk.pointer.form import Place, PointForm
from posetalk.types import Box

ViewKind = Literal["photo", "crop"]
PADDING = 1.25  # of the box of a person who is cut out, the usual one of pose models
MIN_CROP_SIDE = 448  # px; a smaller crop is enlarged to this longer side
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class PhotoView:
    """A part of a photo, and the size that it is shown in.

    Attributes:
        region: The part, in px of the full photo, origin top left.
        size: Width and height of what is shown, px.
    """

    region: Box
    size: tuple[int, int]

    def to_photo(self, place: Place) -> tuple[float, float]:
        """Shares of what is shown -> px of the full photo."""
        return self.region.x + place[0] * self.region.w, self.region.y + place[1] * self.region.h

    def to_view(self, xy: tuple[float, float]) -> Place:
        """Px of the full photo -> shares of what is shown, cut to 0..1."""
        x, y = (xy[0] - self.region.x) / self.region.w, (xy[1] - self.region.y) / self.region.h
        return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)


def view_of(photo: tuple[int, int], form: PointForm, side: int, person: Box | None = None) -> PhotoView:
    """The view of a whole photo, or of a person's box with a quarter of its size around it.

    Args:
        photo: Width and height of the upright photo, px.
        form: The form; its factor and max_pixels are kept.
        side: The longest side of what is shown, px.
        person: The box to cut out, in px of the photo; None for the whole photo.
    """
    width, height = photo
    region = Box(0, 0, width, height)
    if person:
        x1, y1, x2, y2 = person.scaled(PADDING).xyxy
        left, top = (int(min(max(v, 0), end - 1)) for v, end in ((x1, width), (y1, height)))
        right, bottom = (math.ceil(min(v, end)) for v, end in ((x2, width), (y2, height)))
        region = Box.from_xyxy(left, top, max(right, left + 1), max(bottom, top + 1))
    longer = max(region.w, region.h)
    scale = min(side / longer, max(1.0, MIN_CROP_SIDE / longer if person else 1.0))
    if form.max_pixels:
        scale = min(scale, math.sqrt(form.max_pixels / region.area))
    width, height = (max(1, round(scale * v / form.factor)) * form.factor for v in (region.w, region.h))
    if form.max_pixels and width * height > form.max_pixels:
        width, height = (max(1, int(scale * v / form.factor)) * form.factor for v in (region.w, region.h))
    return PhotoView(region, (width, height))


def write_view(photo: Path, view: PhotoView, out: Path) -> None:
    """Write what is shown as a JPEG.

    Raises:
        PosetalkError: The photo cannot be read, or the file not written.
    """
    image = Image.fromarray(read_image(photo)).resize(
        view.size, Image.Resampling.LANCZOS, box=view.region.xyxy
    )
    with whole_file(out) as part:
        image.save(part, "JPEG", quality=JPEG_QUALITY)
