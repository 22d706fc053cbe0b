"""A place on a drawn body in words: by table, mirrored, moved, and where nothing can be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk import Box, Localizer, Poses, PosetalkError, body_points, describe_point
from posetalk.skeleton import load_skeleton, swap_sides

COCO = load_skeleton("coco17")
# A person who stands and faces the camera: the left side is to the right in the image.
STANDING = {
    "nose": (100, 40), "left eye": (106, 35), "right eye": (94, 35), "left ear": (113, 38), "right ear": (87, 38),
    "left shoulder": (130, 80), "right shoulder": (70, 80), "left elbow": (140, 130), "right elbow": (60, 130),
    "left wrist": (145, 175), "right wrist": (55, 175), "left hip": (118, 170), "right hip": (82, 170),
    "left knee": (120, 235), "right knee": (80, 235), "left ankle": (121, 300), "right ankle": (79, 300),
}  # fmt: skip
BACK = {
    **{name: STANDING[swap_sides(name)] for name in STANDING},
    "nose": None,
    "left eye": None,
    "right eye": None,
}


def poses_of(*people: dict[str, tuple[float, float] | None], shift: float = 0.0) -> Poses:
    """Located poses; a keypoint of None has the score 0. shift: px to the right from one person to the next."""
    xy = np.array(
        [
            [np.add(person[name] or (0, 0), (shift * number, 0)) for name in COCO.names]
            for number, person in enumerate(people)
        ],
        np.float64,
    )
    score = np.array([[0.9 if person[name] else 0.0 for name in COCO.names] for person in people])
    boxes = tuple(Box(45 + shift * number, 10, 110, 310) for number in range(len(people)))
    return Poses(xy, score, COCO.names, boxes)


@pytest.mark.parametrize(
    ("xy", "name", "sentence"),
    [
        ((140, 131), "left elbow", "the person's left elbow, the bend of the left arm"),
        ((100, 41), "nose", "the person's nose, in the middle of the face"),
        (
            (142, 150),
            "left forearm",
            "the middle of the person's left forearm, halfway between elbow and wrist",
        ),
        (
            (148, 145),
            "left forearm",
            "the outer side of the person's left forearm, a third of the way from elbow to wrist",
        ),
        (
            (136, 146),
            "left forearm",
            "the inner side of the person's left forearm, a third of the way from elbow to wrist",
        ),
        (
            (58, 141),
            "right forearm",
            "the person's right forearm near the elbow, a quarter of the way from elbow to wrist",
        ),
        ((119, 202), "left thigh", "the front of the person's left thigh, halfway between hip and knee"),
        ((79, 268), "right shin", "the middle of the person's right shin, halfway between knee and ankle"),
        ((100, 145), "navel", "the person's navel, in the middle of the belly"),
        ((100, 102), "middle of the chest", "the middle of the person's chest, on the breastbone"),
        ((147, 190), "left hand", "the person's left hand, between the left wrist and the fingers"),
        ((99, 18), "top of the head", "the top of the person's head, the highest point of the head"),
        ((110, 54), "chin", None),
        ((300, 100), "not on a person", "not on a person"),
    ],
)
def test_places_on_a_body_that_faces_the_camera(
    xy: tuple[float, float], name: str, sentence: str | None
) -> None:
    words = describe_point(poses_of(STANDING), xy)
    if sentence is not None:
        assert (words.name, words.sentence) == (name, sentence)
    assert (words.person is None) == (words.name == "not on a person") == (words.index is None)


@pytest.mark.parametrize(
    ("xy", "name"),
    [
        ((100, 145), "lower back"),
        ((100, 97), "upper back"),
        ((79, 268), "left calf"),
        ((120, 97), "right shoulder blade"),
    ],
)
def test_from_behind_the_back_is_named(xy: tuple[float, float], name: str) -> None:
    assert describe_point(poses_of(BACK), xy).name == name


def test_where_the_trunk_faces_is_not_known_neither_front_nor_back_is_said() -> None:
    hidden = {**STANDING, **dict.fromkeys(("nose", "left eye", "right eye", "left ear", "right ear"))}
    words = describe_point(poses_of(hidden), (100, 145))
    assert words.evidence["facing"] is None and words.part == "middle of the trunk"
    shin = describe_point(poses_of(hidden), (74, 268))
    assert shin.phrase == "the middle of the person's right lower leg"  # neither outer nor inner


@settings(max_examples=60, deadline=None)
@given(x=st.floats(40, 160), y=st.floats(5, 330), scale=st.floats(0.3, 8), dx=st.floats(-500, 500))
def test_a_moved_photo_says_the_same_and_a_mirrored_one_the_other_side(
    x: float, y: float, scale: float, dx: float
) -> None:
    poses = poses_of(STANDING)
    words = describe_point(poses, (x, y))
    moved = replace(
        poses,
        xy=poses.xy * scale + dx,
        boxes=tuple(Box(*(np.array(b.xywh) * scale + [dx, dx, 0, 0])) for b in poses.boxes),
    )
    again = describe_point(moved, (x * scale + dx, y * scale + dx))
    order = list(COCO.flip_order)
    mirrored = replace(poses, xy=(poses.xy * [-1, 1] + [200, 0])[:, order])
    other = describe_point(mirrored, (200 - x, y))
    cost, rival = words.evidence["cost"], words.evidence["or"]
    if cost is not None and (abs(cost - 1.3) < 1e-6 or (rival and rival["cost"] - cost < 1e-6)):
        return  # two descriptions fit alike
    assert again.sentence == words.sentence and again.certain == words.certain
    assert other.sentence == swap_sides(words.sentence)
    assert other.side == (swap_sides(words.side) if words.side else None)


def test_people_are_told_apart_and_named() -> None:
    captions = ["A man stands.", "A man in a park."]
    one = describe_point(poses_of(STANDING), (142, 150), captions=captions)
    assert one.person == "the man" and one.phrase == "the middle of his left forearm"
    assert one.full == "the middle of the left forearm of the man, halfway between elbow and wrist"
    two = poses_of(STANDING, STANDING, shift=150.0)
    left, right = describe_point(two, (142, 150)), describe_point(two, (292, 150))
    assert (left.person, left.index) == ("the person on the left", 0)
    assert (right.person, right.index) == ("the person on the right", 1)
    assert right.full.startswith("the middle of the left forearm of the person on the right")


def test_weak_evidence_is_not_certain() -> None:
    poses = poses_of(STANDING)
    assert describe_point(poses, (142, 150)).certain
    weak = replace(poses, score=np.where(poses.score > 0, 0.4, 0.0))
    assert not describe_point(weak, (142, 150)).certain
    nothing = replace(poses, score=np.zeros_like(poses.score))
    words = describe_point(nothing, (142, 150))
    assert words.part is None and words.index == 0 and not words.certain
    assert "cannot be told" in words.sentence
    with pytest.raises(PosetalkError, match="nothing to locate"):
        words.keypoint()
    twins = poses_of(STANDING, STANDING, shift=0.5)  # two people who fit alike
    assert not describe_point(twins, (142, 150)).certain


@pytest.mark.parametrize(
    ("xy", "message"),
    [((1,), "two numbers"), (("a", 2), "two numbers"), ((float("nan"), 2), "not finite"), (3, "two numbers")],
)
def test_a_point_is_two_finite_numbers(xy: object, message: str) -> None:
    with pytest.raises(PosetalkError, match=message):
        describe_point(poses_of(STANDING), xy)  # type: ignore[arg-type]


def test_poses_without_joints_or_with_boxes_are_refused() -> None:
    poses = poses_of(STANDING)
    with pytest.raises(PosetalkError, match=r"the poses have no left ankle; locate body_points\(\)"):
        describe_point(poses.keypoints(5), (1, 1))
    with pytest.raises(PosetalkError, match="poses are located already"):
        describe_point(poses, (1, 1), boxes=[(1, 1, 5, 5)])
    empty = poses.people(0, 0)
    assert describe_point(empty, (5, 5)).name == "not on a person"


def test_the_bundled_model_knows_every_point_and_finds_what_it_described() -> None:
    localizer = Localizer.from_pretrained("bundled", threads=1)
    assert all(localizer.trained_on([point.name for point in body_points()]) or ())
    photo = Path(skimage.__path__[0]) / "data" / "astronaut.png"
    box = (45, 14, 340, 498)
    poses = localizer.set_image(photo).locate([box], body_points())
    for xy, name in (((227, 124), "nose"), ((98, 259), "right shoulder")):
        words = describe_point(poses, xy, captions=["A woman in an orange suit.", "A woman with a helmet."])
        assert (words.name, words.person) == (name, "the woman")
        found = localizer.locate([box], words.keypoint()).xy[0, 0]
        assert np.linalg.norm(found - xy) < 0.06 * 498
    with pytest.raises(PosetalkError, match="outside the image of 512 x 512"):
        describe_point(poses, (513, 5))
