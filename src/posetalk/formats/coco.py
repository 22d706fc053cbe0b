"""COCO-style person keypoints: COCO 2014 and 2017, Human-Art, and anything written in that form."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.files import TooDeep, decode_file, decode_record, need_folder, record_id
from posetalk.formats.fit import check_labels, evenly_spaced
from posetalk.formats.paths import image_path as image_path  # imported from here by other modules
from posetalk.formats.reading import BOX_OF_POINTS, Reading, check_id, start_reading
from posetalk.formats.stream import records
from posetalk.skeleton import Skeleton
from posetalk.types import Box, Floats, Person, PoseImage, PoseSet, frozen_array

# Area of a person's mask as a share of the box, for files without `area`: mmpose's value. COCO's mean is about 0.5.
AREA_OF_BOX = 0.53
MAX_SIDE = 1_000_000  # px, of an image


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int | None = None
    height: int | None = None
    crowdIndex: Any = None  # CrowdPose's


class Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    bbox: list[float] | None = None
    keypoints: list[float | None] = []
    keypoints_21: list[float | None] = []  # Human-Art: COCO's 17, then fingers and toes
    area: float | None = None
    iscrowd: int | bool | None = 0
    category_id: int = 1
    # of files of predictions, and PoseTrack's; anything, as COCO has no such keys
    score: Any = None
    keypoint_scores: Any = None
    keypoint_std: Any = None
    track_id: Any = None


class CocoFile(msgspec.Struct):
    images: list[msgspec.Raw]  # raw: polygons are not decoded, and a bad record only affects itself
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] | None = None


def read_coco(annotations: str | Path, images: str | Path, *, skeleton: Skeleton | None = None) -> PoseSet:
    """Read a COCO-style person keypoint file.

    Args:
        annotations: The JSON file. Only people are read: the category named `person`, or category 1.
        images: The folder that `file_name` is relative to. If an image is not there, leading folders of `file_name`
            are dropped (Human-Art's begin with HumanArt/images/). No image is opened.
        skeleton: Whose keypoints these are; by default those of the built-in skeleton that the file names, else coco17.
            humanart21 reads Human-Art's `keypoints_21`.

    Returns:
        All images, with or without people (false detections on empty images count), and all people: crowds have
        `is_crowd`, people without labels have `visible` all 0. Boxes are as annotated, also if they reach out of the
        image; `images.affine.clip_box` clips them as the reference does. A missing `area` is 0.53 of the box. Each bad
        record becomes a sentence in `skipped`.

    Raises:
        PosetalkError: A file that cannot be read or has another form, other keypoints than the skeleton's, no record
            left.
    """
    annotations, images = Path(annotations), Path(images)
    need_folder(images)
    file = decode_coco(annotations)
    reading = start_reading(annotations, images, skeleton, file.categories or [])
    return pose_set(file.images, file.annotations, reading)


def pose_set(
    image_records: Iterable[msgspec.Raw], person_records: Iterable[msgspec.Raw], reading: Reading
) -> PoseSet:
    """The data set of some records, checked as `read_coco` says; bad records become sentences in `skipped`."""
    all_images = pose_images(image_records, person_records, reading)
    images_outside = {image_id for image_id, _ in reading.outside}
    sample = evenly_spaced([image for image in all_images if image.people or image.id in images_outside])
    sampled_ids = {image.id for image in sample}
    outside = [points for (image_id, _), points in reading.outside.items() if image_id in sampled_ids]
    notes = (*reading.notes(), *check_labels(sample, reading.path, outside=outside))
    if not any(image.people for image in all_images):
        raise reading.no_people_error()
    return PoseSet(
        "coco", reading.path, reading.skeleton.names, all_images, tuple(reading.skipped), notes=notes
    )


def decode_coco(path: Path) -> CocoFile:
    """The undecoded records of a COCO-style file. Raises as `decode_file`."""
    try:
        return decode_file(path, CocoFile, "a COCO-style keypoint file")
    except TooDeep:  # perhaps of one record only
        lists: dict[str, list[msgspec.Raw]] = {"images": [], "annotations": [], "categories": []}
        for key, raw in records(path):
            lists.get(key, []).append(raw)
        return CocoFile(**lists)


class _Info(msgspec.Struct):
    info: Any = None


def is_predicted(path: Path) -> bool:
    """Whether a COCO file says of itself that a model predicted it, as `posetalk label` writes it."""
    info = decode_file(path, _Info, "a COCO-style keypoint file").info
    return isinstance(info, dict) and info.get("predicted") is True


def pose_images(
    image_records: Iterable[msgspec.Raw], person_records: Iterable[msgspec.Raw], reading: Reading
) -> tuple[PoseImage, ...]:
    """The images of some records with their people; bad records become sentences in `reading.skipped`."""
    images, paths = _decode_images(image_records, reading)
    people_of = _decode_people(person_records, images, reading)
    return tuple(
        PoseImage(
            image.id,
            paths[image.id],
            image.width,
            image.height,
            tuple(people_of[image.id]),
            image.file_name,
            float(image.crowdIndex) if _is_number(image.crowdIndex) else None,
        )
        for image in images.values()
    )


def _decode_images(
    raws: Iterable[msgspec.Raw], reading: Reading
) -> tuple[dict[int, _Image], dict[int, Path]]:
    decoder = msgspec.json.Decoder(_Image)
    images: dict[int, _Image] = {}
    paths: dict[int, Path] = {}
    for number, raw in enumerate(raws, 1):
        try:
            image = decode_record(decoder, raw)
            check_id(image.id)
            if not image.file_name.strip():
                raise PosetalkError("its file_name is empty")
            if image.id in images:
                raise PosetalkError("an earlier image has the same id")
            if any(side is not None and not 0 < side <= MAX_SIDE for side in (image.width, image.height)):
                raise PosetalkError(f"its size is {image.width!s:.9} x {image.height!s:.9}")
            paths[image.id] = image_path(reading.images, image.file_name)
        except PosetalkError as error:
            reading.skipped.append(f"{reading.path}: image {record_id(raw, number)}: {error}")
            continue
        images[image.id] = image
    return images, paths


def _decode_people(
    raws: Iterable[msgspec.Raw], images: dict[int, _Image], reading: Reading
) -> dict[int, list[Person]]:
    decoder = msgspec.json.Decoder(Annotation)
    person_ids, k = reading.person_ids, len(reading.skeleton)
    people: dict[int, list[Person]] = {image_id: [] for image_id in images}
    ids: set[int] = set()
    unlabelled = (frozen_array(np.zeros((k, 2))), frozen_array(np.zeros(k)))
    for number, raw in enumerate(raws, 1):
        try:
            record = decode_record(decoder, raw)
            if record.category_id not in person_ids:
                continue
            if record.id in ids:
                raise PosetalkError("an earlier annotation has the same id")
            check_id(record.image_id, "image_id")
            if record.image_id not in images:
                raise PosetalkError(f"its image {record.image_id} is not among the images that were read")
            keypoints, visible = _keypoints_and_flags(
                _keypoint_numbers(record, k, reading.declared), unlabelled
            )
            box = _box(record.bbox, keypoints[visible > 0])
            if fault := _outside_image(box, images[record.image_id]):
                reading.outside[record.image_id, record.id] = int((visible > 0).sum())
                raise PosetalkError(fault)
            person = Person(
                record.id,
                box,
                keypoints,
                visible,
                _area(record, box),
                bool(record.iscrowd),
                scores=_scores(record.keypoint_scores, k),
                score=float(record.score) if _is_number(record.score) else None,
                track_id=record.track_id if type(record.track_id) is int else None,
                std=_std(record.keypoint_std, k),
            )
        except PosetalkError as error:
            reading.skipped.append(f"{reading.path}: annotation {record_id(raw, number)}: {error}")
            continue
        ids.add(record.id)
        if record.bbox is None:
            reading.unboxed.add(record.id)
        people[record.image_id].append(person)
    return people


def _box(numbers: list[float] | None, points: Floats) -> Box:
    if numbers is None:
        if len(points) < 2:
            raise PosetalkError("it has no bbox, and fewer than 2 labelled keypoints to make one from")
        return Box.around(points, BOX_OF_POINTS)
    if len(numbers) != 4:
        raise PosetalkError(f"its bbox has {len(numbers)} numbers instead of 4")
    return Box(*numbers)


def _outside_image(box: Box, image: _Image) -> str | None:
    """A sentence if a box lies entirely outside its image."""
    if not image.width or not image.height:
        return None
    left, top, right, bottom = box.xyxy
    if left < image.width and top < image.height and right > 0 and bottom > 0:
        return None
    return f"the box {box.xywh} lies outside its image of {image.width} x {image.height} px"


def _area(record: Annotation, box: Box) -> float:
    area = AREA_OF_BOX * box.area if record.area is None else record.area
    if area <= 0:
        raise PosetalkError(f"its area is {area}")
    return area


def _scores(values: object, k: int) -> Floats | None:
    """The scores of k keypoints; None for anything else."""
    if not isinstance(values, list) or len(values) != k or not all(map(_is_number, values)):
        return None
    return frozen_array(values)


def _std(values: object, k: int) -> Floats | None:
    """The standard deviations (k, 2) of k keypoints; None for anything else."""
    if not isinstance(values, list) or len(values) != k:
        return None
    pairs = [pair for pair in values if isinstance(pair, list) and len(pair) == 2]
    if len(pairs) != k or not all(_is_number(value) and value >= 0 for pair in pairs for value in pair):
        return None
    return frozen_array(pairs)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _keypoint_numbers(record: Annotation, k: int, declared: int) -> list[float | None]:
    """x, y, flag of the k keypoints, from the list that has as many."""
    for values in (record.keypoints, record.keypoints_21):
        if len(values) == 3 * k:
            return values
    if len(record.keypoints) == 3 * declared > 3 * k:
        return record.keypoints[: 3 * k]  # the file's first k are the skeleton's by name
    raise PosetalkError(
        f"it has {len(record.keypoints)} keypoint numbers instead of {3 * k} (x, y and flag of {k} keypoints)"
    )


def _keypoints_and_flags(
    values: list[float | None], unlabelled: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Keypoints (k, 2) and flags (k,); people without labels share `unlabelled`, which saves memory."""
    flags = set(values[2::3])
    for index, value in enumerate(values) if None in values else ():
        if value is None and values[index // 3 * 3 + 2] != 0:  # unlabelled keypoints may hold anything
            raise PosetalkError(f"expected float, got nothing (null or NaN) at keypoints[{index}]")
    if not flags <= {0, 1, 2}:
        raise PosetalkError(f"its visibility flags {sorted(flags)} are not all 0, 1 or 2")  # type: ignore[type-var]
    if flags == {0}:
        return unlabelled
    triples = np.array(values, dtype=np.float64).reshape(-1, 3)
    triples[triples[:, 2] == 0] = 0  # the coordinates of unlabelled keypoints mean nothing
    return frozen_array(triples[:, :2]), frozen_array(triples[:, 2])
