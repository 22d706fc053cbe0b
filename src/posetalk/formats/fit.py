"""Whether the labels of people fit themselves: boxes in pixels, left, top, width, height, with the keypoints inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.types import Floats, Person, PoseImage

T = TypeVar("T")

LOOKED = 4000  # pictures that are looked at; of more, as many at equal distances
TINY = 1.5  # px: a box of normalised coordinates is at most 1, one made of such keypoints 1.2
MARGIN = 0.1  # of a box's sides: labels of the edge of a body lie a little outside
TOLD, REFUSED = 0.9, 0.5  # shares of keypoints inside their boxes; in COCO .983, in its smallest samples .977
FEW = 3  # people: of fewer, a low share may be one bad record
ENOUGH = 6  # labelled keypoints that tell how a box's numbers are meant
MOST = 0.9  # of the people whose boxes tell


def evenly(some: Sequence[T], most: int = LOOKED) -> list[T]:
    """At most so many, at equal distances."""
    if len(some) <= most:
        return list(some)
    return [some[round(place)] for place in np.linspace(0, len(some) - 1, most)]


@dataclass(slots=True)
class _Counted:
    """tiny: boxes of about 1 px. labelled, inside: keypoints, and those in their boxes. out: boxes that reach far out
    of their pictures. telling, corners: people whose keypoints tell how the box is meant, and those who tell corners.
    """

    people: int = 0
    tiny: int = 0
    labelled: int = 0
    inside: int = 0
    out: int = 0
    telling: int = 0
    corners: int = 0

    def add(self, image: PoseImage, person: Person) -> None:
        box = person.box
        inside = _inside(person, box.xyxy)
        self.people += 1
        self.tiny += max(box.w, box.h) <= TINY
        self.labelled += len(inside)
        self.inside += int(inside.sum())
        self.out += _reaches_out(image, person)
        # a box in the upper left corner reads the same either way
        if len(inside) >= ENOUGH and (box.x > MARGIN * box.w or box.y > MARGIN * box.h):
            self.telling += 1
            self.corners += _corners(image, person)


def check_labels(pictures: Iterable[PoseImage], source: Path, *, corners: bool = True) -> list[str]:
    """A sentence for whatever does not fit. Errors: labels that no number could be measured with.

    corners: whether the boxes are four numbers of the file, which can have been written in another form.
    """
    counted = _Counted()
    for image in pictures:
        for person in image.people:
            if not person.is_crowd:
                counted.add(image, person)
    found = []
    if counted.tiny > counted.people / 2:
        raise PosetalkError(
            f"{source}: {counted.tiny:,} of {counted.people:,} boxes are 1 px or smaller; normalised coordinates? "
            "multiply them by the picture's width and height"
        )
    if counted.tiny:
        found.append(
            f"{source}: {counted.tiny:,} of {counted.people:,} boxes are about 1 px in size; look at them"
        )
    if corners and counted.telling and counted.corners >= MOST * counted.telling:
        said = (
            f"{source}: {counted.out:,} of {counted.people:,} boxes reach far out of their pictures, and read as left, "
            f"top, right, bottom {counted.corners:,} of {counted.telling:,} hold their keypoints"
        )
        if counted.out or counted.telling >= FEW:
            raise PosetalkError(f"{said}; write them as COCO's left, top, width, height")
        found.append(f"{said}; look at them")
    said = (
        f"{source}: {counted.inside:,} of {counted.labelled:,} labelled keypoints lie in their people's boxes"
    )
    if counted.inside < REFUSED * counted.labelled and counted.people >= FEW:
        raise PosetalkError(f"{said}; give boxes and keypoints in pixels of the same picture")
    if counted.inside < TOLD * counted.labelled:
        found.append(f"{said}; look at boxes and keypoints")
    return found


def _corners(image: PoseImage, person: Person) -> bool:
    """Whether the four numbers of a box, read as corners, are a box of the picture with all of the keypoints."""
    left, top, right, bottom = person.box.xywh
    if right <= left or bottom <= top:
        return False
    if image.width and image.height and (right > image.width + 1 or bottom > image.height + 1):
        return False
    return bool(_inside(person, (left, top, right, bottom)).all())


def _reaches_out(image: PoseImage, person: Person) -> bool:
    _, _, right, bottom = person.box.xyxy
    return bool(image.width and right > (1 + MARGIN) * image.width) or bool(
        image.height and bottom > (1 + MARGIN) * image.height
    )


def _inside(person: Person, corners: tuple[float, float, float, float]) -> Floats:
    """Of each labelled keypoint, whether it lies in the box or just beside it."""
    points = person.keypoints[person.labelled]
    low, high = np.array(corners[:2]), np.array(corners[2:])
    margin = MARGIN * (high - low) + 1
    return np.asarray(((points >= low - margin) & (points <= high + margin)).all(axis=1))
