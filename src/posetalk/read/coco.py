"""COCO-style person keypoints: COCO 2014 and 2017, Human-Art, and anything written in that form."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.read.files import decode_file, decode_record, need_folder, none_left, record_id
from posetalk.skeleton import Skeleton
from posetalk.skeleton import skeleton as built_in
from posetalk.types import Box, Floats, Person, PoseImage, PoseSet, frozen_array

# A person's mask as a share of the box, where a file has no `area`: mmpose's value. COCO's mean is about 0.5.
AREA_OF_BOX = 0.53


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int | None = None
    height: int | None = None


class Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    bbox: list[float]
    keypoints: list[float] = []
    keypoints_21: list[float] = []  # Human-Art: COCO's 17, then fingers and toes
    area: float | None = None
    iscrowd: int | bool = 0
    category_id: int = 1


class Category(msgspec.Struct):
    id: int
    name: str = ""
    keypoints: list[str] = []


class CocoFile(msgspec.Struct):
    """What is read of a file, or of the part of one that is about one picture."""

    images: list[msgspec.Raw]  # raw: polygons are passed over, and a bad record spoils itself alone
    annotations: list[msgspec.Raw]
    categories: list[Category] = []


def read_coco(annotations: Path, images: Path, *, skeleton: Skeleton | None = None) -> PoseSet:
    """Read a COCO-style person keypoint file.

    annotations: the JSON file. Only people are read: the category named `person`, or category 1.
    images:      the folder `file_name` is relative to. Where a picture is not there, leading folders of
                 `file_name` are dropped (Human-Art's begin with HumanArt/images/). No picture is opened.
    skeleton:    whose keypoints these are, coco17 by default; humanart21 reads Human-Art's `keypoints_21`.

    All pictures are kept, with or without people (a detector's false boxes count on empty ones), and all
    people: crowds have `is_crowd`, people without labels have `visible` all 0. Boxes are as annotated, also
    where they reach out of the picture; `crop.affine.clip_box` clips them as the reference does. A missing
    `area` is 0.53 of the box. Each bad record becomes a sentence in `skipped`.
    Errors: unreadable file, not this form, other keypoints than the skeleton's, no record left.
    """
    annotations, images = Path(annotations), Path(images)
    need_folder(images)
    points = skeleton or built_in("coco17")
    file = decode_file(annotations, CocoFile, "a COCO-style keypoint file")
    declared = declared_keypoints(file.categories, points, annotations, chosen=skeleton is not None)
    skipped: list[str] = []
    found = pose_images(file, points, declared, images, annotations, skipped)
    if not any(image.people for image in found):
        raise none_left(annotations, skipped, "people")
    return PoseSet("coco", annotations, points.names, found, tuple(skipped))


def pose_images(
    file: CocoFile, points: Skeleton, declared: int, images: Path, path: Path, skipped: list[str]
) -> tuple[PoseImage, ...]:
    """The pictures of a file and their people. declared: of `declared_keypoints`; skipped: takes the sentences."""
    pictures = _pictures(file.images, path, skipped)
    people = _people(file, points, declared, pictures, path, skipped)
    return tuple(
        PoseImage(
            p.id, picture_path(images, p.file_name), p.width, p.height, tuple(people[p.id]), p.file_name
        )
        for p in pictures.values()
    )


def picture_path(images: Path, file_name: str) -> Path:
    """images/file_name, or the same with leading folders dropped where only that exists."""
    file_name = file_name.replace("\\", "/")
    whole = images / file_name
    if whole.is_file():
        return whole
    parts = PurePosixPath(file_name).parts
    shorter = (images.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((path for path in shorter if path.is_file()), whole)


def _person_ids(categories: list[Category]) -> set[int]:
    return {c.id for c in categories if c.name.lower() == "person"} or {1}


def declared_keypoints(categories: list[Category], points: Skeleton, path: Path, chosen: bool) -> int:
    """How many keypoints the file names for a person, 0 if it names none that are the skeleton's.

    A file whose names are not those of the default skeleton is refused; a chosen one is the caller's word.
    """
    for category in categories:
        names = tuple(n.replace("_", " ").lower() for n in category.keypoints)
        if category.id not in _person_ids(categories) or not names:
            continue
        if names[: len(points)] == points.names:
            return len(names)
        if not chosen:
            raise PosetalkError(
                f"{path} labels other keypoints ({', '.join(names[:4])} ...) than {points.name}; "
                "give the skeleton they belong to"
            )
    return 0


def _pictures(raws: list[msgspec.Raw], path: Path, skipped: list[str]) -> dict[int, _Image]:
    decoder = msgspec.json.Decoder(_Image)
    found: dict[int, _Image] = {}
    for number, raw in enumerate(raws, 1):
        try:
            image = decode_record(decoder, raw)
            if not image.file_name.strip():
                raise PosetalkError("its file_name is empty")
            if image.id in found:
                raise PosetalkError("an earlier image has the same id")
            if any(side is not None and side <= 0 for side in (image.width, image.height)):
                raise PosetalkError(f"its size is {image.width} x {image.height}")
        except PosetalkError as error:
            skipped.append(f"{path}: image {record_id(raw, number)}: {error}")
            continue
        found[image.id] = image
    return found


def _people(
    file: CocoFile,
    points: Skeleton,
    declared: int,
    pictures: dict[int, _Image],
    path: Path,
    skipped: list[str],
) -> dict[int, list[Person]]:
    decoder = msgspec.json.Decoder(Annotation)
    person_ids = _person_ids(file.categories)
    people: dict[int, list[Person]] = {image_id: [] for image_id in pictures}
    seen: set[int] = set()
    nothing = (frozen_array(np.zeros((len(points), 2))), frozen_array(np.zeros(len(points))))
    for number, raw in enumerate(file.annotations, 1):
        try:
            record = decode_record(decoder, raw)
            if record.category_id not in person_ids:
                continue
            if record.id in seen:
                raise PosetalkError("an earlier annotation has the same id")
            if record.image_id not in pictures:
                raise PosetalkError(f"its image {record.image_id} is not among the images that were read")
            box = _box(record.bbox, pictures[record.image_id])
            keypoints, visible = _split(_numbers(record, len(points), declared), nothing)
            person = Person(record.id, box, keypoints, visible, _area(record), bool(record.iscrowd))
        except PosetalkError as error:
            skipped.append(f"{path}: annotation {record_id(raw, number)}: {error}")
            continue
        seen.add(record.id)
        people[record.image_id].append(person)
    return people


def _box(numbers: list[float], image: _Image) -> Box:
    if len(numbers) != 4:
        raise PosetalkError(f"its bbox has {len(numbers)} numbers instead of 4")
    box = Box(*numbers)
    if image.width and image.height:
        left, top, right, bottom = box.xyxy
        if left >= image.width or top >= image.height or right <= 0 or bottom <= 0:
            raise PosetalkError(
                f"the box {box.xywh} lies outside its picture of {image.width} x {image.height} px"
            )
    return box


def _area(record: Annotation) -> float:
    area = AREA_OF_BOX * record.bbox[2] * record.bbox[3] if record.area is None else record.area
    if area <= 0:
        raise PosetalkError(f"its area is {area}")
    return area


def _numbers(record: Annotation, k: int, declared: int) -> list[float]:
    """x, y, flag of the k keypoints, from whichever list has them."""
    for values in (record.keypoints, record.keypoints_21):
        if len(values) == 3 * k:
            return values
    if len(record.keypoints) == 3 * declared > 3 * k:
        return record.keypoints[: 3 * k]  # the file's first k are the skeleton's by name
    raise PosetalkError(
        f"it has {len(record.keypoints)} keypoint numbers instead of {3 * k} (x, y and flag of {k} keypoints)"
    )


def _split(values: list[float], nothing: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Keypoints (k, 2) and flags (k,); people without labels share `nothing`, which saves their memory."""
    flags = set(values[2::3])
    if not flags <= {0, 1, 2}:
        raise PosetalkError(f"its visibility flags {sorted(flags)} are not all 0, 1 or 2")
    if flags == {0}:
        return nothing
    triples = np.array(values, dtype=np.float64).reshape(-1, 3)
    triples[triples[:, 2] == 0] = 0  # whatever an unlabelled keypoint's place holds, it is no place
    return frozen_array(triples[:, :2]), frozen_array(triples[:, 2])
