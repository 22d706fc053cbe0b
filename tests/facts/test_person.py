"""The facts of stick figures whose joints are put where their names say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.facts.figures import WIDE, Points, figure

from posetalk.errors import PosetalkError
from posetalk.facts.body import Body, both, either, judge
from posetalk.facts.limbs import BENDS
from posetalk.facts.person import body_facts, pose_facts
from posetalk.facts.posture import EXCLUDED, POSTURES, Support
from posetalk.skeleton import load_skeleton
from posetalk.types import frozen_array

COCO = load_skeleton("coco17")


def body(points: Points, hidden: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> Body:
    xy = np.array([points[name] for name in COCO.names])
    flags = [0 if n in missing else 1 if n in hidden else 2 for n in COCO.names]
    return Body.from_keypoints(frozen_array(xy), frozen_array(flags), COCO.names)


STANDING = figure()
SEATED = figure(thighs=(90, 90), shins=(0, 0), wide=20)
POSES = {
    "standing": STANDING,
    "sitting on a chair": SEATED,
    "sitting, seen from the front": figure(thighs=(20, -20), shins=(0, 0), short=0.3),
    "sitting on the ground": figure(thighs=(80, 80), shins=(85, 85), wide=20),
    "squatting": figure(trunk=160, thighs=(95, 95), shins=(-40, -40), wide=20),
    "kneeling": figure(thighs=(0, 0), shins=(-85, -85), wide=20),
    "lying": figure(trunk=90, thighs=(-90, -90), shins=(-90, -90), wide=10),
    "bending over": figure(trunk=100, wide=10),
    "upside down": figure(trunk=0, thighs=(180, 180), shins=(180, 180)),
}


@pytest.mark.parametrize(
    ("pose", "posture"),
    [
        ("standing", "standing"),
        ("sitting on a chair", "sitting"),
        ("sitting, seen from the front", "sitting"),
        ("sitting on the ground", "sitting"),
        ("squatting", "squatting"),
        ("kneeling", "kneeling"),
        ("lying", "lying"),
        ("bending over", "bending over"),
        ("upside down", None),
    ],
)
def test_postures(pose: str, posture: str | None) -> None:
    """The joints fit it; but for standing it is only said where a caption says it too."""
    support = Support(5, {posture: 1} if posture else {})
    facts = body_facts(body(POSES[pose]), support)
    assert [p for p in POSTURES if facts.value(f"body: {p}")] == ([posture] if posture else [])
    alone = body_facts(body(POSES[pose]))
    assert [p for p in POSTURES if alone.value(f"body: {p}")] == (
        ["standing"] if posture == "standing" else []
    )
    if posture:
        assert all(facts.value(f"body: {p}") is False for p in EXCLUDED[posture])


def test_a_hand_far_out_may_leap() -> None:
    """Then joints alone do not say that somebody stands; a caption still does."""
    points = figure(uppers=(0, -90), fores=(0, -90))
    assert body_facts(body(points)).value("body: standing") is None
    assert body_facts(body(points), Support(5, {"standing": 1})).value("body: standing") is True


LIMBS = [
    (figure(), "left knee: straight", True),
    (figure(shins=(40, 0)), "left knee: straight", False),
    (figure(shins=(45, 0)), "left knee: slightly bent", True),
    (figure(fores=(90, 0)), "left elbow: bent at a right angle", True),
    (figure(fores=(0, -150)), "right elbow: sharply bent", True),
    (figure(fores=(0, -150)), "right elbow: straight", False),
    (figure(uppers=(160, -160), fores=(170, -170)), "arms: raised", True),
    (figure(uppers=(160, 0), fores=(170, 0)), "arms: raised", False),
    (figure(uppers=(160, 0), fores=(170, 0)), "left arm: raised", True),
    (figure(uppers=(160, -160), fores=(170, -170)), "left hand: above the head", True),
    (figure(), "left hand: above the head", False),
    (figure(), "right arm: hanging down", True),
    (figure(uppers=(90, -90), fores=(90, -90)), "arms: stretched out to the side", True),
    (figure(), "arms: stretched out to the side", False),
    (figure(uppers=(20, -20), fores=(-65, 65)), "arms: on the hips", True),
    (figure(uppers=(90, -90), fores=(90, -90)), "arms: on the hips", False),
    (figure(uppers=(-10, 10), fores=(-95, 95)), "arms: crossed", True),
    (figure(), "arms: crossed", False),
    (figure(thighs=(25, -25), shins=(25, -25)), "legs: apart", True),
    (figure(thighs=(-4, 4), shins=(-4, 4)), "legs: apart", False),
    (figure(thighs=(-15, 15), shins=(-15, 15)), "legs: crossed", True),
    (figure(), "legs: crossed", False),
    (figure(thighs=(30, -30), shins=(30, -30), wide=15), "legs: in a stride", True),
    (figure(thighs=(-5, 5), shins=(-5, 5)), "legs: together", True),
    (figure(thighs=(80, 0), shins=(-60, 0)), "left foot: lifted", True),
    (figure(thighs=(80, 0), shins=(-60, 0)), "right foot: lifted", None),
    (figure(thighs=(80, 80), shins=(-60, 0)), "left foot: lifted", None),
    (figure(), "left foot: lifted", False),
    (figure(), "body: facing the camera", True),
    (figure(), "body: facing away", False),
    (figure(wide=45), "body: facing the camera", None),
    (figure(wide=45), "body: facing roughly the camera", True),
    (figure(wide=-45), "body: facing roughly the camera", None),
    (figure(wide=10, nose=(25, 0)), "body: facing right", True),
    (figure(wide=10, nose=(25, 0)), "body: facing left", False),
    (figure(wide=10, nose=(-25, 0)), "body: facing left", True),
    (figure(nose=(12, 0)), "head: turned to the left", True),
    (figure(nose=(-12, 0)), "head: turned to the right", True),
    (figure(), "head: straight", True),
    (figure(trunk=150), "trunk: leaning", True),
    (figure(), "trunk: upright", True),
    (figure(trunk=90, wide=10), "trunk: level", True),
    (POSES["upside down"], "trunk: upside down", True),
]


@pytest.mark.parametrize(("points", "key", "holds"), LIMBS, ids=lambda v: v if isinstance(v, str) else "")
def test_limbs(points: Points, key: str, holds: bool) -> None:
    fact = body_facts(body(points))[key]
    assert fact.value is holds, fact.numbers


@pytest.mark.parametrize(
    ("points", "missing", "key"),
    [
        # squatting on the heels, and jumping with the knees drawn up
        (figure(trunk=170, thighs=(110, 110), shins=(-30, -30), wide=40), (), "body: sitting"),
        (figure(thighs=(125, -125), shins=(20, -20)), (), "body: sitting"),
        # low on bent legs, leaning forward
        (figure(trunk=150, thighs=(80, 80), shins=(-10, -10), wide=20), (), "body: sitting"),
        # walking
        (figure(thighs=(25, -25), shins=(25, -25), wide=15), (), "body: standing"),
        # kneeling beside something, seen from the side
        (
            figure(trunk=155, thighs=(60, 60), shins=(-60, -60), wide=20)
            | {"left hip": np.array([330.0, 290]), "right hip": np.array([280.0, 300])}
            | {"left ankle": np.array([270.0, 380]), "right ankle": np.array([300.0, 380])},
            (),
            "legs: crossed",
        ),
        # the forearms lie on a table
        (figure(uppers=(-10, 10), fores=(-95, 95)), ("left hip", "right hip"), "arms: crossed"),
    ],
)
def test_what_only_looks_like_it_is_not_said(points: Points, missing: tuple[str, ...], key: str) -> None:
    fact = body_facts(body(points, missing=missing))[key]
    assert fact.value is not True, fact.numbers


def test_seen_from_behind_there_is_no_face() -> None:
    face = ("nose", "left eye", "right eye")
    facts = body_facts(body(figure(wide=-WIDE), missing=face))
    assert facts.value("body: facing away") is True and facts.value("body: facing the camera") is False


def test_one_point_of_a_face_is_a_face() -> None:
    """And without any the head is turned, or covered: where the chest is to the camera nothing is known."""
    eyes = ("left eye", "right eye")
    assert body_facts(body(STANDING, missing=eyes)).value("body: facing the camera") is True
    assert body_facts(body(STANDING, missing=(*eyes, "nose"))).value("body: facing the camera") is None


def test_a_foreshortened_limb_is_not_called_straight() -> None:
    # Both thighs point at the camera: their projections lie in one line with the shins.
    facts = body_facts(body(figure(short=0.3)))
    assert facts.value("left knee: straight") is None


def test_what_cannot_be_seen_is_not_known() -> None:
    legs = tuple(f"{s} {j}" for s in ("left", "right") for j in ("knee", "ankle"))
    facts = body_facts(body(STANDING, missing=legs))
    assert not any(facts.value(f"body: {p}") for p in POSTURES)
    assert facts.value("left knee: straight") is None and facts.value("left knee: hidden") is None
    assert body_facts(body(STANDING, hidden=("left knee",))).value("left knee: hidden") is True
    nothing = body_facts(body(STANDING, missing=COCO.names))
    assert not nothing.true and all(fact.value is not False for fact in nothing)


def test_a_fact_has_its_numbers() -> None:
    numbers = dict(body_facts(body(figure(fores=(90, 0))))["left elbow: bent at a right angle"].numbers)
    assert numbers["angle"] == pytest.approx(90)


directions = st.floats(-180, 180)
pairs = st.tuples(directions, directions)
figures = st.builds(
    figure, trunk=directions, thighs=pairs, shins=pairs, uppers=pairs, fores=pairs,
    wide=st.floats(-80, 80).filter(lambda v: abs(v) > 1), nose=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
    short=st.floats(0.1, 1),
)  # fmt: skip


def values(points: Points, **given: tuple[str, ...]) -> dict[str, bool | None]:
    return {fact.key: fact.value for fact in body_facts(body(points, **given))}


@settings(max_examples=60, deadline=None)
@given(figures, st.floats(0.2, 5), st.tuples(st.floats(-900, 900), st.floats(-900, 900)))
def test_size_and_place_in_the_image_change_no_fact(
    points: Points, scale: float, shift: tuple[float, float]
) -> None:
    moved = {name: xy * scale + shift for name, xy in points.items()}
    before, after = values(points), values(moved)
    # rounding may push a number that sits on a threshold over it, never from true to false
    assert not [k for k in before if {before[k], after[k]} == {True, False}]
    rng = np.random.default_rng(0)
    nudged = [values({name: xy + rng.normal(0, 1e-6, 2) for name, xy in points.items()}) for _ in range(4)]
    steady = [k for k in before if all(before[k] is some[k] for some in nudged)]
    assert not [k for k in steady if before[k] is not after[k]]


def exchanged(text: str) -> str:
    return re.sub(
        r"\b(left|right)\b(?! angle)", lambda found: "right" if found[1] == "left" else "left", text
    )


# both are at one hand
BOTH_KNEES = figure(thighs=(-51, 0), trunk=-86, fores=(109, 0), wide=18, nose=(0, 0), short=0.5)


@settings(max_examples=60, deadline=None)
@given(figures)
@example(BOTH_KNEES)
def test_a_mirrored_image_exchanges_left_and_right(points: Points) -> None:
    mirrored = {exchanged(name): xy * (-1, 1) + (600, 0) for name, xy in points.items()}
    before, after = {exchanged(key): holds for key, holds in values(points).items()}, values(mirrored)
    # of how the parts lie to each other only true facts are made: one that is not there is not true
    rng = np.random.default_rng(0)
    nudged = [values({name: xy + rng.normal(0, 1e-6, 2) for name, xy in mirrored.items()}) for _ in range(12)]
    # rounding may push a number that sits on a threshold over it
    keys = before.keys() | after.keys()
    steady = [key for key in keys if all(after.get(key) is some.get(key) for some in nudged)]
    assert not [key for key in steady if before.get(key) is not after.get(key)]


@settings(max_examples=60, deadline=None)
@given(figures, st.sets(st.sampled_from(COCO.names)))
def test_hiding_joints_never_turns_a_fact_round(points: Points, gone: set[str]) -> None:
    whole, some = values(points), values(points, missing=tuple(gone))
    skipped = ("body: facing", "head:", "hand: at")  # by the nearest of what is left
    # the size of the body is known less well, and with it every length
    turned = [
        key
        for key, holds in whole.items()
        if {holds, some.get(key)} == {True, False}
        and not any(s in key for s in skipped)
        and "hidden" not in key
    ]
    angles = [
        key
        for key in turned
        if key.startswith(("trunk", "left elbow", "right elbow", "left knee", "right knee"))
    ]
    assert not [key for key in angles if "straight" in key or key.startswith("trunk")]


def test_one_bend_at_most() -> None:
    for degrees in range(0, 181, 3):
        facts = body_facts(body(figure(fores=(degrees, 0))))
        assert sum(facts.value(f"left elbow: {bend}") is True for bend in BENDS) <= 1


@pytest.mark.parametrize(
    ("values", "conjunction", "disjunction"),
    [
        ((True, True), True, True),
        ((True, False), False, True),
        ((True, None), None, True),
        ((False, None), False, None),
        ((None, None), None, None),
        ((False, False), False, False),
    ],
)
def test_three_values(
    values: tuple[bool | None, ...], conjunction: bool | None, disjunction: bool | None
) -> None:
    for order in (values, values[::-1]):
        assert both(*order) is conjunction and either(*order) is disjunction


def test_between_the_thresholds_nothing_is_known() -> None:
    assert [judge(v, 2, 1) for v in (2.5, 2, 1.5, 1, 0)] == [True, True, None, False, False]
    assert [judge(v, 1, 2) for v in (2.5, 2, 1.5, 1, 0)] == [False, False, None, True, True]
    assert judge(None, 1, 2) is None


def test_facts_of_an_array_are_those_of_the_body() -> None:
    xy = np.array([SEATED[name] for name in COCO.names])
    flags = np.array([2] * 15 + [1, 0])
    facts = [
        pose_facts(xy, COCO.names, flags),
        pose_facts(np.column_stack([xy, flags]).tolist(), [name.replace(" ", "_") for name in COCO.names]),
    ]
    expected = list(body_facts(body(SEATED, hidden=("left ankle",), missing=("right ankle",))))
    assert [list(f) for f in facts] == [expected] * 2
    assert facts[0].value("trunk: upright") is True and facts[0].value("left ankle: hidden") is True
    assert facts[0].value("right ankle: hidden") is None and facts[0].value("no such fact") is None


def test_visible_of_poses_and_missing_predictions_are_understood() -> None:
    xy = np.array([STANDING[name] for name in COCO.names])
    seen = np.arange(17) != 9
    assert pose_facts(xy, COCO.names, seen).value("left wrist: hidden") is True
    xy[9] = np.nan
    assert pose_facts(xy, COCO.names).value("left wrist: hidden") is None
    assert pose_facts(xy, COCO.names).value("body: standing") is True


@pytest.mark.parametrize(
    ("keypoints", "names", "visible", "word"),
    [
        (np.zeros((2, 2)), ["nose"], None, "shape"),
        (np.zeros((2, 4)), ["nose", "left eye"], None, "shape"),
        ([[1, 2], [3]], ["nose", "left eye"], None, "numbers"),
        (np.zeros((2, 3)), ["nose", "left eye"], [2, 2], "twice"),
        (np.zeros((2, 2)), ["nose", "left eye"], [2], "flags"),
        (np.zeros((2, 2)), ["nose", "left eye"], [2, 3], "flags"),
        (np.zeros((2, 2)), ["nose", "Nose"], None, "same name"),
        ([[np.nan, 0], [1, 1]], ["nose", "left eye"], [2, 2], "finite"),
    ],
)
def test_keypoints_that_are_no_pose_are_refused(
    keypoints: object, names: list[str], visible: object, word: str
) -> None:
    with pytest.raises(PosetalkError, match=word):
        pose_facts(keypoints, names, visible)  # type: ignore[arg-type]
