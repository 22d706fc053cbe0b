"""Detector boxes: order, threshold, and the two meanings of four numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posetalk.errors import PosetalkError
from posetalk.formats.detections import read_boxes
from posetalk.types import Box

Write = Callable[..., Path]
SIZES = {1: (640, 480), 2: (640, 480)}


def found(bbox: list[float], score: float = 0.9, image_id: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "bbox": bbox, "score": score, **more}


def test_boxes_of_each_image_surest_first(write: Write) -> None:
    records = [found([1, 2, 3, 4], 0.2), found([5, 6, 7, 8], 0.9), found([1, 1, 9, 9], 0.5, image_id=2)]
    boxes = read_boxes(write(records))
    assert [(b.box, b.score, b.image_id) for b in boxes[1]] == [
        (Box(5, 6, 7, 8), 0.9, 1),
        (Box(1, 2, 3, 4), 0.2, 1),
    ]
    assert list(boxes) == [1, 2]
    assert boxes.skipped == ()


def test_unsure_boxes_and_other_things_are_left_out(write: Write) -> None:
    records = [found([1, 2, 3, 4], 0.2), found([5, 6, 7, 8], 0.5), found([1, 1, 1, 1], category_id=18)]
    boxes = read_boxes(write(records), min_score=0.5)
    assert [b.score for b in boxes[1]] == [0.5]
    assert read_boxes(write(records), min_score=1.0) == {}


def test_corners(write: Write) -> None:
    boxes = read_boxes(write([found([10, 20, 30, 60])]), box_format="xyxy")
    assert boxes[1][0].box == Box(10, 20, 20, 40)


CORNERS = [[400, 300, 630, 470], [10, 20, 600, 450], [300, 100, 500, 400]]


def test_corners_read_as_sizes_are_found_out(write: Write) -> None:
    path = write([found(c) for c in CORNERS])
    with pytest.raises(PosetalkError, match=r"2 of 3 boxes reach far out of their images.*box form xyxy"):
        read_boxes(path, sizes=SIZES)
    assert len(read_boxes(path, box_format="xyxy", sizes=SIZES)[1]) == 3


def test_sizes_read_as_corners_are_found_out(write: Write) -> None:
    path = write([found([x, y, r - x, b - y]) for x, y, r, b in CORNERS])
    with pytest.raises(PosetalkError, match=r"end before they begin.*box form xywh"):
        read_boxes(path, box_format="xyxy")
    assert len(read_boxes(path, sizes=SIZES)[1]) == 3


def test_a_detectors_slips_are_no_other_form(write: Write) -> None:
    """One box of 20 reaches far out and one has no area: the first is kept, the second said."""
    records = [found([10, 20, 30, 40]) for _ in range(18)]
    records += [found([600, 20, 300, 40], 0.1), found([5, 5, 0, 9])]
    boxes = read_boxes(write(records), sizes=SIZES)
    assert len(boxes[1]) == 19
    assert len(boxes.skipped) == 1
    assert "record number 20: the box (5.0, 5.0, 0.0, 9.0) has no area" in boxes.skipped[0]


def test_shares_of_the_images_sides_are_refused(write: Write) -> None:
    records = [found([0.1, 0.2, 0.5, 0.7], 1 - n / 100) for n in range(9)] + [found([1, 2, 30, 40])]
    with pytest.raises(PosetalkError, match="9 of 10 boxes are 1 px or smaller; normalised coordinates"):
        read_boxes(write(records))
    assert len(read_boxes(write(records[8:] + records[9:]))[1]) == 3
