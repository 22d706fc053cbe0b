"""A detector's boxes, in COCO's results form: what a model is tested on when there is no ground truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_file, decode_record, none_left
from posetalk.formats.fit import OFTEN, BoxChecks
from posetalk.formats.scale import Size
from posetalk.types import Box

PERSON = 1  # COCO's category


@dataclass(frozen=True, slots=True)
class DetectedBox:
    """A box that a detector gave, and how sure it was (0..1)."""

    box: Box
    score: float
    image_id: int


class Detections(dict[int, list[DetectedBox]]):
    """The boxes of each image id, surest first; `skipped` has one sentence for each record left out.

    notes: a sentence for whatever does not fit.
    """

    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Record(msgspec.Struct, gc=False):
    image_id: int
    bbox: list[float]
    score: float
    category_id: int = PERSON


def read_boxes(
    path: Path,
    *,
    min_score: float = -math.inf,
    form: Literal["xywh", "xyxy"] = "xywh",
    sizes: Mapping[int, Size | None] | None = None,
) -> Detections:
    """Read the people of a detector's results file: a list of image_id, category_id, bbox and score.

    min_score: boxes below it are left out.
    form:      what bbox holds: left, top, width, height px (COCO), or left, top, right, bottom px (the
               detections that go with Human-Art).
    sizes:     image id -> (width, height) px of the labelled pictures, None where it is not known; with it, boxes that
               do not fit them are found out.
    Errors: unreadable file, not this form, the other `form`, another scale, other pictures, no record left. Few boxes
    or none above `min_score` is no error.
    """
    path = Path(path)
    decoder = msgspec.json.Decoder(_Record)
    found: list[DetectedBox] = []
    skipped: list[str] = []
    raws = decode_file(path, list[msgspec.Raw], "a list of detections (COCO results)")
    for number, raw in enumerate(raws, 1):
        try:
            record = decode_record(decoder, raw)
            if record.category_id == PERSON:
                found.append(DetectedBox(_box(record.bbox, form), record.score, record.image_id))
        except PosetalkError as error:
            skipped.append(f"{path}: record number {number}: {error}")
    empty = sum("has no area" in sentence for sentence in skipped)
    if form == "xyxy" and empty > OFTEN * (len(found) + empty):
        raise PosetalkError(
            f"{path}: {empty} boxes end before they begin, so they seem to be left, top, width, height; "
            "read them with the box form xywh"
        )
    counted = BoxChecks(sizes or None, form)
    for one in found:
        counted.add(one.image_id, one.box)
    notes = counted.check(path, "read them with the box form xyxy")
    if not found:
        raise none_left(path, skipped, "boxes of people")
    boxes = Detections()
    boxes.skipped, boxes.notes = tuple(skipped), tuple(notes)
    for one in sorted(found, key=lambda b: -b.score):
        if one.score >= min_score:
            boxes.setdefault(one.image_id, []).append(one)
    return boxes


def _box(numbers: list[float], form: Literal["xywh", "xyxy"]) -> Box:
    if len(numbers) != 4:
        raise PosetalkError(f"its bbox has {len(numbers)} numbers instead of 4")
    a, b, c, d = numbers
    return Box(a, b, c, d) if form == "xywh" else Box.from_xyxy(a, b, c, d)
