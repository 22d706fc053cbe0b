"""Points with names of their own, labelled on people by eye: `{"people": [{image, bbox, points: [{name, x, y}]}]}`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.formats.files import decode_file
from posetalk.formats.paths import find_image
from posetalk.skeleton import Keypoint, Skeleton, swap_sides
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array


class _DescribedPoint(msgspec.Struct):
    name: str
    x: float
    y: float
    visible: int = 2


class _DescribedPerson(msgspec.Struct):
    image: str
    bbox: tuple[float, float, float, float]
    points: list[_DescribedPoint]
    annotation_id: int | None = None


class _DescribedFile(msgspec.Struct):
    people: list[_DescribedPerson]


def read_described(
    annotations: str | Path, images: str | Path, skeleton: Skeleton | None = None
) -> tuple[PoseSet, Skeleton]:
    """Read people with named points.

    Args:
        annotations: The JSON file. Coordinates and boxes (left, top, width, height) are px of the full image. The
            area is 0.53 of the box, as the file has none.
        images: The folder of the images. No image is opened.
        skeleton: Descriptions of the points. Its names may be more than the file's. By default the file's names, in
            the order of the alphabet, without descriptions.

    Returns:
        The people, numbered from 1 where they have no annotation_id, and the skeleton.

    Raises:
        PosetalkError: A file that cannot be read or has another form, an image that is not there, a point that the
            skeleton does not have or that one person has twice.
    """
    path = Path(annotations)
    people = decode_file(path, _DescribedFile, "a file of described points").people
    named = {point.name for person in people for point in person.points}
    if not named:
        raise PosetalkError(f"{path} has no points; give one with labelled people")
    if skeleton is None:
        mirrors = {name: swap_sides(name) for name in named}
        points = (
            Keypoint(name, mirror=m if (m := mirrors[name]) in named else name) for name in sorted(named)
        )
        skeleton = Skeleton("described", tuple(points))
    if unknown := sorted(named - set(skeleton.names)):
        raise PosetalkError(
            f"{path} has points that {skeleton.name} does not describe: {', '.join(unknown[:3])}"
        )
    by_image: dict[str, list[Person]] = {}
    for number, person in enumerate(people, 1):
        where = f"{path}, person {number}"
        by_image.setdefault(person.image, []).append(_person(person, number, skeleton, where))
    found = []
    for number, (name, persons) in enumerate(by_image.items(), 1):
        image = find_image(Path(images), name)
        if image is None:
            raise PosetalkError(f"{images} has no image {name!a}; give the folder that holds all of them")
        found.append(PoseImage(number, image, None, None, tuple(persons), name))
    return PoseSet("described", path, skeleton.names, tuple(found)), skeleton


def _person(person: _DescribedPerson, number: int, skeleton: Skeleton, where: str) -> Person:
    box = Box(*person.bbox)
    xy, visible = np.zeros((len(skeleton), 2)), np.zeros(len(skeleton))
    for point in person.points:
        index = skeleton.names.index(point.name)
        if visible[index]:
            raise PosetalkError(f"{where}: {point.name!r} is labelled twice")
        if not np.isfinite([point.x, point.y]).all():
            raise PosetalkError(f"{where}: {point.name!r} has a place that is not finite")
        xy[index], visible[index] = (point.x, point.y), 2 if point.visible == 2 else 1
    person_id = number if person.annotation_id is None else person.annotation_id
    return Person(person_id, box, frozen_array(xy), frozen_array(visible), AREA_OF_BOX * box.area)
