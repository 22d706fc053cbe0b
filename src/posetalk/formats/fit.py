"""Whether labels and boxes fit: in pixels of their pictures, left, top, width, height, with the keypoints inside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.scale import OF_BOXES, OF_POINTS, Reach, Size
from posetalk.types import Box, Floats, Person, PoseImage

T = TypeVar("T")

MAX_SAMPLE = 4000  # pictures that are looked at; of more, as many at equal distances
TINY = 1.5  # px: a box of normalised coordinates is at most 1, one made of such keypoints 1.2
MARGIN = 0.1  # of a box's sides: labels of the edge of a body lie a little outside
TOLD, REFUSED = 0.9, 0.5  # shares of keypoints inside their boxes; in COCO .983, in its smallest samples .977
FEW = 3  # people: of fewer, a low share may be one bad record
ENOUGH = 6  # labelled keypoints that tell how a box's numbers are meant
ALIKE = 0.4  # of a box's sides: one that begins so near the upper left corner hardly tells how it is meant
MOST = 0.9  # of the people whose boxes tell
OFTEN = 0.1  # more than one box in ten that reaches far out of its picture is no detector's slip


def evenly_spaced(some: Sequence[T], most: int = MAX_SAMPLE) -> list[T]:
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
    reach: Reach = field(default_factory=lambda: Reach(OF_POINTS))

    def add(self, image: PoseImage, person: Person) -> None:
        box = person.box
        inside = _inside(person, box.xyxy)
        self.people += 1
        self.tiny += max(box.w, box.h) <= TINY
        self.labelled += len(inside)
        self.inside += int(inside.sum())
        self.out += _reaches_out(box, labelled_size(image))
        if size := labelled_size(image):
            self.reach.add(image.id, person.keypoints[person.labelled], size)
        # a box in the upper left corner reads much the same either way
        if len(inside) >= ENOUGH and (box.x > ALIKE * box.w or box.y > ALIKE * box.h):
            self.telling += 1
            self.corners += _corners(image, person)


def check_labels(
    pictures: Iterable[PoseImage], source: Path, *, corners: bool = True, outside: Collection[int] = ()
) -> list[str]:
    """A sentence for whatever does not fit. Errors: labels that no number could be measured with.

    corners: whether the boxes are four numbers of the file, which can have been written in another form.
    outside: of each person who was left out for a box wholly outside the picture, how many keypoints are labelled;
    looked at when the pictures have been.
    """
    counted = _Counted()
    for image in pictures:
        for person in image.people:
            if not person.is_crowd:
                counted.add(image, person)
    lost = sum(max(1, points) for points in outside)
    counted.reach.places += lost
    counted.reach.out += lost
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
    if fault := counted.reach.fault("labelled keypoints"):
        if fault.sure and counted.people + len(outside) >= FEW:
            raise PosetalkError(f"{source}: {fault.said}")
        found.append(f"{source}: {fault.said}")
    said = (
        f"{source}: {counted.inside:,} of {counted.labelled:,} labelled keypoints lie in their people's boxes"
    )
    if counted.inside < REFUSED * counted.labelled and counted.people >= FEW:
        raise PosetalkError(f"{said}; give boxes and keypoints in pixels of the same picture")
    if counted.inside < (TOLD if counted.people >= FEW else REFUSED) * counted.labelled:
        found.append(f"{said}; look at boxes and keypoints")
    return found


@dataclass(slots=True)
class CountedBoxes:
    """Boxes without keypoints (of a detector, of objects) held against the pictures that are labelled.

    sizes: the size of each labelled picture, None where it is not known; without it boxes are held against nothing.
    form: what the four numbers were read as. others: boxes on other pictures. out, corners: of the boxes on pictures
    of a known size those that reach far out, and those that are boxes of their pictures when read as corners.
    """

    sizes: Mapping[int, Size | None] | None
    form: Literal["xywh", "xyxy"] = "xywh"
    boxes: int = 0
    tiny: int = 0
    others: int = 0
    known: int = 0
    out: int = 0
    corners: int = 0
    reach: Reach = field(default_factory=lambda: Reach(OF_BOXES))

    def add(self, picture: int, box: Box) -> None:
        self.boxes += 1
        self.tiny += max(box.w, box.h) <= TINY
        if self.sizes is None:
            return
        self.others += picture not in self.sizes
        if size := self.sizes.get(picture):
            self.known += 1
            self.out += _reaches_out(box, size)
            self.corners += _are_corners(box, size)
            self.reach.add(picture, np.array([box.xyxy[2:]]), size)

    def check(self, source: Path, corners: str) -> list[str]:
        """As `check_labels`. corners: what to do about boxes in the form of corners."""
        if self.tiny > self.boxes / 2:
            raise PosetalkError(
                f"{source}: {self.tiny:,} of {self.boxes:,} boxes are 1 px or smaller; normalised coordinates? "
                "multiply them by the picture's width and height"
            )
        if self.boxes and self.sizes and self.others == self.boxes:
            raise PosetalkError(
                f"{source}: none of its {self.boxes:,} boxes lies on a labelled picture; their image ids differ"
            )
        often = self.out > OFTEN * self.known
        if often and self.form == "xywh" and self.corners >= MOST * self.known:
            raise PosetalkError(
                f"{source}: {self.out:,} of {self.known:,} boxes reach far out of their pictures, so they seem to be "
                f"left, top, right, bottom; {corners}"
            )
        fault = self.reach.fault("boxes", told=OFTEN)
        if fault and fault.sure and self.known >= FEW:
            raise PosetalkError(f"{source}: {fault.said}")
        return [f"{source}: {fault.said}"] if fault else []


def _corners(image: PoseImage, person: Person) -> bool:
    """Whether the four numbers of a box, read as corners, are a box of the picture with all of the keypoints."""
    return _are_corners(person.box, labelled_size(image)) and bool(_inside(person, person.box.xywh).all())


def _are_corners(box: Box, size: Size | None) -> bool:
    """Whether the four numbers of a box, read as corners, are a box of the picture."""
    left, top, right, bottom = box.xywh
    return (
        right > left and bottom > top and (size is None or (right <= size[0] + 1 and bottom <= size[1] + 1))
    )


def labelled_size(image: PoseImage) -> Size | None:
    """Width and height as the labels have them."""
    return (image.width, image.height) if image.width and image.height else None


def _reaches_out(box: Box, size: Size | None) -> bool:
    _, _, right, bottom = box.xyxy
    return size is not None and (right > (1 + MARGIN) * size[0] or bottom > (1 + MARGIN) * size[1])


def _inside(person: Person, corners: tuple[float, float, float, float]) -> Floats:
    """Of each labelled keypoint, whether it lies in the box or just beside it."""
    points = person.keypoints[person.labelled]
    low, high = np.array(corners[:2]), np.array(corners[2:])
    margin = MARGIN * (high - low) + 1
    return np.asarray(((points >= low - margin) & (points <= high + margin)).all(axis=1))
