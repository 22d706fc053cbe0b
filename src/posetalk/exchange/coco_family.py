"""Data sets in COCO's form: COCO with the keypoints of any skeleton, COCO-WholeBody, Halpe, CrowdPose, PoseTrack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, underscored
from posetalk.formats.coco import decode_coco, pose_set
from posetalk.formats.files import decode_record, need_folder, record_id
from posetalk.formats.names import skeleton_named
from posetalk.formats.reading import Category, Reading
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import Box, Floats, Person, PoseImage

Form = Literal["coco", "wholebody", "halpe", "crowdpose", "posetrack"]
SKELETONS: dict[Form, str] = {
    "wholebody": "wholebody133",
    "halpe": "halpe26",
    "crowdpose": "crowdpose14",
    "posetrack": "posetrack17",
}
HALPE_POINTS = 136  # body and feet, 26, then face and hands
# COCO-WholeBody's lists of keypoints, and the index that each begins at; https://github.com/jin-s13/COCO-WholeBody
_PARTS = {"keypoints": 0, "foot_kpts": 17, "face_kpts": 23, "lefthand_kpts": 91, "righthand_kpts": 112}
_ENDS = dict(zip(_PARTS, [*list(_PARTS.values())[1:], 133], strict=True))


class _CategoryWithLimbs(Category):
    skeleton: Any = None


def read(path: Path, images: Path, form: Form, skeleton: Skeleton | None = None) -> LabelSet:
    """Read a data set in COCO's form. Raises as `read_coco`."""
    need_folder(images)
    file = decode_coco(path)
    reading = Reading(path, images, skeleton or load_skeleton(SKELETONS.get(form, "coco17")), [], 0)
    limbs: dict[int, Any] = {}
    decoder = msgspec.json.Decoder(_CategoryWithLimbs)
    for number, raw in enumerate(file.categories or [], 1):
        try:
            category = decode_record(decoder, raw)
        except PosetalkError as error:
            reading.skipped.append(f"{path}: category {record_id(raw, number)}: {error}")
            continue
        reading.categories.append(category)
        limbs[category.id] = category.skeleton
    named = next((c for c in reading.categories if c.id in reading.person_ids and c.keypoints), None)
    if named and form == "coco":
        reading.declared = len(named.keypoints)
        if skeleton is None:
            try:
                reading.skeleton = skeleton_named(named.keypoints, _limbs(limbs[named.id], reading.declared))
            except PosetalkError as error:
                raise PosetalkError(f"{path}: its category {named.name}: {error}") from None
    if form == "halpe":
        reading.declared = HALPE_POINTS
    people = file.annotations
    if form in ("wholebody", "posetrack"):
        people = list(_rewritten(people, form, reading))
    return LabelSet(pose_set(file.images, people, reading), reading.skeleton)


def _limbs(pairs: object, count: int) -> list[tuple[int, int]]:
    """COCO's pairs of numbers from 1 as indices; those that join no two keypoints are left out."""
    if not isinstance(pairs, list):
        return []
    numbers = range(1, count + 1)
    return [
        (pair[0] - 1, pair[1] - 1)
        for pair in pairs
        if isinstance(pair, list)
        and len(pair) == 2
        and pair[0] != pair[1]
        and all(n in numbers for n in pair)
    ]


def _rewritten(people: list[msgspec.Raw], form: Form, reading: Reading) -> Iterator[msgspec.Raw]:
    """People's records as COCO's: all parts of a whole body in one list; PoseTrack's 1 (labelled) as 2."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, raw in enumerate(people, 1):
        try:
            record = decode_record(decoder, raw)
            if form == "wholebody":
                record["keypoints"] = _whole_body(record)
            else:
                numbers = record.get("keypoints")
                if isinstance(numbers, list):
                    record["keypoints"] = [2 if i % 3 == 2 and v == 1 else v for i, v in enumerate(numbers)]
        except PosetalkError as error:
            reading.skipped.append(f"{reading.path}: annotation {record_id(raw, number)}: {error}")
            continue
        yield msgspec.Raw(msgspec.json.encode(record))


def _whole_body(record: Mapping[str, Any]) -> list[float]:
    numbers: list[float] = []
    for part, start in _PARTS.items():
        count = 3 * (_ENDS[part] - start)
        values = record.get(part) or [0] * count
        if not isinstance(values, list) or len(values) != count:
            length = len(values) if isinstance(values, list) else "no list of"
            raise PosetalkError(f"its {part} has {length} numbers instead of {count}")
        # of faces and hands the third number is a confidence: anything above 0 is labelled
        sure = part in ("keypoints", "foot_kpts")
        numbers += [v if sure or i % 3 != 2 else 2 * _above_0(v) for i, v in enumerate(values)]
    return numbers


def _above_0(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def write(labels: LabelSet, path: Path, form: Form) -> None:
    """Write a data set in COCO's form, as one JSON file."""
    annotations = [_annotation(image, person, form) for image, person in labels.data.people()]
    images = [coco_image(image, video=form == "posetrack") for image in labels.data.images]
    save_coco(path, images, annotations, labels.skeleton, names=17 if form == "wholebody" else None)


def coco_image(image: PoseImage, *, video: bool = False) -> dict[str, Any]:
    """An image's record; `video` adds PoseTrack's keys."""
    record: dict[str, Any] = {"id": image.id, "file_name": image.name}
    if image.width and image.height:
        record |= {"width": image.width, "height": image.height}
    if image.crowd_index is not None:
        record["crowdIndex"] = image.crowd_index
    if video:
        record |= {"frame_id": image.id, "vid_id": Path(image.name).parent.name, "is_labeled": True}
    return record


def save_coco(
    path: Path,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    skeleton: Skeleton,
    *,
    info: Mapping[str, Any] | None = None,
    names: int | None = None,
) -> None:
    """Write a COCO file of people.

    Args:
        path: The file.
        images: The images' records.
        annotations: The people's records.
        skeleton: Whose keypoints they have.
        info: What COCO's `info` says.
        names: How many of the names are written; all by default.
    """
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": [underscored(name) for name in skeleton.names[:names]],
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs if names is None or max(a, b) < names],
    }
    file = {"info": dict(info or {}), "images": images, "annotations": annotations, "categories": [category]}
    path.write_bytes(msgspec.json.encode(file))


def _annotation(image: PoseImage, person: Person, form: Form) -> dict[str, Any]:
    flags = person.visible
    if form == "posetrack":  # says of a keypoint only whether it is labelled
        flags = np.minimum(flags, 1)
    triples = np.concatenate([person.keypoints, flags[:, None]], axis=1)
    record: dict[str, Any] = {
        "id": person.id,
        "image_id": image.id,
        "category_id": 1,
        "bbox": list(person.box.xywh),
        "area": person.area,
        "iscrowd": int(person.is_crowd),
        "num_keypoints": int(person.labelled.sum()),
        "keypoints": numbers_of(triples),
    }
    extras = {
        "score": person.score,
        "track_id": person.track_id,
        "keypoint_scores": None if person.scores is None else person.scores.tolist(),
        "keypoint_std": None if person.std is None else person.std.tolist(),
    }
    record |= {key: value for key, value in extras.items() if value is not None}
    return record | _parts(triples) if form == "wholebody" else record


def numbers_of(triples: Floats) -> list[float]:
    """x, y and flag one after the other, whole numbers as such."""
    return [int(value) if value == int(value) else value for value in triples.ravel().tolist()]


def _parts(triples: Floats) -> dict[str, Any]:
    """COCO-WholeBody's lists, and for each part whether anything of it is labelled and the box of that."""
    record: dict[str, Any] = {"num_keypoints": int((triples[:17, 2] > 0).sum())}
    for part, start in _PARTS.items():
        points = triples[start : _ENDS[part]]
        record[part] = numbers_of(points)
        labelled = points[points[:, 2] > 0, :2]
        name = part.removesuffix("_kpts")
        if name != "keypoints":
            record[f"{name}_valid"] = bool(len(labelled))
        if name in ("face", "lefthand", "righthand"):
            record[f"{name}_box"] = list(Box.around(labelled).xywh) if len(labelled) else [0.0] * 4
    return record
