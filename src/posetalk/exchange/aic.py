"""AI Challenger's human keypoints in their own form: a JSON list with an entry an image."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, named_like, stem_of
from posetalk.formats.files import decode_file, decode_record
from posetalk.skeleton import load_skeleton

# AI Challenger's third number of a keypoint -> COCO's flag: 1 visible, 2 hidden, 3 not labelled.
_FLAGS = {1: 2, 2: 1, 3: 0, 0: 0}
_THEIRS = np.array([3, 2, 1])


class _AicImage(msgspec.Struct):
    image_id: str
    keypoint_annotations: dict[str, list[float]]
    human_annotations: dict[str, list[float]] = {}


def read(path: Path, images: Path) -> LabelSet:
    """Read keypoint_*_annotations_*.json. Images are named `image_id`.jpg; the form has no sizes and no ids."""
    records = Records(path, images, load_skeleton("aic14"))
    decoder = msgspec.json.Decoder(_AicImage)
    raws = decode_file(path, list[msgspec.Raw], "AI Challenger's list of images")
    for number, raw in enumerate(raws, 1):
        try:
            image = decode_record(decoder, raw)
        except PosetalkError as error:
            records.skipped.append(f"{path}: record number {number}: {error}")
            continue
        name = named_like(images, image.image_id)
        records.add_image(name)
        for human, values in image.keypoint_annotations.items():
            try:
                box = image.human_annotations.get(human)
                if box is not None and len(box) != 4:
                    raise PosetalkError(f"its box has {len(box)} numbers instead of 4")
                if len(values) % 3 or not set(values[2::3]) <= set(_FLAGS):
                    raise PosetalkError("its keypoints are not x, y and 1, 2 or 3 each")
                points = [(x, y, _FLAGS[int(v)]) for x, y, v in zip(*[iter(values)] * 3, strict=True)]
                records.add_person(name, points, box and (box[0], box[1], box[2] - box[0], box[3] - box[1]))
            except PosetalkError as error:
                records.skipped.append(f"{path}: record number {number}, {human}: {error}")
    return records.labels()


def write(labels: LabelSet, path: Path) -> None:
    """Write AI Challenger's list. An image is named by its file name without suffix."""
    rows = []
    for image in labels.data.images:
        humans = {f"human{number}": person for number, person in enumerate(image.people, 1)}
        keypoints = {
            human: np.column_stack([person.keypoints, _THEIRS[person.visible.astype(int)]]).ravel().tolist()
            for human, person in humans.items()
        }
        boxes = {human: list(person.box.xyxy) for human, person in humans.items()}
        stem = stem_of(image.name)
        rows.append({"image_id": stem, "keypoint_annotations": keypoints, "human_annotations": boxes})
    path.write_bytes(msgspec.json.encode(rows))
