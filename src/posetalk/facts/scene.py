"""The facts of a picture: how many people, where they are to each other, and what they have to do with its objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from posetalk.facts.body import SIDES, Body, both, either, judge, negated
from posetalk.facts.fact import Fact, Facts, make_fact
from posetalk.facts.person import body_facts
from posetalk.formats.objects import Thing
from posetalk.types import Box, Floats, PoseImage

# What one sits astride, sits on, and holds; COCO's names.
MOUNTS = ("horse", "motorcycle", "bicycle", "elephant", "cow")
SEATS = ("chair", "couch", "bench", "bed", "toilet")
CARRIED = (
    "umbrella", "handbag", "suitcase", "frisbee", "skis", "snowboard", "sports ball",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork",
    "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "hot dog", "pizza", "donut", "cake", "laptop",
    "remote", "cell phone", "book", "teddy bear", "hair drier", "toothbrush", "scissors", "tie", "dog", "cat",
)  # fmt: skip
WORN = frozenset({"tie", "baseball glove"})
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
_OF_FEET = ("body: standing", "body: sitting")
TOUCH = 0.2  # trunk lengths
# Of more people than this each is compared with the nearest alone: of all pairs there would be thousands.
MANY, NEAREST = 50, 8
# How far apart the centres of two boxes are, in their mean width, where one is surely on the left, and surely not.
LEFT = 0.3, 0.15
# Trunk lengths: how long a thing in someone's hand looks, surely and at most.
HELD, HELD_LONG = (1.2, 1.8), (4.5, 6.0)


@dataclass(frozen=True, eq=False)
class ScenePerson:
    """A person of a scene. name: `person 1`, counted from the picture's left. facts: the person's own."""

    name: str
    box: Box
    body: Body
    facts: Facts

    @cached_property
    def joints(self) -> Floats:
        """(k, 2) px, those that are known."""
        return np.stack(list(self.body.points.values()))


@dataclass(frozen=True, eq=False)
class Scene:
    """people: with labelled keypoints, from left to right; others: people without, crowds left out.

    facts: of the picture, between people (`person 1, person 2: touching`), with objects (`person 1, kite: carried`). Of
    several objects of a category one is enough. Of more than MANY people there are facts between the nearest alone.
    """

    image_id: int
    people: tuple[ScenePerson, ...]
    others: int
    things: tuple[Thing, ...]
    facts: Facts


def scene_facts(image: PoseImage, names: tuple[str, ...], things: Sequence[Thing] = ()) -> Scene:
    """The facts of a picture. names: of the keypoints; things: its objects, where they are known.

    People are named from left to right by their boxes' centres, so that names do not depend on the file's order.
    """
    people = [p for p in image.people if not p.is_crowd]
    labelled = sorted((p for p in people if p.labelled.any()), key=lambda p: (p.box.center, p.id))
    figures = []
    for number, person in enumerate(labelled, 1):
        body = Body.of(person, names)
        facts_ = body_facts(body)
        if any(thing.name in MOUNTS and _above(body, thing.box) for thing in things):
            # a rider's legs hang down as if they stood
            facts_ = Facts([replace(f, value=None) if f.key in _OF_FEET else f for f in facts_])
        figures.append(ScenePerson(f"person {number}", person.box, body, facts_))
    facts = [
        make_fact("picture", "one person", len(people) == 1),
        make_fact("picture", "several people", len(people) > 1),
    ]
    for first, second in _pairs(figures):
        facts += _pair(first, second)
    things_ = sorted(things, key=lambda t: (t.name, t.box.xywh))
    most = [max((_shared(figure.box, thing.box) for figure in figures), default=0.0) for thing in things_]
    for figure in figures:
        for thing, share in zip(things_, most, strict=True):
            # someone else's box may have more of the object in it, which may then be theirs
            facts += _with(figure, thing, True if _shared(figure.box, thing.box) >= share else None)
    facts = _one_thing_a_hand(facts)
    merged: dict[str, Fact] = {}
    for one in facts:
        before = merged.get(one.key)
        if before is None or (before.value is not True and either(before.value, one.value) == one.value):
            merged[one.key] = one
    return Scene(image.id, tuple(figures), len(people) - len(figures), tuple(things), Facts(merged.values()))


def people_in_order(scene: Scene) -> frozenset[str]:
    """The names of those who have a place of their own from left to right: everybody else is clearly beside them."""
    if len(scene.people) <= MANY:
        level_names = {
            name
            for first, second in combinations(scene.people, 2)
            if not scene.facts.value(f"{first.name}, {second.name}: first on the left")
            for name in (first.name, second.name)
        }
        return frozenset(figure.name for figure in scene.people) - level_names
    center = np.array([figure.box.center[0] for figure in scene.people])
    width = np.array([figure.box.w for figure in scene.people])
    level = np.zeros(len(scene.people), bool)
    for i in range(len(scene.people) - 1):
        beside = (center[i + 1 :] - center[i]) / ((width[i] + width[i + 1 :]) / 2) < LEFT[0]
        level[i] |= beside.any()
        level[i + 1 :] |= beside
    return frozenset(figure.name for figure, so in zip(scene.people, level, strict=True) if not so)


def _pairs(figures: Sequence[ScenePerson]) -> Iterable[tuple[ScenePerson, ScenePerson]]:
    """Who is compared with whom, both from left to right."""
    if len(figures) <= MANY:
        return combinations(figures, 2)
    centers = np.array([figure.box.center for figure in figures])
    near = {
        (min(i, int(j)), max(i, int(j)))
        for i, center in enumerate(centers)
        for j in np.argsort(np.linalg.norm(centers - center, axis=1), kind="stable")[: NEAREST + 1]
        if i != j
    }
    return [(figures[i], figures[j]) for i, j in sorted(near)]


def _pair(a: ScenePerson, b: ScenePerson) -> list[Fact]:
    of = f"{a.name}, {b.name}"
    gap = b.box.center[0] - a.box.center[0]
    wide = (a.box.w + b.box.w) / 2
    sizes = None if a.body.size is None or b.body.size is None else a.body.size / b.body.size
    facing = [a.facts.value("body: facing right"), b.facts.value("body: facing left")]
    turned = [a.facts.value("body: facing left"), b.facts.value("body: facing right")]
    reach = _reach(a, b)
    return [
        make_fact(of, "first on the left", judge(gap / wide, *LEFT), gap=gap / wide),
        # The same body looks larger when it is nearer; people differ in size by less than half.
        make_fact(of, "first is nearer", judge(sizes, 1.6, 1.2), sizes=sizes),
        make_fact(of, "second is nearer", judge(None if sizes is None else 1 / sizes, 1.6, 1.2), sizes=sizes),
        make_fact(of, "facing each other", both(*facing)),
        make_fact(of, "facing apart", both(*turned)),
        make_fact(
            of,
            "touching",
            both(judge(reach, TOUCH, 0.5), judge(sizes, 0.6, 0.4), judge(sizes, 1.6, 2.2)),
            reach=reach,
        ),
    ]


def _reach(a: ScenePerson, b: ScenePerson) -> float | None:
    """The least distance of a hand of one to a joint of the other, in trunk lengths of the smaller."""
    found = []
    for one, other in ((a, b), (b, a)):
        size = (
            None if one.body.size is None or other.body.size is None else min(one.body.size, other.body.size)
        )
        for side in SIDES:
            wrist = one.body[f"{side} wrist"]
            if wrist is not None and size is not None and other.body.points:
                found.append(float(np.linalg.norm(other.joints - wrist, axis=1).min()) / size)
    return min(found) if found else None


def _with(figure: ScenePerson, thing: Thing, nearest: bool | None) -> list[Fact]:
    body, of = figure.body, f"{figure.name}, {thing.name}"
    found = []
    if thing.name in CARRIED:
        held = []
        longest = None if body.size is None else max(thing.box.w, thing.box.h) / body.size
        fits = judge(longest, *(HELD_LONG if thing.name in LONG else HELD))
        for side in SIDES:
            near = _outside(body, f"{side} wrist", thing.box)
            # a hand is a quarter of a trunk beyond the wrist
            holds = both(judge(near, 0.25, 0.6), fits, nearest)
            held.append(holds)
            found.append(make_fact(of, f"at the {side} hand", holds, near=near))
        found.append(make_fact(of, "carried", either(*held)))
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return found
    left, top, right, bottom = thing.box.xyxy
    if thing.name in SEATS:
        beside = left - 0.2 * size < hips[0] < right + 0.2 * size
        at = bool(beside and top - 0.3 * size < hips[1] < bottom + 0.1 * size)
        found.append(make_fact(of, "sat on", both(figure.facts.value("body: sitting"), at)))
    if thing.name in MOUNTS:
        feet = [p for side in SIDES if (p := body[f"{side} ankle"]) is not None]
        below = None if not feet else negated(judge((max(p[1] for p in feet) - bottom) / size, 0.3, 0.1))
        # Legs as straight as a stander's: beside the animal, or on it; the projection does not tell.
        bent = None if body_facts(body).value("body: standing") else True
        ridden = both(_above(body, thing.box), below, bent, nearest)
        found.append(make_fact(of, "ridden", ridden))
    return found


def _one_thing_a_hand(facts: Sequence[Fact]) -> list[Fact]:
    """Where a hand looks to be at several kinds of things, it is not known which of them it holds."""
    at: dict[tuple[str, str], set[str]] = {}
    for one in facts:
        if one.value and one.predicate.startswith("at the "):
            person, _, thing = one.part.partition(", ")
            at.setdefault((person, one.predicate), set()).add(thing)
    unsure = {
        (person, thing)
        for (person, _), things in at.items()
        if len(things - WORN) > 1
        for thing in things - WORN
    }
    return [
        replace(one, value=None)
        if one.value
        and (one.predicate == "carried" or one.predicate.startswith("at the "))
        and tuple(one.part.split(", ")) in unsure
        else one
        for one in facts
    ]


def _above(body: Body, box: Box) -> bool | None:
    """Whether the hips are over the upper half of a box."""
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return None
    left, _, right, _ = box.xyxy
    over = bool(left - 0.2 * size < hips[0] < right + 0.2 * size)
    return both(over, judge(float(box.center[1] - hips[1]) / size, -0.1, -0.5))


def _outside(body: Body, joint: str, box: Box) -> float | None:
    """How far a joint is from a box, in trunk lengths; 0 inside."""
    point, size = body[joint], body.size
    if point is None or size is None:
        return None
    left, top, right, bottom = box.xyxy
    dx, dy = max(left - point[0], 0, point[0] - right), max(top - point[1], 0, point[1] - bottom)
    return float(np.hypot(dx, dy)) / size


def _shared(a: Box, b: Box) -> float:
    (ax, ay, bx, by), (cx, cy, dx, dy) = a.xyxy, b.xyxy
    return max(0.0, min(bx, dx) - max(ax, cx)) * max(0.0, min(by, dy) - max(ay, cy))
