"""One server for the tests of a file that change nothing in it; photos."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from benchmarks.served import Served
from PIL import Image

FOLDER = Path(skimage.__path__[0]) / "data"


@pytest.fixture(scope="session")
def server() -> Iterator[Served]:
    """With the limits of an ordinary one, but for seconds and people."""
    with Served(
        "--max-people", "5", "--max-keypoints", "30", "--max-places", "7", "--body-timeout", "2"
    ) as served:
        yield served


def png(pixels: np.ndarray | Image.Image, **more: object) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, **{"format": "PNG", **more})  # type: ignore[arg-type]
    return file.getvalue()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A woman, from scikit-image."""
    return png(Image.open(FOLDER / "astronaut.png").convert("RGB"))


@pytest.fixture(scope="session")
def photos(photo: bytes) -> list[bytes]:
    """Eight different photos of her, of mixed sizes: cut, mirrored, shrunk."""
    pixels = np.asarray(Image.open(io.BytesIO(photo)))
    found = []
    for number in range(8):
        cut = pixels[number * 3 :, : 512 - number * 5]
        cut = cut[:, ::-1] if number % 2 else cut
        side = 200 + 37 * (number % 7)
        found.append(png(Image.fromarray(np.ascontiguousarray(cut)).resize((side, side))))
    return found
