"""Images without boxes: a detector finds the people, and each is answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from posetalk.detect.detector import Detector
from posetalk.locate.opened_image import OpenedImage
from posetalk.locate.similarity import without_doubles
from posetalk.skeleton import Keypoint, sigmas_of
from posetalk.types import Floats, Poses


def with_people(opened: OpenedImage, detector: Detector) -> OpenedImage:
    """The image with the boxes of everybody in it. An image that is asked again is not searched again."""
    if not opened.found:
        opened.found.append(detector(opened.image))
    people = opened.found[0]
    return replace(opened, boxes=list(people.boxes), box_scores=people.scores)


def each_once(poses: Poses, box_scores: Floats | None, points: Sequence[Keypoint]) -> Poses:
    """The poses in a detector's boxes with its scores, without people found twice; without scores the poses alone."""
    if box_scores is None:
        return poses
    poses = replace(poses, box_scores=box_scores)
    kept = without_doubles(poses, sigmas_of(points))
    return poses if len(kept) == len(poses) else poses.some(kept)
