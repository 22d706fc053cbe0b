"""AlphaPose's results: alphapose-results.json, a JSON list with an entry a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.exchange.coco_family import HALPE_POINTS
from posetalk.exchange.labels import LabelSet, Records, named_like, only_of_size
from posetalk.formats.files import decode_file, decode_record
from posetalk.skeleton import Skeleton, load_skeleton


class _AlphaPosePerson(msgspec.Struct):
    image_id: str | int
    keypoints: list[float]
    score: float | None = None
    box: list[float] | None = None
    idx: Any = None


def read(path: Path, images: Path, skeleton: Skeleton | None = None) -> LabelSet:
    """Read AlphaPose's results: 17 (COCO), 26 or 136 (Halpe, whose first 26 are read) or 133 keypoints a person.

    The form has no sizes and no ids; a score of 0 is a missing keypoint.
    """
    raws = decode_file(path, list[msgspec.Raw], "AlphaPose's list of people")
    records: Records | None = None
    skipped: list[str] = []
    decoder = msgspec.json.Decoder(_AlphaPosePerson)
    for number, raw in enumerate(raws, 1):
        try:
            person = decode_record(decoder, raw)
            if records is None:
                records = Records(path, images, skeleton or _skeleton(len(person.keypoints), path), skipped)
            name = person.image_id if isinstance(person.image_id, str) else _numbered(images, person.image_id)
            values = person.keypoints
            if len(values) == 3 * HALPE_POINTS:
                values = values[: 3 * 26]
            if len(values) % 3:
                raise PosetalkError(f"it has {len(values)} keypoint numbers, which are not x, y, score each")
            rows = [values[i : i + 3] for i in range(0, len(values), 3)]
            records.add_image(name)
            records.add_person(
                name,
                [(x, y, 2 if score > 0 else 0) for x, y, score in rows],
                person.box,
                keypoint_scores=[float(row[2]) for row in rows],
                score=person.score,
                track_id=_track(person.idx),
            )
        except PosetalkError as error:
            skipped.append(f"{path}: record number {number}: {error}")
    records = records or Records(path, images, load_skeleton("coco17"), skipped)
    return records.labels()


def _skeleton(numbers: int, path: Path) -> Skeleton:
    return load_skeleton("halpe26") if numbers == 3 * HALPE_POINTS else only_of_size(numbers // 3, path)


def _numbered(images: Path, number: int) -> str:
    """The image that is named after a number, as COCO's are."""
    names = [named_like(images, stem) for stem in (f"{number:012d}", str(number))]
    return next((name for name in names if (images / name).is_file()), names[1])


def _track(idx: object) -> int | None:
    """AlphaPose's idx: 3, 3.0 or [3.0]."""
    value = idx[0] if isinstance(idx, list) and len(idx) == 1 else idx
    return int(value) if isinstance(value, int | float) and value == value // 1 else None


def write(labels: LabelSet, path: Path) -> None:
    """Write AlphaPose's list; a labelled keypoint without a score has score 1."""
    rows = []
    for image, person in labels.data.people():
        scores = person.visible.clip(0, 1) if person.scores is None else person.scores * person.labelled
        triples = [
            value
            for (x, y), score in zip(person.keypoints.tolist(), scores.tolist(), strict=True)
            for value in (x, y, score)
        ]
        row = {
            "image_id": image.name,
            "category_id": 1,
            "keypoints": triples,
            "score": float(scores.mean()) if person.score is None else person.score,
            "box": list(person.box.xywh),
        }
        rows.append(row if person.track_id is None else row | {"idx": [float(person.track_id)]})
    path.write_bytes(msgspec.json.encode(rows))
