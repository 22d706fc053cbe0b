"""Places of an image in words, for callers who send the image, or the people that were located in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posetalk.describe import point as words
from posetalk.describe.parts import body_points
from posetalk.errors import PosetalkError
from posetalk.formats.names import plain_name
from posetalk.serve.bodies import DescribeLocated, DescribeRequest, Json, PersonGiven
from posetalk.serve.scenes import check_people
from posetalk.serve.settings import ServeSettings
from posetalk.types import Box, Poses

Asking = DescribeRequest | DescribeLocated


def check_places(request: Asking, limits: ServeSettings) -> None:
    """Raises PosetalkError for more places than the limit."""
    if len(request.at) > limits.max_places:
        raise PosetalkError(
            f"{len(request.at)} places are to be described; the limit is {limits.max_places} a request"
        )


def check_inside(request: Asking, width: int, height: int) -> None:
    """Raises PosetalkError for a place outside an image of that size in px."""
    for x, y in request.at:
        words.check_inside((x, y), width, height)


def places_of(poses: Poses, request: Asking) -> list[Json]:
    """The places as the answer has them.

    Args:
        poses: The located people.
        request: The places, inside the image.
    """
    described = words.describe_points(poses, [(x, y) for x, y in request.at], request.captions)
    return [
        {
            "x": one.xy[0],
            "y": one.xy[1],
            "person": one.index,
            "part": one.part,
            "side": one.side,
            "name": one.name,
            "phrase": one.phrase,
            "sentence": one.sentence,
            "full": one.full,
            "evidence": one.evidence,
            "certain": one.certain,
        }
        for one in described
    ]


def describe_located(request: DescribeLocated, limits: ServeSettings) -> list[Json]:
    """The places among people whom a caller sends, as the answer has them.

    Raises:
        PosetalkError: more than the limits; a place outside the image; a box without area; a keypoint twice.
    """
    check_people(request.people, limits.max_people)
    check_places(request, limits)
    check_inside(request, request.width, request.height)
    with np.errstate(all="ignore"):  # keypoints may be anywhere
        return places_of(poses_given(request.people), request)


def poses_given(people: Sequence[PersonGiven]) -> Poses:
    """The people as poses with the names of `body_points`. A keypoint that was not given has the score 0.

    Raises:
        PosetalkError: a box without area; a keypoint twice.
    """
    names = [point.name for point in body_points()]
    rows = {name: row for row, name in enumerate(names)}
    xy, score = np.zeros((len(people), len(names), 2)), np.zeros((len(people), len(names)))
    given, seen = np.zeros(score.shape, bool), np.ones(score.shape, bool)
    says_seen = False
    for number, person in enumerate(people):
        for point in person.keypoints:
            if (row := rows.get(plain_name(point.name))) is None:
                continue
            if given[number, row]:
                raise PosetalkError(f"person {number} has the keypoint {names[row]!r} twice; give each once")
            given[number, row] = True
            xy[number, row] = point.x, point.y
            score[number, row] = 1.0 if point.score is None else point.score
            seen[number, row] = point.visible is not False
            says_seen |= point.visible is not None
    boxes = tuple(Box(*person.box) for person in people)
    return Poses(xy, score, tuple(names), boxes, visible=seen if says_seen else None)
