"""The things in photos, as a detector finds them, and as COCO's instances file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from posetalk.atomic_files import whole_file
from posetalk.detect.coco_categories import COCO_CATEGORIES
from posetalk.detect.detector import OVERLAP
from posetalk.detect.people import without_overlaps
from posetalk.errors import PosetalkError, missing_package
from posetalk.images.opening import read_image
from posetalk.locate.image_log import ImageLog
from posetalk.locate.line_log import LineLog
from posetalk.locate.predictions import readable
from posetalk.messages import track
from posetalk.types import Box, PoseImage

if TYPE_CHECKING:
    from posetalk.detect.pretrained import PretrainedThings


OBJECTS = "objects.json"


class _ThingsLine(msgspec.Struct, frozen=True):
    image_id: int
    detector: str
    boxes: list[tuple[float, float, float, float]]
    scores: list[float]
    categories: list[int]

    def things(self) -> Iterator[tuple[tuple[float, float, float, float], float, int]]:
        """Box, score and category of each."""
        return zip(self.boxes, self.scores, self.categories, strict=True)


def load_things_detector(name: str | Path) -> PretrainedThings:
    """Load what finds things: a folder or hub id of a model for object detection with classes of COCO.

    Raises:
        PosetalkError: `bundled`, which only finds people; as `PretrainedThings`; the extra `model` is missing.
    """
    if str(name) == "bundled":
        raise PosetalkError(
            "the bundled detector only finds people; give a model for object detection that knows COCO's categories"
        )
    try:
        from posetalk.detect.pretrained import PretrainedThings
    except ModuleNotFoundError as error:
        raise (missing_package(error, "model") or error) from None
    return PretrainedThings(str(name))


def write_things(
    images: Sequence[PoseImage],
    rows: Sequence[dict[str, Any]],
    network: PretrainedThings,
    name: str,
    out: Path,
) -> tuple[int, list[str]]:
    """Find the things in images, and write objects.json, which `read_objects` reads like COCO's instances file.

    things.jsonl keeps what was found, so that a run that was stopped searches no image again.

    Args:
        images: The images.
        rows: Their records in COCO's form.
        network: What finds things.
        name: What it is called.
        out: The folder of the run.

    Returns:
        The number of things, and a sentence for each image that cannot be read.

    Raises:
        PosetalkError: things.jsonl is of another detector or damaged; an image has changed since; the disk is full.
    """
    faults: list[str] = []
    with ImageLog(out / "pictures.jsonl") as contents, LineLog(out / "things.jsonl", _ThingsLine) as log:
        found = {line.image_id: line for line in log.before}
        if others := {line.detector for line in found.values()} - {name}:
            raise PosetalkError(f"{out} has the things that {min(others)} found; choose another folder")
        contents.check_unchanged(image for image in images if image.id in found)
        left = [image for image in images if image.id not in found]
        for image in track(left, "finding things", len(left)):
            contents.add(image)
            try:
                line = _line(image, network, name)
            except PosetalkError as error:
                faults.append(readable(f"skipped: {image.name}: {error}"))
                continue
            found[image.id] = line
            log.write(line)
    lines = [found[image.id] for image in images if image.id in found]
    things = [(line.image_id, *thing) for line in lines for thing in line.things()]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": category,
            "bbox": [round(value, 2) for value in box],
            "area": round(box[2] * box[3], 2),
            "iscrowd": 0,
            "score": score,
            "predicted": True,
        }
        for number, (image_id, box, score, category) in enumerate(things, 1)
    ]
    file = {
        "info": {
            "description": "predicted by a model, not labelled by people",
            "predicted": True,
            "model": name,
        },
        "images": rows,
        "annotations": annotations,
        "categories": [{"id": number, "name": title} for number, title in COCO_CATEGORIES.items()],
    }
    with whole_file(out / OBJECTS) as path:
        path.write_bytes(msgspec.json.encode(file))
    return len(annotations), faults


def _line(image: PoseImage, network: PretrainedThings, name: str) -> _ThingsLine:
    """The things of an image; of two of a category that overlap the surer one."""
    pixels = read_image(image.path)
    corners, scores, categories = network(pixels, network.min_score)
    corners = np.clip(corners, 0, [pixels.shape[1], pixels.shape[0]] * 2)
    inside = (corners[:, 2:] - corners[:, :2] >= 1).all(1)
    kept = [
        index
        for category in sorted(set(categories))
        for rows in [np.flatnonzero(inside & (np.array(categories) == category))]
        for index in rows[without_overlaps(corners[rows], scores[rows], OVERLAP)]
    ]
    return _ThingsLine(
        image.id,
        name,
        [Box.from_xyxy(*map(float, corners[index])).xywh for index in kept],
        [round(float(scores[index]), 4) for index in kept],
        [categories[index] for index in kept],
    )
