"""The facts of an image: how many people, how they relate to each other, and which objects they use."""

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

# Objects to ride, to sit on, and to hold; COCO's category names.
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
TOUCH_DISTANCE = 0.2  # trunk lengths
# With more people than MANY each is compared with the NEAREST only; all pairs would be thousands.
MANY, NEAREST = 50, 8
# Distance of two box centres in mean box widths: from which one is certainly on the left, and below which not.
LEFT_OF = 0.3, 0.15
# Length in trunk lengths up to which an object certainly, and at most, fits in a hand.
IN_HAND, IN_HAND_LONG = (1.2, 1.8), (4.5, 6.0)


@dataclass(frozen=True, eq=False)
class ScenePerson:
    """A labelled person of an image.

    name:  `person 1`, counted from the left of the image.
    box:   px of the full image.
    body:  the person's joints.
    facts: the facts of this person alone.
    """

    name: str
    box: Box
    body: Body
    facts: Facts

    @cached_property
    def joints(self) -> Floats:
        """The labelled joints, (k, 2) px."""
        return np.stack(list(self.body.points.values()))


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known of an image.

    people: people with labelled keypoints, from left to right.
    others: the number of people without labelled keypoints; crowds do not count.
    things: the objects that were given.
    facts:  facts of the image (`picture: one person`), between people (`person 1, person 2: touching`) and with
            objects (`person 1, kite: carried`). With several objects of a category, one for which it is true is enough.
            With more than 50 people there are facts between each person and the nearest 8 only.
    """

    image_id: int
    people: tuple[ScenePerson, ...]
    others: int
    things: tuple[Thing, ...]
    facts: Facts


def scene_facts(image: PoseImage, keypoint_names: tuple[str, ...], things: Sequence[Thing] = ()) -> Scene:
    """The facts of an image: of each person, between people, and with objects.

    Args:
        image: The image and its labelled people. The file itself is not opened.
        keypoint_names: The names of the people's keypoints, as in `PoseSet.keypoint_names`.
        things: The objects of the image, as `read_objects` gives them.

    Returns:
        The scene. People are named `person 1`, `person 2` from left to right by the centres of their boxes, so that
        names do not depend on the order of the file.
    """
    people = [p for p in image.people if not p.is_crowd]
    labelled = sorted((p for p in people if p.labelled.any()), key=lambda p: (p.box.center, p.id))
    scene_people = []
    for number, person in enumerate(labelled, 1):
        body = Body.from_keypoints(person.keypoints, person.visible, keypoint_names)
        person_facts = body_facts(body)
        if any(thing.name in MOUNTS and _hips_above(body, thing.box) for thing in things):
            # a rider's legs hang down like those of a person who stands
            person_facts = Facts([replace(f, value=None) if f.key in _OF_FEET else f for f in person_facts])
        scene_people.append(ScenePerson(f"person {number}", person.box, body, person_facts))
    facts = [
        make_fact("picture", "one person", len(people) == 1),
        make_fact("picture", "several people", len(people) > 1),
    ]
    for first, second in _pairs(scene_people):
        facts += _pair_facts(first, second)
    sorted_things = sorted(things, key=lambda t: (t.name, t.box.xywh))
    largest_overlap = [
        max((_overlap_area(scene_person.box, thing.box) for scene_person in scene_people), default=0.0)
        for thing in sorted_things
    ]
    for scene_person in scene_people:
        for thing, share in zip(sorted_things, largest_overlap, strict=True):
            # an object that overlaps another person's box more may belong to that person
            facts += _thing_facts(
                scene_person, thing, True if _overlap_area(scene_person.box, thing.box) >= share else None
            )
    facts = _one_thing_per_hand(facts)
    merged: dict[str, Fact] = {}
    for fact in facts:
        earlier = merged.get(fact.key)
        if earlier is None or (earlier.value is not True and either(earlier.value, fact.value) == fact.value):
            merged[fact.key] = fact
    return Scene(
        image.id, tuple(scene_people), len(people) - len(scene_people), tuple(things), Facts(merged.values())
    )


def people_in_order(scene: Scene) -> frozenset[str]:
    """The names of the people whose position from left to right is certain: nobody is at about the same place.

    Two people are at about the same place where the fact `first on the left` is not true of them. With more than 50
    people most pairs have no facts (`_pairs`). All pairs are then compared by their boxes alone: the distance of the
    centres along x, divided by the mean width, is below the threshold of that fact.
    """
    if len(scene.people) <= MANY:
        ambiguous_names = {
            name
            for first, second in combinations(scene.people, 2)
            if not scene.facts.value(f"{first.name}, {second.name}: first on the left")
            for name in (first.name, second.name)
        }
        return frozenset(person.name for person in scene.people) - ambiguous_names
    center = np.array([person.box.center[0] for person in scene.people])
    width = np.array([person.box.w for person in scene.people])
    ambiguous = np.zeros(len(scene.people), bool)
    for i in range(len(scene.people) - 1):
        beside = (center[i + 1 :] - center[i]) / ((width[i] + width[i + 1 :]) / 2) < LEFT_OF[0]
        ambiguous[i] |= beside.any()
        ambiguous[i + 1 :] |= beside
    return frozenset(
        person.name for person, is_ambiguous in zip(scene.people, ambiguous, strict=True) if not is_ambiguous
    )


def _pairs(people: Sequence[ScenePerson]) -> Iterable[tuple[ScenePerson, ScenePerson]]:
    """The pairs of people to compare, each from left to right."""
    if len(people) <= MANY:
        return combinations(people, 2)
    centers = np.array([figure.box.center for figure in people])
    pairs = {
        (min(i, int(j)), max(i, int(j)))
        for i, center in enumerate(centers)
        for j in np.argsort(np.linalg.norm(centers - center, axis=1), kind="stable")[: NEAREST + 1]
        if i != j
    }
    return [(people[i], people[j]) for i, j in sorted(pairs)]


def _pair_facts(a: ScenePerson, b: ScenePerson) -> list[Fact]:
    part = f"{a.name}, {b.name}"
    gap = b.box.center[0] - a.box.center[0]
    mean_width = (a.box.w + b.box.w) / 2
    sizes = None if a.body.size is None or b.body.size is None else a.body.size / b.body.size
    facing_each_other = [a.facts.value("body: facing right"), b.facts.value("body: facing left")]
    facing_apart = [a.facts.value("body: facing left"), b.facts.value("body: facing right")]
    reach = _hand_distance(a, b)
    return [
        make_fact(part, "first on the left", judge(gap / mean_width, *LEFT_OF), gap=gap / mean_width),
        # people differ in size by less than half, so a body that looks much larger is nearer
        make_fact(part, "first is nearer", judge(sizes, 1.6, 1.2), sizes=sizes),
        make_fact(
            part, "second is nearer", judge(None if sizes is None else 1 / sizes, 1.6, 1.2), sizes=sizes
        ),
        make_fact(part, "facing each other", both(*facing_each_other)),
        make_fact(part, "facing apart", both(*facing_apart)),
        make_fact(
            part,
            "touching",
            both(judge(reach, TOUCH_DISTANCE, 0.5), judge(sizes, 0.6, 0.4), judge(sizes, 1.6, 2.2)),
            reach=reach,
        ),
    ]


def _hand_distance(a: ScenePerson, b: ScenePerson) -> float | None:
    """The smallest distance of a wrist of one to a joint of the other, in trunk lengths of the smaller."""
    distances = []
    for person, other in ((a, b), (b, a)):
        smaller_size = (
            None
            if person.body.size is None or other.body.size is None
            else min(person.body.size, other.body.size)
        )
        for side in SIDES:
            wrist = person.body[f"{side} wrist"]
            if wrist is not None and smaller_size is not None and other.body.points:
                distances.append(float(np.linalg.norm(other.joints - wrist, axis=1).min()) / smaller_size)
    return min(distances) if distances else None


def _thing_facts(person: ScenePerson, thing: Thing, is_closest: bool | None) -> list[Fact]:
    body, part = person.body, f"{person.name}, {thing.name}"
    facts = []
    if thing.name in CARRIED:
        at_hands = []
        longest = None if body.size is None else max(thing.box.w, thing.box.h) / body.size
        fits = judge(longest, *(IN_HAND_LONG if thing.name in LONG else IN_HAND))
        for side in SIDES:
            distance = _distance_to_box(body, f"{side} wrist", thing.box)
            # a hand is a quarter of a trunk beyond the wrist
            value = both(judge(distance, 0.25, 0.6), fits, is_closest)
            at_hands.append(value)
            facts.append(make_fact(part, f"at the {side} hand", value, near=distance))
        facts.append(make_fact(part, "carried", either(*at_hands)))
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return facts
    left, top, right, bottom = thing.box.xyxy
    if thing.name in SEATS:
        beside_seat = left - 0.2 * size < hips[0] < right + 0.2 * size
        over_seat = bool(beside_seat and top - 0.3 * size < hips[1] < bottom + 0.1 * size)
        facts.append(make_fact(part, "sat on", both(person.facts.value("body: sitting"), over_seat)))
    if thing.name in MOUNTS:
        feet = [p for side in SIDES if (p := body[f"{side} ankle"]) is not None]
        below = None if not feet else negated(judge((max(p[1] for p in feet) - bottom) / size, 0.3, 0.1))
        # with straight legs the person may be on the animal or stand beside it
        bent = None if body_facts(body).value("body: standing") else True
        ridden = both(_hips_above(body, thing.box), below, bent, is_closest)
        facts.append(make_fact(part, "ridden", ridden))
    return facts


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


def _hips_above(body: Body, box: Box) -> bool | None:
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
