"""Where people are in the image and where things are beside them, by boxes alone; only true facts are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from posetalk.facts.body import SIDES, Body
from posetalk.facts.fact import Fact, make_fact
from posetalk.facts.things import BOARDS, as_evidence, under_feet
from posetalk.formats.objects import Thing
from posetalk.types import Box

MANY = 6  # people; in a larger crowd no thing is placed beside somebody
LARGEST, SMALLEST = (
    0.4,
    0.001,
)  # shares of the image's area between which a thing can be placed beside a person
WHOLE = 0.85  # share of the image's height that a person fills


def place_facts(
    bodies: Mapping[str, tuple[Box, Body]], things: Sequence[Thing], size: tuple[int, int] | None
) -> Iterator[Fact]:
    """`person 1, picture: on the left`, and of things of which there is one: `person 1, dog: on the left`.

    Left and right are those of the image. A thing is beside a person if their boxes do not overlap by much and are at
    about the same height; over one if it is right above.

    Args:
        bodies: The box and the body of each person.
        things: The objects of the image.
        size: Width and height of the image, px; None if it is not known.
    """
    if size is None:
        return
    counts = Counter(thing.name for thing in things)
    single = [
        thing
        for thing in things
        if counts[thing.name] == 1 and SMALLEST < thing.box.area / (size[0] * size[1]) < LARGEST
    ]
    for name, (box, body) in bodies.items():
        middle = box.center[0] / size[0]
        where = "on the left" if middle < 0.36 else "on the right" if middle > 0.64 else ""
        if 0.44 < middle < 0.56 and box.w < 0.6 * size[0]:
            where = "in the middle"
        if where:
            yield make_fact(f"{name}, picture", where, True, middle=middle)
        if box.h > WHOLE * size[1]:
            yield make_fact(f"{name}, picture", "filled from top to bottom", True, height=box.h / size[1])
        if len(bodies) <= MANY:
            for thing in single:
                if thing.name in BOARDS and under_feet(body, thing):
                    continue  # a fact of its own
                if where := _beside(box, body, thing.box):
                    yield Fact(f"{name}, {thing.name}", where, True, (), (as_evidence(thing),))


def _beside(box: Box, body: Body, thing: Box) -> str:
    """Where a thing is beside a person; empty if they overlap or are far from each other."""
    left, top, right, bottom = box.xyxy
    x1, y1, x2, y2 = thing.xyxy
    feet = [p for side in SIDES if (p := body[f"{side} ankle"]) is not None]
    if (
        len(feet) == 2
        and all(x1 < p[0] < x2 and y1 - 0.1 * box.h < p[1] < y2 for p in feet)
        and thing.h < 0.3 * box.h
    ):
        return "under the feet"
    if y2 < top + 0.05 * box.h and left - 0.2 * box.w < thing.center[0] < right + 0.2 * box.w:
        return "above"
    level = min(bottom, y2) - max(top, y1) > 0.4 * min(box.h, thing.h)
    if level and x2 < left + 0.15 * box.w and left - x2 < 1.5 * box.w:
        return "on the left"
    if level and x1 > right - 0.15 * box.w and x1 - right < 1.5 * box.w:
        return "on the right"
    return ""
