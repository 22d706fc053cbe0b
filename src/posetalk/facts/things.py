"""The facts of a person and the objects of the image: what is held, ridden, sat on, stood on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from posetalk.facts.body import SIDES, Body, both, either, judge, negated
from posetalk.facts.fact import Fact, make_fact
from posetalk.facts.posture import looks_standing
from posetalk.formats.objects import Thing
from posetalk.types import Box

# Objects to ride, to sit on, and to hold; COCO's category names.
MOUNTS = ("horse", "motorcycle", "bicycle", "elephant", "cow")
SEATS = ("chair", "couch", "bench", "bed", "toilet")
CARRIED = (
    "umbrella", "handbag", "suitcase", "frisbee", "skis", "snowboard", "sports ball",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork",
    "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "hot dog", "pizza", "donut", "cake", "laptop",
    "remote", "cell phone", "book", "teddy bear", "hair drier", "toothbrush", "scissors", "dog", "cat",
)  # fmt: skip
WORN = frozenset({"baseball glove"})
# What boxes alone show to be held: gear near a hand; small things at a hand that is raised, not on a table; bags under
# a hand. Of all else a caption must say it too.
GEAR = frozenset(
    {"frisbee", "baseball bat", "baseball glove", "tennis racket", "skateboard", "surfboard", "snowboard"}
)
SMALL = frozenset({
    "wine glass", "cell phone", "remote", "banana", "sandwich", "hot dog", "toothbrush", "hair drier", "cup", "donut",
    "apple", "book", "bottle",
})  # fmt: skip
BAGS = frozenset({"handbag", "suitcase"})
LONG = (
    "umbrella",
    "skis",
    "snowboard",
    "skateboard",
    "surfboard",
    "tennis racket",
    "baseball bat",
    "suitcase",
    "dog",
)
# Length in trunk lengths up to which an object certainly, and at most, fits in a hand.
IN_HAND, IN_HAND_LONG = (1.2, 1.8), (4.5, 6.0)


# What carries people who stand on it.
BOARDS = ("skateboard", "surfboard", "snowboard", "skis")


def use_facts(bodies: Mapping[str, tuple[Box, Body]], things: Sequence[Thing]) -> list[Fact]:
    """What people hold, ride and stand on, by boxes: `carried`, `at the left hand`, `at the right hand`, `ridden`,
    `under the feet`.

    With several objects of a category, one for which it is true is enough.

    Args:
        bodies: The box and the body of each person.
        things: The objects of the image.
    """
    facts: list[Fact] = []
    for thing in sorted(things, key=lambda t: (t.name, t.box.xywh)):
        largest = max((_overlap_area(box, thing.box) for box, _ in bodies.values()), default=0.0)
        for name, (box, body) in bodies.items():
            # an object that overlaps another person's box more may belong to that person
            is_closest = True if _overlap_area(box, thing.box) >= largest else None
            if thing.name in CARRIED:
                facts += _held(name, body, thing, is_closest)
            if thing.name in BOARDS and is_closest and under_feet(body, thing):
                part = f"{name}, {thing.name}"
                facts.append(_of_thing(Fact(part, "under the feet", True), thing))
            if thing.name in MOUNTS and (ridden := _ridden(name, body, thing, is_closest)) is not None:
                facts.append(ridden)
    return list(merged(_one_thing_per_hand(facts)).values())


def _held(name: str, body: Body, thing: Thing, is_closest: bool | None) -> Iterator[Fact]:
    """Whether a thing is at a hand, and held; not known, but with its evidence, where a caption would settle it."""
    part, near = f"{name}, {thing.name}", []
    longest = None if body.size is None else max(thing.box.w, thing.box.h) / body.size
    fits = judge(longest, *(IN_HAND_LONG if thing.name in LONG else IN_HAND))
    distances = [_distance_to_box(body, f"{side} wrist", thing.box) for side in SIDES]
    tells = _tells_alone(body, thing)
    for side, distance, other in zip(SIDES, distances, distances[::-1], strict=True):
        # a hand is a quarter of a trunk beyond the wrist
        value = both(judge(distance, 0.25, 0.6), fits, is_closest)
        near.append(value)
        # of two hands near it, one may only be there
        sure = tells and (other is None or other > 0.25 or (distance or 0) <= 0.08)
        fact = _of_thing(make_fact(part, f"at the {side} hand", value, near=distance), thing)
        yield replace(fact, value=None) if value and not sure else fact
    held = _of_thing(make_fact(part, "carried", either(*near)), thing)
    yield replace(held, value=None) if held.value and not tells else held


def _tells_alone(body: Body, thing: Thing) -> bool:
    """Whether a thing near a hand is held, for all that boxes show."""
    if thing.name in BOARDS:  # one stands on it
        feet = [_distance_to_box(body, f"{side} ankle", thing.box) for side in SIDES]
        return thing.name in GEAR and all(distance is None or distance > 0.5 for distance in feet)
    if thing.name in SMALL | BAGS:
        return any(_lifts(body, side, thing) for side in SIDES)
    return thing.name in GEAR


def _lifts(body: Body, side: str, thing: Thing) -> bool:
    """Whether a hand holds a small thing up, or has a bag hanging below it."""
    wrist, elbow, size = body[f"{side} wrist"], body[f"{side} elbow"], body.size
    if wrist is None or elbow is None or size is None:
        return False
    left, top, right, _ = thing.box.xyxy
    if thing.name in BAGS:
        beneath = (
            left - 0.1 * size < wrist[0] < right + 0.1 * size and abs(float(top - wrist[1])) < 0.3 * size
        )
        bend = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
        # beside somebody who sits a bag may stand on the seat
        return bool(beneath and wrist[1] > elbow[1] and bend is not None and bend > 140)
    near = _distance_to_box(body, f"{side} wrist", thing.box)
    is_up = float(elbow[1] - wrist[1]) > 0.15 * size and thing.box.center[1] < wrist[1] + 0.15 * size
    return bool(near is not None and near < 0.25 and is_up)


def _ridden(name: str, body: Body, thing: Thing, is_closest: bool | None) -> Fact | None:
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return None
    feet = [p for side in SIDES if (p := body[f"{side} ankle"]) is not None]
    below = None
    if feet:
        below = negated(judge((max(p[1] for p in feet) - thing.box.xyxy[3]) / size, 0.3, 0.1))
    # with straight legs the person may be on the animal or stand beside it
    bent = None if looks_standing(body) else True
    ridden = both(hips_above(body, thing.box), below, bent, is_closest)
    return _of_thing(make_fact(f"{name}, {thing.name}", "ridden", ridden), thing)


def under_feet(body: Body, thing: Thing) -> bool:
    """Whether both feet are at a board that lies lower than the hips."""
    hips = body.middle("hip")
    return hips is not None and bool(thing.box.center[1] > hips[1]) and _both_feet_at(body, thing, 0.4)


def _both_feet_at(body: Body, thing: Thing, most: float) -> bool:
    """Whether both ankles are at most so far from a thing, in trunk lengths."""
    near = [_distance_to_box(body, f"{side} ankle", thing.box) for side in SIDES]
    return all(distance is not None and distance < most for distance in near)


def sat_on(name: str, body: Body, is_sitting: bool | None, things: Sequence[Thing]) -> Iterator[Fact]:
    """Which seats a person sits on."""
    for thing in things:
        if thing.name in SEATS and (over := over_seat(body, thing)) is not None:
            yield _of_thing(make_fact(f"{name}, {thing.name}", "sat on", both(is_sitting, over)), thing)


def over_seat(body: Body, thing: Thing) -> bool | None:
    """Whether the hips are where those of somebody on a seat are; None where they are not labelled."""
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return None
    left, top, right, bottom = thing.box.xyxy
    beside = left - 0.2 * size < hips[0] < right + 0.2 * size
    return bool(beside and top - 0.3 * size < hips[1] < bottom + 0.1 * size)


def supports(body: Body, things: Sequence[Thing]) -> dict[str, str]:
    """Posture -> the object that would carry a person in it, as evidence: a seat, a bed, a board under the feet."""
    found: dict[str, str] = {}
    hips, shoulders = body.middle("hip"), body.middle("shoulder")
    for thing in things:
        if thing.name in SEATS and over_seat(body, thing):
            found.setdefault("sitting", as_evidence(thing))
        if thing.name in MOUNTS and hips_above(body, thing.box):
            found.setdefault("sitting", as_evidence(thing))
        if thing.name in ("bed", "couch", "bench") and hips is not None and shoulders is not None:
            left, top, right, bottom = thing.box.xyxy
            if all(left < p[0] < right and top < p[1] < bottom for p in (hips, shoulders)):
                found.setdefault("lying", as_evidence(thing))
        if thing.name in BOARDS and _both_feet_at(body, thing, 0.3):
            found.setdefault("standing", as_evidence(thing))
    return found


def as_evidence(thing: Thing) -> str:
    """`object horse at 12,40 200x180`."""
    x, y, w, h = (round(v) for v in thing.box.xywh)
    return f"object {thing.name} at {x},{y} {w}x{h}"


def _of_thing(fact: Fact, thing: Thing) -> Fact:
    return fact if fact.value is None else replace(fact, evidence=("joints", as_evidence(thing)))


def merged(facts: Sequence[Fact]) -> dict[str, Fact]:
    """By key; of several facts of a key the one that is true, then the unknown one."""
    found: dict[str, Fact] = {}
    for fact in facts:
        earlier = found.get(fact.key)
        if earlier is None or (earlier.value is not True and either(earlier.value, fact.value) == fact.value):
            found[fact.key] = fact
    return found


def _one_thing_per_hand(facts: Sequence[Fact]) -> list[Fact]:
    """Facts in which a hand at several kinds of objects holds each of them with the value None."""
    things_at_hand: dict[tuple[str, str], set[str]] = {}
    for fact in facts:
        if fact.value and fact.predicate.startswith("at the "):
            person, _, thing = fact.part.partition(", ")
            things_at_hand.setdefault((person, fact.predicate), set()).add(thing)
    ambiguous = {
        (person, thing)
        for (person, _), things in things_at_hand.items()
        if len(things - WORN) > 1
        for thing in things - WORN
    }
    return [
        replace(fact, value=None)
        if fact.value
        and (fact.predicate == "carried" or fact.predicate.startswith("at the "))
        and tuple(fact.part.split(", ")) in ambiguous
        else fact
        for fact in facts
    ]


def hips_above(body: Body, box: Box) -> bool | None:
    """Whether the hips are above the upper half of a box."""
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return None
    left, _, right, _ = box.xyxy
    over = bool(left - 0.2 * size < hips[0] < right + 0.2 * size)
    return both(over, judge(float(box.center[1] - hips[1]) / size, -0.1, -0.5))


def _distance_to_box(body: Body, joint: str, box: Box) -> float | None:
    """The distance of a joint to a box, in trunk lengths; 0 inside."""
    point, size = body[joint], body.size
    if point is None or size is None:
        return None
    left, top, right, bottom = box.xyxy
    dx, dy = max(left - point[0], 0, point[0] - right), max(top - point[1], 0, point[1] - bottom)
    return float(np.hypot(dx, dy)) / size


def _overlap_area(a: Box, b: Box) -> float:
    (ax, ay, bx, by), (cx, cy, dx, dy) = a.xyxy, b.xyxy
    return max(0.0, min(bx, dx) - max(ax, cx)) * max(0.0, min(by, dy) - max(ay, cy))
