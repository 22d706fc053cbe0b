"""The facts of an image: how many people, how they relate to each other, and which objects they use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from posetalk.facts.actions import ENOUGH, MOVES, Said, said_of_people, with_captions
from posetalk.facts.body import SIDES, Body, both, judge
from posetalk.facts.caption import Mention
from posetalk.facts.fact import Fact, Facts, make_fact
from posetalk.facts.person import body_facts
from posetalk.facts.places import place_facts
from posetalk.facts.posture import Support, stands_on_one_line
from posetalk.facts.spread import agreed, exact, has_spread, moved_images, without_hidden
from posetalk.facts.things import merged, sat_on, supports, use_facts
from posetalk.formats.objects import Thing
from posetalk.types import Box, Floats, Person, PoseImage

TOUCH_DISTANCE = 0.15  # trunk lengths
# Captions of two people who touch.
_HOLDS = re.compile(
    r"\b(?:hold(?:s|ing)? hands|shak(?:es?|ing) hands|hugs?|hugging|embrac(?:es?|ing)|kiss(?:es|ing)?|"
    r"arms? around (?:each other|one another|her|him)|cuddl(?:es?|ing)|high.fiv\w+)\b",
    re.IGNORECASE,
)
# With more people than MANY each is compared with the NEAREST only; all pairs would be thousands.
MANY, NEAREST = 50, 8
# Distance of two box centres in mean box widths: from which one is certainly on the left, and below which not.
LEFT_OF = 0.3, 0.15


@dataclass(frozen=True, eq=False)
class ScenePerson:
    """A labelled person of an image.

    name:  `person 1`, counted from the left of the image.
    box:   px of the full image.
    body:  the person's joints.
    facts: the facts of this person alone; what captions say that the person does is `action: running`.
    mentions: the captions' words for this person, of each caption that certainly means this person.
    """

    name: str
    box: Box
    body: Body
    facts: Facts
    mentions: tuple[Mention, ...] = ()

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
    size:   width and height of the image, px; None if it is not known.
    """

    image_id: int
    people: tuple[ScenePerson, ...]
    others: int
    things: tuple[Thing, ...]
    facts: Facts
    size: tuple[int, int] | None = None

    @property
    def main(self) -> str | None:
        """The name of the person whom most captions mean, or else the largest; None without people."""
        if not self.people:
            return None
        return max(self.people, key=lambda person: (len(person.mentions), person.box.area)).name


def scene_facts(
    image: PoseImage,
    keypoint_names: tuple[str, ...],
    things: Sequence[Thing] = (),
    captions: Sequence[str] = (),
) -> Scene:
    """The facts of an image: of each person, between people, and with objects.

    Args:
        image: The image and its labelled people. The file itself is not opened. Where their joints have a spread (of
            predicted people), only what holds within the spread is known, of joints that are not hidden; and how many
            people there are is not.
        keypoint_names: The names of the people's keypoints, as in `PoseSet.keypoint_names`.
        things: The objects of the image, as `read_objects` gives them.
        captions: What people wrote about the image. They are evidence of postures, actions and objects where they
            certainly mean a labelled person.

    Returns:
        The scene. People are named `person 1`, `person 2` from left to right by the centres of their boxes, so that
        names do not depend on the order of the file.
    """
    if has_spread(image):
        image = without_hidden(image)
        moved = [scene_facts(one, keypoint_names, things, captions) for one in moved_images(image)]
        scene = scene_facts(exact(image), keypoint_names, things, captions)
        return _agreed_scene(scene, moved, [p.std is not None for p in _from_left(image)])
    people = [p for p in image.people if not p.is_crowd]
    bodies = {
        f"person {number}": (p.box, Body.from_keypoints(p.keypoints, p.visible, keypoint_names))
        for number, p in enumerate(_from_left(image), 1)
    }
    others = len(people) - len(bodies)
    uses = use_facts(bodies, things)
    using: dict[str, set[str]] = {}
    for fact in uses:
        if fact.value and fact.predicate in ("carried", "ridden"):
            name, _, thing = fact.part.partition(", ")
            using.setdefault(thing, set()).add(name)
    boxes = {name: box for name, (box, _) in bodies.items()}
    said = said_of_people(captions, boxes, others, {thing: frozenset(who) for thing, who in using.items()})
    ridden = {f.part for f in uses if f.value and f.predicate == "ridden"}
    grounded = _on_the_same_ground({name: body for name, (_, body) in bodies.items()})
    scene_people = tuple(
        ScenePerson(
            name,
            box,
            body,
            _person_facts(name, body, said[name], things, ridden, name in grounded),
            tuple(said[name].mentions),
        )
        for name, (box, body) in bodies.items()
    )
    facts = [
        make_fact("picture", "one person", len(people) == 1),
        make_fact("picture", "several people", len(people) > 1),
    ]
    holds = sum(bool(_HOLDS.search(text)) for text in captions) if len(people) == 2 else 0
    for first, second in _pairs(scene_people):
        facts += _pair_facts(first, second, holds, len(captions))
    facts += uses
    for person in scene_people:
        facts += sat_on(person.name, person.body, person.facts.value("body: sitting"), things)
    joined = with_captions(merged(facts), said)
    size = (image.width, image.height) if image.width and image.height else None
    joined |= {fact.key: fact for fact in place_facts(bodies, things, size)}
    return Scene(image.id, scene_people, others, tuple(things), Facts(joined.values()), size)


def _from_left(image: PoseImage) -> list[Person]:
    """The people with labelled keypoints, from left to right."""
    labelled = (p for p in image.people if p.labelled.any() and not p.is_crowd)
    return sorted(labelled, key=lambda p: (p.box.center, p.id))


def _agreed_scene(scene: Scene, moved: Sequence[Scene], spread: Sequence[bool]) -> Scene:
    """The scene with only the facts that hold in the moved ones, too. spread: which of its people have moved."""
    people = tuple(
        replace(person, facts=agreed(person.facts, [other.people[number].facts for other in moved]))
        if spread[number]
        else person
        for number, person in enumerate(scene.people)
    )
    facts = agreed(scene.facts, [other.facts for other in moved])
    # a detector misses people, and finds some twice
    uncounted = (replace(f, value=None) if f.part == "picture" else f for f in facts)
    return replace(scene, people=people, facts=Facts(uncounted))


def _person_facts(
    name: str, body: Body, said: Said, things: Sequence[Thing], ridden: Collection[str], ground: bool
) -> Facts:
    """The facts of a person with what captions, objects and the others say of the posture."""
    rides = any(part.startswith(f"{name}, ") for part in ridden) or any(
        relation == "ridden" for _, relation in said.things
    )
    moves = rides or any(said.actions.get(action) for action in MOVES)
    calm = bool(said.captions) and not said.told.moving
    support = Support(
        said.captions, said.postures, supports(body, things), moves,
        said.told.anybody, said.told.everybody, calm, ground,
    )  # fmt: skip
    of_body = body_facts(body, support)
    if rides:  # hands that hold a handlebar or reins look as if they hung, or lay on the knees
        unsure = ("hanging down", "at the knee", "at the hip", "below the hip")
        of_body = Facts(replace(f, value=None) if f.predicate in unsure else f for f in of_body)
    # people write skiing of a snowboard
    names = {thing.name for thing in things}
    off = {
        f"action: {action}"
        for action, used, other in (("skiing", "skis", "snowboard"), ("snowboarding", "snowboard", "skis"))
        if other in names and used not in names
    }
    return Facts([*of_body, *(fact for fact in said.facts() if fact.key not in off)])


def _on_the_same_ground(bodies: Mapping[str, Body]) -> frozenset[str]:
    """The names of those who look like standing, as somebody of about their size does with the feet not far off."""
    rows = [
        (name, float(max(left[1], right[1])), body.size)
        for name, body in bodies.items()
        if (left := body["left ankle"]) is not None
        and (right := body["right ankle"]) is not None
        and body.size is not None
        and stands_on_one_line(body)
    ]
    return frozenset(
        name
        for name, feet, size in rows
        if any(
            other != name and abs(feet - level) < size and 0.6 < size / width < 1.7
            for other, level, width in rows
        )
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


def _pair_facts(a: ScenePerson, b: ScenePerson, holds: int, captions: int) -> list[Fact]:
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
        _touching(a, b, sizes, reach, holds, captions),
    ]


def _touching(
    a: ScenePerson, b: ScenePerson, sizes: float | None, reach: float | None, holds: int, captions: int
) -> Fact:
    """Whether two people touch: a hand is at the other's limb and both are equally far away, or captions say it.

    Boxes that overlap, and a hand in front of somebody further away, show nothing: sizes and feet must agree.
    """
    part = f"{a.name}, {b.name}"
    feet = [
        max((float(p[1]) for s in SIDES if (p := x.body[f"{s} ankle"]) is not None), default=None)
        for x in (a, b)
    ]
    size = min(a.body.size or 0.0, b.body.size or 0.0)
    level = feet[0] is not None and feet[1] is not None and abs(feet[0] - feet[1]) < 0.25 * size
    near = both(judge(reach, TOUCH_DISTANCE, 0.5), judge(sizes, 0.6, 0.4), judge(sizes, 1.6, 2.2))
    alike = sizes is not None and 0.8 < sizes < 1.25
    fact = make_fact(part, "touching", near if near is False or (alike and level) else None, reach=reach)
    if holds >= min(ENOUGH, captions) > 0 and near is not False:
        evidence = (*fact.evidence, f"captions {holds} of {captions}")
        return replace(fact, value=True, evidence=evidence)
    return fact


def _hand_distance(a: ScenePerson, b: ScenePerson) -> float | None:
    """The smallest distance of a visible hand of one to a joint of the other, in trunk lengths of the smaller."""
    distances = []
    for person, other in ((a, b), (b, a)):
        smaller_size = (
            None
            if person.body.size is None or other.body.size is None
            else min(person.body.size, other.body.size)
        )
        for side in SIDES:
            wrist = person.body.hand(side)
            if wrist is not None and smaller_size is not None and other.body.points:
                if f"{side} wrist" in person.body.hidden:
                    continue
                distances.append(float(np.linalg.norm(other.joints - wrist, axis=1).min()) / smaller_size)
    return min(distances) if distances else None
