"""OCHuman in its own form: ochuman.json, images with the people in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, underscored
from posetalk.formats.files import decode_file, decode_record, record_id
from posetalk.formats.names import our_name, skeleton_named
from posetalk.skeleton import load_skeleton

# Its third number of a keypoint: https://github.com/liruilong940607/OCHumanApi
VISIBLE = {"missing": 0, "vis": 1, "self_occluded": 2, "others_occluded": 3}
_FLAGS = {0: 0, 1: 2, 2: 1, 3: 1}
_THEIRS = np.array([0, 2, 1])
_NAMES = {"head top": "head"}  # what it calls keypoints that are called otherwise here


class _OchumanPerson(msgspec.Struct):
    bbox: list[float]
    keypoints: list[float] | None = None


class _OchumanImage(msgspec.Struct):
    file_name: str
    annotations: list[msgspec.Raw]
    image_id: Any = None
    width: int | None = None
    height: int | None = None


class _OchumanFile(msgspec.Struct):
    images: list[msgspec.Raw]
    keypoint_names: list[str]


def read(path: Path, images: Path) -> LabelSet:
    """Read ochuman.json. People without keypoints are boxes alone."""
    file = decode_file(path, _OchumanFile, "OCHuman's file, with images and keypoint_names")
    try:
        skeleton = skeleton_named([our_name(name) for name in file.keypoint_names])
    except PosetalkError as error:
        raise PosetalkError(f"{path}: its keypoint_names: {error}") from None
    records = Records(path, images, skeleton)
    image_decoder, person_decoder = msgspec.json.Decoder(_OchumanImage), msgspec.json.Decoder(_OchumanPerson)
    for number, raw in enumerate(file.images, 1):
        try:
            image = decode_record(image_decoder, raw)
        except PosetalkError as error:
            records.skipped.append(f"{path}: image {record_id(raw, number)}: {error}")
            continue
        size = (image.width, image.height) if image.width and image.height else None
        identity = str(image.image_id)
        records.add_image(
            image.file_name, size, int(identity) if identity.isascii() and identity.isdigit() else None
        )
        for place, raw_person in enumerate(image.annotations, 1):
            try:
                person = decode_record(person_decoder, raw_person)
                values = person.keypoints or [0] * 3 * len(skeleton)
                if len(person.bbox) != 4:
                    raise PosetalkError(f"its bbox has {len(person.bbox)} numbers instead of 4")
                if len(values) % 3 or not set(values[2::3]) <= set(_FLAGS):
                    raise PosetalkError("its keypoints are not x, y and 0, 1, 2 or 3 each")
                points = [(x, y, _FLAGS[int(v)]) for x, y, v in zip(*[iter(values)] * 3, strict=True)]
                left, top, right, bottom = person.bbox
                records.add_person(image.file_name, points, (left, top, right - left, bottom - top))
            except PosetalkError as error:
                records.skipped.append(f"{path}: image number {number}, person {place}: {error}")
    return records.labels()


def write(labels: LabelSet, path: Path) -> None:
    """Write OCHuman's file; `max_iou` is that of the boxes of an image, as its readers choose people by it."""
    rows = []
    for image in labels.data.images:
        boxes = np.array([person.box.xyxy for person in image.people]).reshape(-1, 4)
        people = [
            {
                "bbox": list(person.box.xyxy),
                "keypoints": np.column_stack([person.keypoints, _THEIRS[person.visible.astype(int)]])
                .ravel()
                .tolist()
                if person.labelled.any()
                else None,
                "segms": None,
                "max_iou": _largest_overlap(boxes, index),
            }
            for index, person in enumerate(image.people)
        ]
        row: dict[str, Any] = {"image_id": str(image.id), "file_name": image.name, "annotations": people}
        if image.width and image.height:
            row |= {"width": image.width, "height": image.height}
        rows.append(row)
    names = [underscored(_NAMES.get(name, name)) for name in load_skeleton("ochuman19").names]
    file = {"images": rows, "keypoint_names": names, "keypoint_visible": VISIBLE}
    path.write_bytes(msgspec.json.encode(file))


def _largest_overlap(boxes: np.ndarray[Any, Any], index: int) -> float:
    """The largest intersection over union of a box with the others of its image; 0 for one alone."""
    low = np.maximum(boxes[:, :2], boxes[index, :2])
    high = np.minimum(boxes[:, 2:], boxes[index, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlap = both / (areas + areas[index] - both)
    return float(np.delete(overlap, index).max(initial=0.0))
