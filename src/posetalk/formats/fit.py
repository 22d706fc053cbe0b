"""Plausibility of labels and boxes: px of their images, left, top, width, height, keypoints inside the boxes."""

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

MAX_SAMPLE = 4000  # images that are checked; of more images, an evenly spaced sample
TINY = 1.5  # px; the side of a box in normalised coordinates is at most 1, made from keypoints 1.2
MARGIN = 0.1  # of a box's sides; labels at the edge of a body lie a little outside
# Shares of keypoints inside their boxes; in COCO .983, in its smallest samples .977.
NOTED_BELOW, REFUSED_BELOW = 0.9, 0.5
MIN_PEOPLE = 3  # with fewer people, a low share may be one bad record
MIN_KEYPOINTS = 6  # labelled keypoints that decide whether a box is meant as corners
NEAR_CORNER = (
    0.4  # of a box's sides; nearer to the upper left corner, both readings of a box are nearly the same
)
MOST_PEOPLE = 0.9  # of the people whose keypoints decide
OFTEN = 0.1  # of the boxes; more that reach far out of their images are not a detector's error


def evenly_spaced(items: Sequence[T], limit: int = MAX_SAMPLE) -> list[T]:
    """At most `limit` of the items, at equal distances."""
    if len(items) <= limit:
        return list(items)
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, limit)]


@dataclass(slots=True)
class _LabelChecks:
    """Counts over all people.

    tiny: boxes of about 1 px. labelled, inside: keypoints, and those in their boxes. far_out: boxes that reach far out
    of their images. decisive, corners: people whose keypoints decide how the box is meant, and those for corners.
    """

    people: int = 0
    tiny: int = 0
    labelled: int = 0
    inside: int = 0
    far_out: int = 0
    decisive: int = 0
    corners: int = 0
    reach: Reach = field(default_factory=lambda: Reach(OF_POINTS))

    def add(self, image: PoseImage, person: Person) -> None:
        box = person.box
        inside = _inside(person, box.xyxy)
        self.people += 1
        self.tiny += max(box.w, box.h) <= TINY
        self.labelled += len(inside)
        self.inside += int(inside.sum())
        self.far_out += _reaches_far_out(box, labelled_size(image))
        if size := labelled_size(image):
            self.reach.add(image.id, person.keypoints[person.labelled], size)
        # near the upper left corner both readings of a box are nearly the same
        if len(inside) >= MIN_KEYPOINTS and (box.x > NEAR_CORNER * box.w or box.y > NEAR_CORNER * box.h):
            self.decisive += 1
            self.corners += _fit_as_corners(image, person)


def check_labels(
    images: Iterable[PoseImage], source: Path, *, corners: bool = True, outside: Collection[int] = ()
) -> list[str]:
    """Check whether boxes and keypoints are plausible.

    Args:
        images: The images; crowds are ignored.
        source: The annotation file, for the sentences.
        corners: Whether the boxes come from the file, where they may have been written as corners.
        outside: The number of labelled keypoints of each person who was left out because the box lies outside the
            image. Read after `images`.

    Returns:
        A sentence for each doubt.

    Raises:
        PosetalkError: Labels with which no measurement would mean anything.
    """
    checks = _LabelChecks()
    for image in images:
        for person in image.people:
            if not person.is_crowd:
                checks.add(image, person)
    keypoints_outside = sum(max(1, points) for points in outside)
    checks.reach.points += keypoints_outside
    checks.reach.outside += keypoints_outside
    notes = []
    if checks.tiny > checks.people / 2:
        raise PosetalkError(
            f"{source}: {checks.tiny:,} of {checks.people:,} boxes are 1 px or smaller; normalised coordinates? "
            "multiply them by the image's width and height"
        )
    if checks.tiny:
        notes.append(
            f"{source}: {checks.tiny:,} of {checks.people:,} boxes are about 1 px in size; look at them"
        )
    if corners and checks.decisive and checks.corners >= MOST_PEOPLE * checks.decisive:
        sentence = (
            f"{source}: {checks.far_out:,} of {checks.people:,} boxes reach far out of their images, and read as "
            f"left, top, right, bottom {checks.corners:,} of {checks.decisive:,} hold their keypoints"
        )
        if checks.far_out or checks.decisive >= MIN_PEOPLE:
            raise PosetalkError(f"{sentence}; write them as COCO's left, top, width, height")
        notes.append(f"{sentence}; look at them")
    if fault := checks.reach.fault("labelled keypoints"):
        if fault.certain and checks.people + len(outside) >= MIN_PEOPLE:
            raise PosetalkError(f"{source}: {fault.sentence}")
        notes.append(f"{source}: {fault.sentence}")
    sentence = (
        f"{source}: {checks.inside:,} of {checks.labelled:,} labelled keypoints lie in their people's boxes"
    )
    if checks.inside < REFUSED_BELOW * checks.labelled and checks.people >= MIN_PEOPLE:
        raise PosetalkError(f"{sentence}; give boxes and keypoints in pixels of the same image")
    if checks.inside < (NOTED_BELOW if checks.people >= MIN_PEOPLE else REFUSED_BELOW) * checks.labelled:
        notes.append(f"{sentence}; look at boxes and keypoints")
    return notes


@dataclass(slots=True)
class BoxChecks:
    """Counts over boxes without keypoints, of a detector or of objects.

    sizes: the size of each labelled image, None where it is not known; without `sizes` only tiny boxes are counted.
    box_format: how the four numbers were read. others: boxes on images that are not labelled. known: boxes on images
    of known size; far_out: those that reach far out; corners: those that fit their images when read as corners.
    """

    sizes: Mapping[int, Size | None] | None
    box_format: Literal["xywh", "xyxy"] = "xywh"
    boxes: int = 0
    tiny: int = 0
    others: int = 0
    known: int = 0
    far_out: int = 0
    corners: int = 0
    reach: Reach = field(default_factory=lambda: Reach(OF_BOXES))

    def add(self, image_id: int, box: Box) -> None:
        self.boxes += 1
        self.tiny += max(box.w, box.h) <= TINY
        if self.sizes is None:
            return
        self.others += image_id not in self.sizes
        if size := self.sizes.get(image_id):
            self.known += 1
            self.far_out += _reaches_far_out(box, size)
            self.corners += _are_corners(box, size)
            self.reach.add(image_id, np.array([box.xyxy[2:]]), size)

    def check(self, source: Path, corners: str) -> list[str]:
        """As `check_labels`; `corners` is the advice for boxes that are written as corners."""
        if self.tiny > self.boxes / 2:
            raise PosetalkError(
                f"{source}: {self.tiny:,} of {self.boxes:,} boxes are 1 px or smaller; normalised coordinates? "
                "multiply them by the image's width and height"
            )
        if self.boxes and self.sizes and self.others == self.boxes:
            raise PosetalkError(
                f"{source}: none of its {self.boxes:,} boxes lies on a labelled image; their image ids differ"
            )
        often = self.far_out > OFTEN * self.known
        if often and self.box_format == "xywh" and self.corners >= MOST_PEOPLE * self.known:
            raise PosetalkError(
                f"{source}: {self.far_out:,} of {self.known:,} boxes reach far out of their images, so they seem to "
                f"be left, top, right, bottom; {corners}"
            )
        fault = self.reach.fault("boxes", allowed=OFTEN)
        if fault and fault.certain and self.known >= MIN_PEOPLE:
            raise PosetalkError(f"{source}: {fault.sentence}")
        return [f"{source}: {fault.sentence}"] if fault else []


def _fit_as_corners(image: PoseImage, person: Person) -> bool:
    """Whether the four numbers of a box, read as corners, are a box of the image with all of the keypoints."""
    return _are_corners(person.box, labelled_size(image)) and bool(_inside(person, person.box.xywh).all())


def _are_corners(box: Box, size: Size | None) -> bool:
    """Whether the four numbers of a box, read as corners, are a box of the image."""
    left, top, right, bottom = box.xywh
    return (
        right > left and bottom > top and (size is None or (right <= size[0] + 1 and bottom <= size[1] + 1))
    )


def labelled_size(image: PoseImage) -> Size | None:
    """Width and height in the labels, px; None if they are not there."""
    return (image.width, image.height) if image.width and image.height else None


def _reaches_far_out(box: Box, size: Size | None) -> bool:
    _, _, right, bottom = box.xyxy
    return size is not None and (right > (1 + MARGIN) * size[0] or bottom > (1 + MARGIN) * size[1])


def _inside(person: Person, corners: tuple[float, float, float, float]) -> Floats:
    """For each labelled keypoint, whether it lies in the box or just beside it."""
    points = person.keypoints[person.labelled]
    low, high = np.array(corners[:2]), np.array(corners[2:])
    margin = MARGIN * (high - low) + 1
    return np.asarray(((points >= low - margin) & (points <= high + margin)).all(axis=1))
