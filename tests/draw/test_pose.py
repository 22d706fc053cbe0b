"""Poses on images, looked at through their pixels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from posetalk.draw import draw_pair, draw_pose, font
from posetalk.draw.names import place_names
from posetalk.draw.paint import LEFT, MIDDLE, PEOPLE, RIGHT, side_colour
from posetalk.errors import PosetalkError
from posetalk.types import Box, Poses

NAMES = ("left hand", "right hand", "nose")
LIMBS = ((0, 2), (1, 2))


def grey(w: int = 800, h: int = 700) -> np.ndarray:
    return np.full((h, w, 3), 100, np.uint8)


def points(*xy: tuple[float, float], names=NAMES, score: float = 1.0, **more) -> Poses:
    n = len(xy) // len(names)
    return Poses(
        xy=np.array(xy, float).reshape(n, len(names), 2),
        score=np.full((n, len(names)), score),
        names=tuple(names),
        boxes=(Box(100, 100, 600, 500),) * n,
        **more,
    )


POSE = points((200, 600), (600, 600), (400, 200))


def near(picture: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(int(v) for v in picture[int(y), int(x)])


def test_joints_have_the_colour_of_their_side() -> None:
    picture = draw_pose(grey(), POSE, LIMBS)
    assert [near(picture, *xy) for xy in POSE.xy[0]] == [LEFT, RIGHT, MIDDLE]
    middle = near(picture, 300, 400)  # halfway along a limb: between its ends' colours
    between = 0.9 * (np.array(LEFT) + MIDDLE) / 2 + 0.1 * 100
    assert np.abs(middle - between).max() < 12


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("left heel", LEFT),
        ("Right_Toe", RIGHT),
        ("chin", MIDDLE),
        ("cleft", MIDDLE),
        ("tip-of-left-ear", LEFT),
    ],
)
def test_sides(name: str, colour: tuple) -> None:
    assert side_colour(name) == colour


def test_the_image_given_stays_as_it_is() -> None:
    image = grey()
    image.setflags(write=False)
    picture = draw_pose(image, POSE, LIMBS, labels="all")
    assert (image == 100).all() and picture.shape == image.shape and picture.dtype == np.uint8


def test_what_is_less_sure_is_fainter_and_what_is_nan_is_not_there() -> None:
    changes = []
    for score in (1.0, 0.5, 0.0, np.nan):
        picture = draw_pose(grey(), replace(POSE, score=np.full((1, 3), score)), LIMBS)
        changes.append(np.abs(picture.astype(int) - 100).sum())
    assert changes[0] > 1.3 * changes[1] > 1.3 * changes[2] > 0
    assert changes[3] == changes[2]
    nothing = draw_pose(grey(), replace(POSE, xy=np.full((1, 3, 2), np.nan)), LIMBS, labels="all")
    assert (nothing == 100).all()
    one = draw_pose(grey(), points((200, 600), (np.nan, 3), (400, 200)), LIMBS)
    assert near(one, 300, 400) != (100,) * 3 and near(one, 500, 400) == (100,) * 3


def test_a_hidden_joint_is_a_ring() -> None:
    visible = np.array([[False, True, True]])
    picture = draw_pose(grey(), replace(POSE, visible=visible), labels="none")
    assert sum(near(picture, 200, 600)) < 100 and near(picture, 600, 600) == RIGHT


def test_edges_are_smooth() -> None:
    picture = draw_pose(
        np.zeros((700, 800, 3), np.uint8), points((100, 350.3), names=["nose"]), labels="none"
    )
    levels = np.unique(picture[..., 1])
    assert len(levels) > 12


def test_an_ellipse_is_as_wide_as_the_spread() -> None:
    std = np.array([[[60.0, 20.0]] * 3])
    plain, spread = (draw_pose(grey(), replace(POSE, std=s), LIMBS) for s in (None, std))
    ys, xs = np.nonzero((plain != spread).any(-1))
    left_hand = xs < 300
    assert abs(200 - xs[left_hand].min() - 60) <= 3
    assert abs(ys.max() - 600 - 20) <= 3
    quarter = replace(POSE, xy=POSE.xy / 4, std=std / 4)  # three times larger with its image
    plain, spread = (draw_pose(grey(200, 175), replace(quarter, std=s), LIMBS) for s in (None, quarter.std))
    _, xs = np.nonzero((plain != spread).any(-1))
    assert abs(3 * (200 - 60) / 4 - xs.min()) <= 3


def test_only_custom_keypoints_are_named_unless_asked() -> None:
    four = points((200, 600), (600, 600), (400, 200), (400, 500), names=(*NAMES, "belt buckle"))
    amount = {}
    for labels in ("none", "custom", "all"):
        picture = draw_pose(grey(), four, LIMBS, labels=labels)
        amount[labels] = int((picture != 100).any(-1).sum())
    assert amount["none"] < amount["custom"] < amount["all"]
    joined = draw_pose(grey(), POSE, LIMBS)
    assert np.array_equal(joined, draw_pose(grey(), POSE, LIMBS, labels="none"))


@settings(max_examples=40, deadline=None)
@given(
    xy=st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=1, max_size=8),
    words=st.lists(st.sampled_from(["chin", "left heel", "the back of the right hand", "äÅg"]), min_size=8),
)
def test_names_stay_in_the_image_and_apart(xy: list, words: list[str]) -> None:
    names = tuple(f"{w} {i}" for i, w in enumerate(words[: len(xy)]))
    placed = place_names(points(*xy, names=names), range(len(names)), (), (640, 480))
    spots = [name.spot for name in placed]
    for i, a in enumerate(spots):
        assert (a[:2] >= 0).all() and a[2] <= 640 and a[3] <= 480
        for b in spots[:i]:
            assert (np.minimum(a[2:], b[2:]) <= np.maximum(a[:2], b[:2])).any()


@pytest.mark.parametrize(
    ("w", "h", "wanted"), [(64, 48, (640, 480)), (320, 100, (640, 200)), (639, 10, (639, 10))]
)
def test_small_images_are_enlarged(w: int, h: int, wanted: tuple) -> None:
    pose = points((w / 4, h / 2), (w / 2, h / 2), (w / 3, h / 3))
    assert draw_pose(grey(w, h), pose, LIMBS).shape == (wanted[1], wanted[0], 3)
    assert draw_pose(grey(w, h), pose, LIMBS, enlarge=False).shape == (h, w, 3)


@pytest.mark.parametrize("side", [600, 640, 650, 1111, 1700])
def test_letters_are_whole(side: int) -> None:
    """Every bit of ink of a word is there, though its letters are low."""
    (name,) = place_names(points((300, 300), names=["nose"]), [0], (), (side, side))
    sheet = Image.new("L", (300, 300))
    ImageDraw.Draw(sheet).text((100, 100), "nose", fill=255, font=font(0.024 * side))
    assert name.letters.sum() == pytest.approx(np.asarray(sheet).sum() / 255, rel=0.01)


def test_a_pose_takes_the_same_share_of_any_image() -> None:
    """What is right on a small image is right on a large one."""
    shares = []
    for factor in (0.8, 1, 4):
        w, h = int(800 * factor), int(700 * factor)
        big = replace(POSE, xy=POSE.xy * factor)
        shares.append((draw_pose(grey(w, h), big, LIMBS, labels="all") != 100).any(-1).mean())
    assert np.ptp(shares) < 0.15 * np.mean(shares)


wild = st.floats(-1e12, 1e12) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0])


@settings(max_examples=60, deadline=None)
@given(
    xy=st.lists(wild, min_size=12, max_size=12),
    score=st.floats(-1, 2) | st.just(np.nan),
    std=st.sampled_from([None, 0.0, 5.0, 1e9, np.nan, np.inf]),
    w=st.integers(1, 90),
    h=st.integers(1, 90),
    words=st.text(min_size=1, max_size=40),
)
def test_nothing_is_too_wild(xy: list, score: float, std: float | None, w: int, h: int, words: str) -> None:
    wild_points = Poses(
        xy=np.array(xy).reshape(2, 3, 2),
        score=np.full((2, 3), score),
        names=("a", "left b", words),
        boxes=(Box(0, 0, 1, 1),) * 2,
        std=None if std is None else np.full((2, 3, 2), std),
    )
    picture = draw_pose(grey(w, h), wild_points, ((0, 1),), labels="all", enlarge=False)
    assert picture.shape == (h, w, 3)


def test_a_pair_shows_the_person_twice() -> None:
    truth = replace(POSE, xy=POSE.xy + 5)
    pair = draw_pair(grey(), POSE, truth, LIMBS, pane=(120, 150))
    assert pair.shape == (150, 243, 3)
    left, right = pair[:, :120].astype(int), pair[:, 123:].astype(int)
    assert (left != 100).any() and (right != 100).any() and (left != right).any()
    same = draw_pair(grey(), POSE, POSE, LIMBS, pane=(120, 150))
    assert np.array_equal(same[:, :120], same[:, 123:])


def test_a_pair_survives_points_far_away() -> None:
    far = replace(POSE, xy=np.array([[[1e9, 1e9], [np.nan, 0], [-1e9, 3]]]))
    assert draw_pair(grey(), far, POSE, LIMBS, pane=(120, 150)).shape == (150, 243, 3)


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3))]
)
def test_what_is_no_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(PosetalkError, match="give uint8"):
        draw_pose(image, POSE)


def group(n: int, **more) -> Poses:
    """People in a row, each as tall as a fifth of the image."""
    rows = [(80 * i + x, y) for i in range(n) for x, y in ((20, 460), (60, 460), (40, 320))]
    boxes = tuple(Box(80 * i + 20, 320, 40, 140) for i in range(n))
    return replace(points(*rows), boxes=boxes, **more)


def test_people_of_a_group_have_colours_of_their_own() -> None:
    picture = draw_pose(grey(), group(3), LIMBS)
    colours = [near(picture, 80 * i + 30, 390) for i in range(3)]
    assert len(set(colours)) == 3
    assert all(np.abs(np.subtract(a, b)).max() < 40 for a, b in zip(colours, PEOPLE, strict=False))
    assert near(picture, 20, 460) == LEFT  # keypoints keep the colour of their side


def test_a_group_is_not_covered() -> None:
    """Neither spreads nor hidden keypoints nor names hide the people."""
    plain = draw_pose(grey(), group(6), LIMBS)
    spread = draw_pose(grey(), group(6, std=np.full((6, 3, 2), 60.0)), LIMBS)
    assert (plain == spread).all()
    hidden = draw_pose(grey(), group(6, visible=np.zeros((6, 3), bool)), LIMBS)
    strong = [np.abs(some.astype(int) - 100).sum() for some in (plain, hidden)]
    assert strong[1] < 0.6 * strong[0]
    thick = draw_pose(grey(), group(1), LIMBS)
    assert ((thick != 100).any(-1)).sum() >= ((plain != 100).any(-1)).sum() / 6


def test_names_in_a_group_are_written_where_there_is_room() -> None:
    limit = (800, 700)
    large = replace(group(2), boxes=(Box(20, 20, 300, 600), Box(420, 20, 300, 600)))
    placed = place_names(large, range(3), LIMBS, limit)
    assert len(placed) > 2
    hidden = replace(large, visible=np.array([[True, False, False], [False, False, False]]))
    assert len(place_names(hidden, range(3), LIMBS, limit)) == 1
    assert place_names(group(6), range(3), LIMBS, limit) == []  # too small for letters that can be read
    many = replace(group(10), boxes=(Box(0, 0, 200, 600),) * 10)
    named = place_names(many, range(3), LIMBS, limit)
    assert sum(name.letters.size for name in named) <= 0.04 * 800 * 700
    for one in named:
        for other in named:
            apart = (one.spot[2:] <= other.spot[:2]) | (other.spot[2:] <= one.spot[:2])
            assert one is other or apart.any()


def test_a_name_that_was_never_trained_has_a_dashed_ring() -> None:
    known, unknown = (
        draw_pose(grey(), replace(POSE, trained=(True, True, new)), LIMBS) for new in (True, False)
    )
    ys, xs = np.nonzero((known != unknown).any(-1))
    radius = np.hypot(xs + 0.5 - 400, ys + 0.5 - 200)
    assert radius.min() > 4 and radius.max() < 40  # around the joint, which stays as it is
    turns = np.arctan2(ys + 0.5 - 200, xs + 0.5 - 400)
    near_ring = np.abs(radius - np.median(radius)) < 0.5
    gaps = np.diff(np.sort(turns[near_ring]))
    assert (gaps > 0.15).sum() >= 7  # dashes
