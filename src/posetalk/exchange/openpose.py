"""OpenPose's JSON: a folder with one file an image, NAME_keypoints.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, named_like, stem_of
from posetalk.formats.files import decode_file, decode_record
from posetalk.skeleton import load_skeleton

SUFFIX = "_keypoints.json"
# The 18 keypoints of its COCO model, as indices into those of BODY_25: without the pelvis and the feet.
_OF_18 = [*range(8), *range(9, 19)]


class _OpenPosePerson(msgspec.Struct):
    pose_keypoints_2d: list[float]
    person_id: Any = None


class _OpenPoseFile(msgspec.Struct):
    people: list[msgspec.Raw]


def read(folder: Path, images: Path) -> LabelSet:
    """Read a folder of OpenPose's files. The form has no boxes, sizes or ids; a score of 0 is a missing keypoint."""
    files = sorted(folder.rglob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not files:
        raise PosetalkError(f"{folder} is no folder with files NAME{SUFFIX}; give the folder of --write_json")
    records = Records(folder, images, load_skeleton("body25"))
    decoder = msgspec.json.Decoder(_OpenPosePerson)
    for path in files:
        try:
            people = decode_file(path, _OpenPoseFile, "OpenPose's file").people
        except PosetalkError as error:
            records.skipped.append(str(error))
            continue
        stem = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
        name = named_like(images, stem)
        records.add_image(name)
        for number, raw in enumerate(people, 1):
            try:
                person = decode_record(decoder, raw)
                rows = _rows(person.pose_keypoints_2d)
                points = [(x, y, 2 if score > 0 else 0) for x, y, score in rows]
                scores = [float(score) for _, _, score in rows]
                records.add_person(name, points, keypoint_scores=scores, track_id=_track(person.person_id))
            except PosetalkError as error:
                records.skipped.append(f"{path}: person {number}: {error}")
    return records.labels()


def _rows(values: list[float]) -> list[list[float]]:
    if len(values) not in (75, 54):
        raise PosetalkError(
            f"its pose_keypoints_2d has {len(values)} numbers; BODY_25 has 75, the COCO model 54"
        )
    rows = [values[i : i + 3] for i in range(0, len(values), 3)]
    if len(rows) == 25:
        return rows
    whole = [[0.0, 0.0, 0.0] for _ in range(25)]
    for index, row in zip(_OF_18, rows, strict=True):
        whole[index] = row
    return whole


def _track(person_id: object) -> int | None:
    """The number in person_id: [-1] is none."""
    if isinstance(person_id, list) and len(person_id) == 1 and type(person_id[0]) is int:
        return person_id[0] if person_id[0] >= 0 else None
    return None


def write(labels: LabelSet, folder: Path) -> None:
    """Write a file an image into a folder; a labelled keypoint without a score has score 1."""
    for image in labels.data.images:
        people = []
        for person in image.people:
            scores = person.visible.clip(0, 1) if person.scores is None else person.scores * person.labelled
            triples = [
                value
                for (x, y), score in zip(person.keypoints.tolist(), scores.tolist(), strict=True)
                for value in (x, y, score)
            ]
            track = -1 if person.track_id is None else person.track_id
            people.append({"person_id": [track], "pose_keypoints_2d": triples})
        path = folder / f"{stem_of(image.name)}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode({"version": 1.3, "people": people}))
