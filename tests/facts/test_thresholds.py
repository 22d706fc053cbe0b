"""Where facts turn from true to not known to false: worked out here, by other code, from what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.facts.figures import figure

from posetalk.facts.body import Body
from posetalk.facts.fact import Facts
from posetalk.facts.person import body_facts
from posetalk.facts.scene import scene_facts
from posetalk.formats.objects import Thing
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array

NAMES = load_skeleton("coco17").names
# Fact -> what each of its numbers must be: (number, true from, false from), in the facts' units. `|x|`: without sign;
# `-x`: turned round. Where one is false the fact is, and where one lies between it is not known.
Rule = tuple[str, float, float]
RULES: dict[str, tuple[Rule, ...]] = {
    "trunk: leaning": (("lean", 22, 12), ("lean", 55, 65)),
    "trunk: level": (("lean", 70, 55), ("lean", 110, 125)),
    "trunk: upside down": (("lean", 130, 60),),
    "head: turned to the left": (("turn", 0.7, 0.3),),
    "head: turned to the right": (("-turn", 0.7, 0.3),),
    "head: straight": (("|turn|", 0.3, 0.7),),
    "feet: on one line": (("|higher|", 0.12, 0.4),),
    "left hand: above the head": (("distance", 0.25, 0.0),),
    "right hand: below the hip": (("distance", 0.15, -0.05),),
}
# Those that need more than their numbers: true only where the numbers let it, but not known for other reasons too.
NEEDED: dict[str, tuple[Rule, ...]] = {
    "trunk: upright": (("lean", 12, 22),),
    "left arm: raised": (("-wrist", 0.2, -0.05), ("elbow", 0.1, 0.3)),
    "left foot: lifted": (("higher", 0.4, 0.15),),
    "right foot: lifted": (("-higher", 0.4, 0.15),),
    "legs: together": (("gap", 0.2, 0.4),),
    "right arm: hanging down": (("tilt", 25, 40), ("wrist", 0.8, 0.6)),
}
SLIP = 0.002  # numbers are rounded


def body(**pose: object) -> Body:
    xy = np.array([figure(**pose)[name] for name in NAMES])  # type: ignore[arg-type]
    return Body.from_keypoints(frozen_array(xy), frozen_array([2] * 17), NAMES)


@pytest.fixture(scope="module")
def drawn() -> list[Facts]:
    """Of 500 figures whose limbs go anywhere."""
    draw, found = np.random.default_rng(0), []
    for _ in range(500):
        pairs = {part: tuple(draw.uniform(-180, 180, 2)) for part in ("thighs", "shins", "uppers", "fores")}
        if draw.random() < 0.6:  # feet that are somewhere below
            pairs |= {part: tuple(draw.uniform(-30, 30, 2)) for part in ("thighs", "shins")}
        if draw.random() < 0.4:
            pairs |= {part: tuple(draw.uniform(-40, 40, 2)) for part in ("uppers", "fores")}
        trunk = draw.choice([180, draw.uniform(0, 360)])
        nose, wide = (draw.uniform(-20, 20), 0.0), draw.choice([70, -70, 20])
        found.append(body_facts(body(trunk=trunk, nose=nose, wide=wide, **pairs)))
    return found


@pytest.mark.parametrize("key", RULES)
def test_facts_follow_from_their_numbers(drawn: list[Facts], key: str) -> None:
    seen: Counter[bool | None] = Counter()
    for facts in drawn:
        numbers = dict(facts[key].numbers)
        parts: list[bool | None] = []
        for number, true, false in RULES[key]:
            value = numbers.get(number.strip("-|"))
            if value is None:
                break
            value = -value if number[0] == "-" else abs(value) if number[0] == "|" else value
            if min(abs(value - true), abs(value - false)) < SLIP:
                break
            up = 1 if true > false else -1
            parts.append(True if up * value > up * true else False if up * value < up * false else None)
        else:
            holds = False if False in parts else None if None in parts else True
            assert facts[key].value is holds, facts[key]
            seen[holds] += 1
    assert min(seen[True], seen[False], seen[None]) >= 5, seen


@pytest.mark.parametrize("key", NEEDED)
def test_what_is_true_has_the_numbers_for_it(drawn: list[Facts], key: str) -> None:
    seen = 0
    for facts in drawn:
        if facts.value(key):
            numbers = dict(facts[key].numbers)
            for number, true, false in NEEDED[key]:
                value = -numbers[number[1:]] if number[0] == "-" else numbers[number]
                assert value > true - SLIP if true > false else value < true + SLIP
            seen += 1
    assert seen >= (1 if "hanging" in key else 5)


def holds(key: str, **pose: object) -> bool | None:
    return body_facts(body(**pose)).value(key)


# In degrees: the elbow's angle is 180 less what the forearm turns.
BENT = {
    "straight": ((180, True), (163, True), (161, None), (151, None), (149, False), (60, False)),
    "slightly bent": (
        (161, False), (159, None), (146, None), (144, True), (126, True), (124, None), (111, None), (109, False),
    ),
    "bent at a right angle": (
        (121, False), (119, None), (106, None), (104, True), (81, True), (79, None), (66, None), (64, False),
    ),
    "sharply bent": ((76, False), (74, None), (61, None), (59, True), (20, True)),
}  # fmt: skip


@pytest.mark.parametrize("says", BENT)
def test_how_far_a_limb_bends(says: str) -> None:
    for angle, wanted in BENT[says]:
        assert holds(f"left elbow: {says}", uppers=(90, 0), fores=(90 - 180 + angle, 0)) is wanted, angle
        assert holds(f"left knee: {says}", thighs=(90, 0), shins=(90 - 180 + angle, 0), wide=70) is wanted, (
            angle
        )


@pytest.mark.parametrize(
    ("wide", "front", "roughly"),
    # shoulders are 75 px wide where nothing is turned: 75 % of it, 55 and 25
    [
        (70, True, None), (57, True, None), (55.5, None, True), (42, None, True), (40.5, None, None),
        (19.5, None, None), (18, None, None),
    ],
)  # fmt: skip
def test_how_far_one_may_be_turned_from_the_camera(
    wide: float, front: bool | None, roughly: bool | None
) -> None:
    facts = body_facts(body(wide=wide))
    assert (facts.value("body: facing the camera"), facts.value("body: facing roughly the camera")) == (
        front, roughly,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pose", "wanted"),
    [
        ({}, True), ({"thighs": (12, 12), "shins": (-12, -12)}, True),
        ({"thighs": (13, 13), "shins": (-13, -13)}, None), ({"trunk": 170}, True),
        ({"trunk": 146}, None),
    ],
)  # fmt: skip
def test_how_bent_one_stands(pose: dict[str, object], wanted: bool | None) -> None:
    """Knees of 155 degrees and more, and a trunk that leans by 35 at most."""
    assert holds("body: standing", **pose) is wanted


def pair(first: dict[str, object], second: dict[str, object], by: float = 1.0) -> Facts:
    people = []
    for number, (pose, scale) in enumerate(((first, 1.0), (second, by))):
        points = figure(**pose)  # type: ignore[arg-type]
        xy = np.array([points[name] * scale for name in NAMES])
        people.append(Person(number, Box.around(xy), frozen_array(xy), frozen_array([2] * 17), 1e5))
    return scene_facts(PoseImage(1, Path("a.jpg"), 2000, 900, tuple(people)), NAMES).facts


@pytest.mark.parametrize(
    ("gap", "touching"), [(5, True), (13, True), (18, None), (45, None), (54, False), (90, False)]
)
def test_how_near_people_touch(gap: float, touching: bool | None) -> None:
    """An arm level to the right, and the other's right shoulder so many hundredths of a trunk beyond its hand."""
    reach = figure(uppers=(90, 0), fores=(90, 0))
    body = Body.from_keypoints(
        frozen_array([reach[name] for name in NAMES]),
        frozen_array([2] * 17),
        NAMES,
    )
    hand, there = body.hand("left"), figure()["right shoulder"]
    assert body.size is not None and hand is not None
    at = np.array((300.0 + hand[0] - there[0] + gap / 100 * body.size, 300.0))
    found = pair({"uppers": (90, 0), "fores": (90, 0)}, {"at": tuple(at)})
    assert found.value("person 1, person 2: touching") is touching


@pytest.mark.parametrize(
    ("by", "key", "wanted"),
    [
        (1.65, "second is nearer", True), (1.55, "second is nearer", None), (1.25, "second is nearer", None),
        (1.15, "second is nearer", False), (1.0, "first is nearer", False), (1 / 1.65, "first is nearer", True),
        (1 / 1.55, "first is nearer", None), (1 / 1.25, "first is nearer", None), (1 / 1.15, "first is nearer", False),
    ],
)  # fmt: skip
def test_how_much_larger_the_nearer_looks(by: float, key: str, wanted: bool | None) -> None:
    assert pair({}, {"at": (900, 300)}, by).value(f"person 1, person 2: {key}") is wanted


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.05, False), (0.14, False), (0.16, None), (0.29, None), (0.31, True), (2.0, True)]
)
def test_how_far_apart_somebody_is_on_the_left(share: float, wanted: bool | None) -> None:
    """Centres of boxes that are equally wide."""
    wide = Box.around(np.array([figure()[name] for name in NAMES])).w
    found = pair({}, {"at": (300 + share * wide, 300)})
    assert found.value("person 1, person 2: first on the left") is wanted


def thing(make: Callable[[np.ndarray, float], Thing]) -> Facts:
    """Of one who stands, and a thing that is made from where the left wrist is and a trunk's length."""
    points = figure()
    xy = np.array([points[name] for name in NAMES])
    one = Person(1, Box.around(xy), frozen_array(xy), frozen_array([2] * 17), 1e5)
    size = Body.from_keypoints(one.keypoints, one.visible, NAMES).size
    assert size is not None
    things = (make(points["left wrist"], size),)
    return scene_facts(PoseImage(1, Path("a.jpg"), 900, 600, (one,)), NAMES, things).facts


@pytest.mark.parametrize(
    ("away", "wanted"), [(0.0, True), (0.24, True), (0.26, None), (0.59, None), (0.61, False)]
)
def test_how_far_from_the_wrist_a_thing_is_held(away: float, wanted: bool | None) -> None:
    facts = thing(lambda wrist, size: Thing("frisbee", Box(wrist[0] + away * size, wrist[1] - 20, 30, 40)))
    assert facts.value("person 1, frisbee: at the left hand") is wanted


@pytest.mark.parametrize(
    ("name", "long", "wanted"),
    [
        ("frisbee", 1.15, True), ("frisbee", 1.25, None), ("frisbee", 1.75, None), ("frisbee", 1.85, False),
        ("tennis racket", 4.4, True), ("tennis racket", 4.6, None), ("tennis racket", 5.9, None),
        ("tennis racket", 6.1, False),
    ],
)  # fmt: skip
def test_how_long_a_thing_in_a_hand_looks(name: str, long: float, wanted: bool | None) -> None:
    facts = thing(lambda wrist, size: Thing(name, Box(wrist[0] - 5, wrist[1] - 5, 10, long * size)))
    assert facts.value(f"person 1, {name}: at the left hand") is wanted
