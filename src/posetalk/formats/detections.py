"""A detector's boxes in COCO's results format, to evaluate with instead of labelled boxes."""

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
    """A detection: its box in px of the full image, the detector's score in 0..1, and the image's id."""

    box: Box
    score: float
    image_id: int


class Detections(dict[int, list[DetectedBox]]):
    """The boxes by image id, highest score first.

    skipped: A sentence for each record left out.
    notes:   A sentence for each doubt about the boxes.
    """

    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _DetectionRecord(msgspec.Struct, gc=False):
    image_id: int
    bbox: list[float]
    score: float
    category_id: int = PERSON


class _NamedRecord(msgspec.Struct, gc=False):
    bbox: list[float]
    score: float = 1.0
    category_id: int = PERSON
    image_id: int | str | None = None
    file_name: str | None = None

    def id_among(self, names: Mapping[str, int]) -> int | None:
        """The id of its image; None for an image that is not among the names."""
        for name in (self.file_name, self.image_id):
            if isinstance(name, str):
                return next((names[n] for n in (name, name.rpartition("/")[2]) if n in names), None)
        if self.image_id is None:
            raise PosetalkError("it has neither file_name nor image_id")
        return self.image_id if isinstance(self.image_id, int) else None


def read_boxes(
    path: str | Path,
    *,
    min_score: float = -math.inf,
    box_format: Literal["xywh", "xyxy"] = "xywh",
    sizes: Mapping[int, Size | None] | None = None,
    names: Mapping[str, int] | None = None,
) -> Detections:
    """Read the boxes of people from a detector's results: a JSON list of image_id, category_id, bbox and score.

    Args:
        path: The file.
        min_score: Boxes with a lower score are left out.
        box_format: What bbox holds: `xywh`, left, top, width, height px (COCO); or `xyxy`, left, top, right, bottom px
            (the detections published with Human-Art).
        sizes: Image id -> (width, height) px of the labelled images, None if unknown; with it, boxes are checked
            against the images.
        names: Names of images -> image id. With it a record may name its image instead, as `file_name` or in
            `image_id`, and needs no score; those of images with other names are left out.

    Returns:
        The boxes of category 1 by image id. There may be few or none with `min_score`.

    Raises:
        PosetalkError: A file that cannot be read or has another form, the other `box_format`, another scale, boxes on
            other images only, no record left.
    """
    path = Path(path)
    decoder = msgspec.json.Decoder(_DetectionRecord)
    named_decoder = msgspec.json.Decoder(_NamedRecord)
    detections: list[DetectedBox] = []
    skipped: list[str] = []
    elsewhere = 0
    raws = decode_file(path, list[msgspec.Raw], "a list of detections (COCO results)")
    for number, raw in enumerate(raws, 1):
        try:
            record: _DetectionRecord | _NamedRecord
            if names is None:
                record = decode_record(decoder, raw)
                image_id: int | None = record.image_id
            else:
                record = decode_record(named_decoder, raw)
                image_id = record.id_among(names)
            if record.category_id == PERSON and image_id is not None:
                detections.append(DetectedBox(_box(record.bbox, box_format), record.score, image_id))
            elsewhere += image_id is None
        except PosetalkError as error:
            skipped.append(f"{path}: record number {number}: {error}")
    without_area = sum("has no area" in sentence for sentence in skipped)
    if box_format == "xyxy" and without_area > OFTEN * (len(detections) + without_area):
        raise PosetalkError(
            f"{path}: {without_area} boxes end before they begin, so they seem to be left, top, width, height; "
            "read them with the box form xywh"
        )
    checks = BoxChecks(sizes or None, box_format)
    for detection in detections:
        checks.add(detection.image_id, detection.box)
    notes = checks.check(path, "read them with the box form xyxy")
    if not detections and not elsewhere:
        raise none_left(path, skipped, "boxes of people")
    boxes = Detections()
    boxes.skipped, boxes.notes = tuple(skipped), tuple(notes)
    for detection in sorted(detections, key=lambda b: -b.score):
        if detection.score >= min_score:
            boxes.setdefault(detection.image_id, []).append(detection)
    return boxes


def _box(numbers: list[float], box_format: Literal["xywh", "xyxy"]) -> Box:
    if len(numbers) != 4:
        raise PosetalkError(f"its bbox has {len(numbers)} numbers instead of 4")
    a, b, c, d = numbers
    return Box(a, b, c, d) if box_format == "xywh" else Box.from_xyxy(a, b, c, d)
