"""The bundled detector: NanoDet-g in ONNX Runtime, which needs no torch."""

from __future__ import annotations

import numpy as np
from PIL import Image

from posetalk.images.opening import Pixels
from posetalk.model.graphs import sessions
from posetalk.resources import BUNDLED_DETECTOR
from posetalk.types import Floats

SIDE = 416  # px of the longer side, as it was trained
MULTIPLE = 32  # of which the sides of its input must be


class NanoDet:
    """Finds people with NanoDet-g. threads: how many it computes with; None for one for each core."""

    min_score = 0.24  # chosen on photos of COCO train2017, see benchmarks/detect.py

    def __init__(self, threads: int | None = None) -> None:
        (made,) = sessions([BUNDLED_DETECTOR], threads)
        self._session = made.result()

    def __call__(self, image: Pixels, min_score: float) -> tuple[Floats, Floats]:
        """Boxes as left, top, right, bottom px of an image (n, 4), and their scores (n,), overlaps and all."""
        small, scale = letterbox(image)
        (rows,) = self._session.run(["people"], {"image": small[None]})
        people = rows[0][rows[0][:, 4] >= min_score].astype(np.float64)
        return people[:, :4] / scale, people[:, 4]


def letterbox(image: Pixels, side: int = SIDE) -> tuple[Pixels, Floats]:
    """An image shrunk or enlarged so that its longer side is `side`, at the top left of black.

    Returns:
        (h, w, 3) uint8 with sides that are multiples of 32; and (4,), by which px of the image become px of it.
    """
    height, width = image.shape[:2]
    factor = side / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    black = np.zeros((*(-(-length // MULTIPLE) * MULTIPLE for length in reversed(size)), 3), np.uint8)
    black[: size[1], : size[0]] = np.asarray(small)
    return black, np.array([size[0] / width, size[1] / height] * 2)
