"""A point in an image described: whose body it is on, and where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from posetalk.describe.figure import Figure
from posetalk.describe.parts import body_points
from posetalk.describe.place import ON_BODY, Place
from posetalk.describe.regions import places
from posetalk.describe.who import named_people, people_of
from posetalk.describe.words import words_of
from posetalk.errors import PosetalkError
from posetalk.formats.names import plain_name
from posetalk.locate.found import Found
from posetalk.locate.localizer import Localizer
from posetalk.locate.opened_image import Boxes
from posetalk.locate.read_ahead import ImageSource
from posetalk.skeleton import Keypoint, load_skeleton
from posetalk.types import Floats, Poses
from posetalk.write.from_facts.speaker import Subject

NOBODY = "not on a person"
NO_PART = "on a part of the body that cannot be told"
# From these on a description is called certain; chosen on coco_people train2017, see runs/describe_round_trip.py.
SURE_SCORE = 0.6  # of the keypoints that decided
SURE_MARGIN = 0.2  # between the cost of the place and that of the next other part
SURE_COST = 1.0
SURE_DISTANCE = 0.12  # from a named point, in trunk lengths
REACH = 0.15  # how far outside a person's box a point may be, as a share of its longer side


@dataclass(frozen=True, slots=True)
class PointDescription:
    """The words for a point of an image.

    xy:       The point, px of the full image, origin top left.
    person:   Whose body it is on: `the man in the red shirt`; None for a point that is on nobody.
    index:    The person's row in the poses; None likewise.
    part:     The part of the body without side, `forearm`; None where it is on nobody, or cannot be told.
    side:     `left` or `right`, the person's own; None of the middle of the body.
    name:     `left forearm`.
    phrase:   `the outer side of his left forearm`.
    sentence: `the outer side of his left forearm, a third of the way from elbow to wrist`.
    full:     The sentence with the person's name: `the outer side of the left forearm of the man on the left, ...`.
    evidence: JSON-ready: `keypoints` with their scores, `facing` (front, back, left, right, or None for not known),
              `cost` (how far the point is from the middle of the part, where 1 is the part's edge), and `or`, the
              next other part, with its `cost`.
    certain:  Whether the evidence is good: sure keypoints, a point well inside the part, and no other part or person
              that fits about as well.
    """

    xy: tuple[float, float]
    person: str | None
    index: int | None
    part: str | None
    side: str | None
    name: str
    phrase: str
    sentence: str
    full: str
    evidence: Mapping[str, Any]
    certain: bool

    def keypoint(self) -> Keypoint:
        """The keypoint that the words describe, to be located in the person's box.

        Raises:
            PosetalkError: The point is on nobody, or its part cannot be told.
        """
        if self.part is None:
            raise PosetalkError(f"the point {self.xy} is {self.name}; there is nothing to locate")
        return Keypoint(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON-ready dict."""
        return asdict(self)


def describe_point(
    image: Poses | ImageSource,
    xy: Sequence[float],
    *,
    boxes: Boxes | None = None,
    captions: Sequence[str] = (),
    localizer: Localizer | None = None,
) -> PointDescription:
    """Describe a point of an image: whose body it is on, which part, which side, between what, front or back.

        localizer.set_image("photo.jpg")
        poses = localizer.locate(keypoints=body_points())
        describe_point(poses, (210, 340)).sentence    # once located, any number of points take no time

    Args:
        image: Located poses; or an image, as in `Localizer.set_image`, in which everybody is located first. Poses need
            COCO's keypoint names. With those of `body_points` head, trunk, hands and feet are told more exactly.
        xy: The point, px of the full image, origin top left.
        boxes: People's boxes, as in `Localizer.locate`. Only for an image.
        captions: What people wrote of the image, for words such as `the man in the red shirt`.
        localizer: The model that locates; None for the bundled one. Only for an image.

    Returns:
        The description. A point on nobody has the name `not on a person`.

    Raises:
        PosetalkError: A point that is not two finite numbers or lies outside the image; poses without the joints of a
            body; as `Localizer.locate`.
    """
    point = _checked(xy)  # before anything is located
    if not isinstance(image, Poses):
        localizer = localizer or Localizer.from_pretrained()
        image = localizer.set_image(image).locate(boxes, body_points())
    elif boxes is not None or localizer is not None:
        raise PosetalkError("boxes and a localizer go with an image; poses are located already")
    return describe_points(image, [point], captions)[0]


def describe_points(
    poses: Poses, points: Iterable[Sequence[float]], captions: Sequence[str] = ()
) -> list[PointDescription]:
    """Describe points among located people, see `describe_point`."""
    checked = [_checked(xy) for xy in points]
    if isinstance(poses, Found):
        height, width = poses.image.shape[:2]
        for point in checked:
            check_inside(point, width, height)
    names = {plain_name(name) for name in poses.names}
    if lacking := set(load_skeleton("coco17").names) - names:
        raise PosetalkError(
            f"the poses have no {min(lacking)}; locate body_points(), or COCO's 17 keypoints at least"
        )
    figures = [Figure.of(poses, row) for row in range(len(poses))]
    people = named_people(people_of(poses), poses.names, captions) if len(poses) else {}
    return [describe_figures(figures, people, point) for point in checked]


def check_inside(point: tuple[float, float], width: int, height: int) -> None:
    """Refuse a point outside an image of that size in px."""
    if not (0 <= point[0] <= width and 0 <= point[1] <= height):
        raise PosetalkError(
            f"the point {point[0]:g},{point[1]:g} lies outside the image of {width} x {height} px"
        )


def describe_figures(
    figures: Sequence[Figure], subjects: Mapping[int, Subject], xy: tuple[float, float]
) -> PointDescription:
    """Describe a point among the people of an image. subjects: what they are called, by `Figure.index`."""
    point = np.array(xy)
    found: list[tuple[Figure, list[Place]]] = []
    for figure in figures:
        if _near(figure, point):
            found.append((figure, places(figure, point)))
    placed = sorted((pair for pair in found if pair[1]), key=lambda pair: pair[1][0].cost)
    if placed and placed[0][1][0].cost <= ON_BODY:
        figure, fitting = placed[0]
        others = [other[0].cost for _, other in placed[1:]]
        return _described(figure, fitting, subjects[figure.index], xy, min(others, default=math.inf))
    unknown = [figure for figure, fitting in found if not fitting]
    if not placed and unknown:
        return _no_part(unknown[0], subjects[unknown[0].index], xy)
    cost = placed[0][1][0].cost if placed else None
    evidence: dict[str, Any] = {
        "keypoints": {},
        "facing": None,
        "cost": None if cost is None else round(cost, 3),
        "or": None,
    }
    sure = cost is None or cost > 2 * ON_BODY
    return PointDescription(xy, None, None, None, None, NOBODY, NOBODY, NOBODY, NOBODY, evidence, sure)


def _described(
    figure: Figure, fitting: list[Place], subject: Subject, xy: tuple[float, float], other_person: float
) -> PointDescription:
    place = fitting[0]
    words = words_of(place, subject, figure.facing)
    second = next((p for p in fitting if (p.part, p.side) != (place.part, place.side)), None)
    scores = {name: round(figure.scores.get(name, 0.0), 4) for name in place.uses}
    rival = min(second.cost if second else math.inf, other_person)
    on_line = place.region in ("limb", "joint") or place.between is not None
    certain = (
        min(scores.values()) >= SURE_SCORE
        and place.cost <= SURE_COST
        and rival - place.cost >= SURE_MARGIN
        and (on_line or place.distance <= SURE_DISTANCE * figure.size)
    )
    evidence = {
        "keypoints": scores,
        "facing": figure.facing,
        "cost": round(place.cost, 3),
        "or": None
        if second is None
        else {"name": words_of(second, subject, figure.facing).name, "cost": round(second.cost, 3)},
    }
    return PointDescription(
        xy,
        subject.name,
        figure.index,
        place.part,
        place.side or None,
        words.name,
        words.phrase,
        words.sentence,
        words.full,
        evidence,
        certain,
    )


def _no_part(figure: Figure, subject: Subject, xy: tuple[float, float]) -> PointDescription:
    evidence: dict[str, Any] = {"keypoints": {}, "facing": None, "cost": None, "or": None}
    sentence = f"{NO_PART}, of {subject.name}"
    return PointDescription(
        xy, subject.name, figure.index, None, None, NO_PART, NO_PART, sentence, sentence, evidence, False
    )


def _near(figure: Figure, point: Floats) -> bool:
    reach = REACH * max(figure.box.w, figure.box.h)
    left, top, right, bottom = figure.box.xyxy
    return bool(left - reach <= point[0] <= right + reach and top - reach <= point[1] <= bottom + reach)


def _checked(xy: Sequence[float]) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in xy)
    except (TypeError, ValueError, OverflowError):
        raise PosetalkError(f"a point is two numbers x,y in pixels, not {str(xy)[:80]!r}") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise PosetalkError(f"the point {x},{y} is not finite; give x,y in pixels")
    return x, y
