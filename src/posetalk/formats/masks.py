"""The outlines of people in a COCO-style file: polygons of `segmentation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.formats.coco import decode_coco
from posetalk.formats.files import decode_record

Polygon = npt.NDArray[np.float32]
"""(n, 2) px of the full image."""


class _Outlined(msgspec.Struct, gc=False):
    id: int
    image_id: int
    segmentation: Any = None


def read_polygons(path: Path) -> dict[tuple[int, int], list[Polygon]]:
    """The polygons of each person by image id and annotation id; people without, and run-length masks, are left out.

    Raises:
        PosetalkError: As `read_coco`, for the file as a whole.
    """
    decoder, outlines = msgspec.json.Decoder(_Outlined), {}
    for raw in decode_coco(path).annotations:
        try:
            record = decode_record(decoder, raw)
        except PosetalkError:  # `read_coco` reports it
            continue
        rows = record.segmentation if isinstance(record.segmentation, list) else []
        if polygons := [polygon for row in rows if (polygon := _polygon(row)) is not None]:
            outlines[record.image_id, record.id] = polygons
    return outlines


def _polygon(row: Any) -> Polygon | None:
    try:
        points = np.asarray(row, np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    whole = points.ndim == 1 and len(points) >= 6 and len(points) % 2 == 0 and np.isfinite(points).all()
    return points.reshape(-1, 2) if whole else None
