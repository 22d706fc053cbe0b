"""A small JPEG of an image, for pages and for servers that look at images."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from posetalk.images.opening import read_image


@dataclass(frozen=True, slots=True)
class SmallImage:
    """A JPEG. size: its own width and height in px; full_size: those of the upright image that it was made from."""

    jpeg: bytes
    size: tuple[int, int]
    full_size: tuple[int, int]


def small_jpeg(path: Path, side: int, quality: int, progressive: bool = False) -> SmallImage:
    """Make a JPEG whose longer side has at most `side` px; a smaller image keeps its size.

    Args:
        path: File of the image.
        side: Longer side in px.
        quality: JPEG quality, 1 to 95.
        progressive: Make a progressive JPEG.

    Raises:
        PosetalkError: As `read_image`.
    """
    image = Image.fromarray(read_image(path))
    full_size = image.size
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True, progressive=progressive)
    return SmallImage(file.getvalue(), image.size, full_size)
