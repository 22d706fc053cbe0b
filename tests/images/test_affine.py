"""The square's transform: exact both ways, and equal to a restatement of the reference's convention."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.images.affine import Square, clip_box, square_of
from posetalk.types import Box

squares = st.builds(
    Square,
    center=st.tuples(st.floats(-500, 5000), st.floats(-500, 5000)),
    side=st.floats(1, 5000),
    size=st.sampled_from([16, 192, 224, 518]),
    rotation=st.floats(-360, 360),
    flip=st.booleans(),
)
points = st.lists(st.tuples(st.floats(-1000, 6000), st.floats(-1000, 6000)), min_size=1, max_size=8)


def reference_matrix(box, padding, rotation, size):
    """Box -> 2x3 matrix as HRNet and LocLLM build it: centre and scale (pixel_std 200), then three points."""
    center = np.array([box.x + box.w * 0.5, box.y + box.h * 0.5], dtype=np.float32)
    w, h = max(box.w, box.h), max(box.w, box.h)  # aspect ratio 1.0
    scale = np.array([w / 200.0, h / 200.0], dtype=np.float32) * padding
    angle = math.pi * rotation / 180
    up = scale[0] * 200 * -0.5  # the vector (0, up), turned by the angle
    src = np.zeros((3, 2), np.float32)
    dst = np.zeros((3, 2), np.float32)
    src[0] = center
    src[1] = center + np.array([-up * math.sin(angle), up * math.cos(angle)])
    dst[0] = [size * 0.5, size * 0.5]
    dst[1] = [size * 0.5, size * 0.5 + size * -0.5]
    for three in (src, dst):  # the third corner: a right angle at the second point
        edge = three[0] - three[1]
        three[2] = three[1] + np.array([-edge[1], edge[0]], dtype=np.float32)
    return cv2.getAffineTransform(src, dst)


BOXES = [
    Box(10, 20, 100, 200),  # tall
    Box(40.5, 33.25, 180.75, 60.5),  # wide, between pixels
    Box(0, 0, 64, 64),
    Box(-20, 150, 90, 120),  # partly outside
    Box(300, 200, 30, 41),
    Box(12, 7, 600, 400),
]


def corners(box):
    x1, y1, x2, y2 = box.xyxy
    inside = np.random.default_rng(0).uniform((x1, y1), (x2, y2), (20, 2))
    return np.vstack([inside, [(x1, y1), (x2, y1), (x1, y2), (x2, y2), box.center]])


@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("padding", [1.0, 1.25])
@pytest.mark.parametrize("rotation", [0, 17.5, -40, 90, 180])
def test_points_land_where_the_reference_puts_them(box, padding, rotation):
    matrix = reference_matrix(box, padding, rotation, 224)
    xy = corners(box)
    wanted = xy @ matrix[:, :2].T + matrix[:, 2]
    square = square_of(box, 224, padding)
    got = Square(square.center, square.side, 224, rotation).to_crop(xy)
    assert np.abs(got - wanted).max() < 1e-3


@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("rotation", [0, 25, -40])
def test_flip_is_the_references_flip_one_crop_pixel_on(box, rotation):
    width = 640
    mirrored = Box.from_xyxy(width - 1 - (box.x + box.w), box.y, width - 1 - box.x, box.y + box.h)
    matrix = reference_matrix(mirrored, 1.0, rotation, 224)
    xy = corners(box)
    mirrored_xy = np.column_stack([width - 1 - xy[:, 0], xy[:, 1]])
    wanted = mirrored_xy @ matrix[:, :2].T + matrix[:, 2]
    square = square_of(box, 224)
    got = Square(square.center, square.side, 224, -rotation, flip=True).to_crop(xy)
    assert np.abs(got - (wanted - np.array([1, 0]))).max() < 1e-3


@given(squares, points)
def test_there_and_back(square, xy):
    xy = np.array(xy)
    assert np.abs(square.to_image(square.to_crop(xy)) - xy).max() < 1e-6
    assert np.abs(square.denormalise(square.normalise(xy)) - xy).max() < 1e-6


@given(squares, points)
def test_and_the_other_way(square, xy):
    crop = np.array(xy) / 6000 * square.size
    assert np.abs(square.to_crop(square.to_image(crop)) - crop).max() < 1e-6


@given(squares)
def test_lengths_scale_by_size_over_side_in_every_direction(square):
    ends = square.to_crop([square.center, np.add(square.center, (3, 4)), np.add(square.center, (-4, 3))])
    arms = ends[1:] - ends[0]
    assert np.linalg.norm(arms, axis=1) == pytest.approx(5 * square.size / square.side, rel=1e-6)
    assert arms[0] @ arms[1] == pytest.approx(0, abs=1e-6 * (square.size / square.side) ** 2 * 25)


def test_a_square_worked_by_hand():
    square = Square(center=(100, 50), side=20, size=200)
    assert square.to_crop([(100, 50), (90, 40), (95, 55)]).tolist() == [[100, 100], [0, 0], [50, 150]]
    assert square.normalise((95, 55)).tolist() == [0.25, 0.75]
    flipped = Square(center=(100, 50), side=20, size=200, flip=True)
    assert flipped.to_crop((90, 40)).tolist() == [199, 0]
    # the square turns clockwise: its top edge then looks to the right of the image
    turned = Square(center=(100, 50), side=20, size=200, rotation=90)
    assert turned.to_crop((110, 50)) == pytest.approx([100, 0])


@pytest.mark.parametrize("shape", [(2,), (1, 2), (5, 2), (3, 17, 2), (0, 2)])
def test_any_number_of_points(shape):
    square = Square((5, 6), 7, 8, 9, True)
    for change in (square.to_crop, square.to_image, square.normalise, square.denormalise):
        assert change(np.ones(shape)).shape == shape


def test_points_given_are_left_alone():
    xy = np.array([[1, 2], [3, 4]], dtype=np.float32)
    Square((5, 6), 7, 8).normalise(xy)
    assert xy.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "values",
    [
        {"center": (math.nan, 0), "side": 1, "size": 8},
        {"center": (0, math.inf), "side": 1, "size": 8},
        {"center": (0, 0), "side": math.inf, "size": 8},
        {"center": (0, 1e18), "side": 1, "size": 8},
        {"center": (0, 0), "side": 1e300, "size": 8},
        {"center": (0, 0), "side": 1e-320, "size": 8},
        {"center": (0, 0), "side": 0, "size": 8},
        {"center": (0, 0), "side": -3, "size": 8},
        {"center": (0, 0), "side": 3, "size": 0},
        {"center": (0, 0), "side": 3, "size": 8, "rotation": math.nan},
    ],
    ids=str,
)
def test_impossible_squares_are_refused(values):
    with pytest.raises(PosetalkError, match=r"^[^\n]+$"):
        Square(**values)


def test_square_of_takes_the_longer_side_around_the_centre():
    assert square_of(Box(10, 20, 100, 200), 224) == Square((60.0, 120.0), 200.0, 224)
    assert square_of(Box(10, 20, 300, 200), 224, 1.25) == Square((160.0, 120.0), 375.0, 224)


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        (Box(10, 20, 30, 40), (10, 20, 29, 39)),  # inside: one pixel less
        (Box(-5, -5, 30, 40), (0, 0, 29, 39)),  # starts outside: keeps its width
        (Box(80, 60, 30, 40), (80, 60, 19, 19)),  # ends outside: up to the last pixel
        (Box(-10, -10, 500, 500), (0, 0, 99, 79)),
        (Box(0, 0, 100, 80), (0, 0, 99, 79)),
        (Box(5, 5, 1, 0.5), (5, 5, 1, 1)),  # never below one pixel
        (Box(99, 79, 5, 5), (99, 79, 1, 1)),
    ],
)
def test_clip_box(box, clipped):
    assert clip_box(box, width=100, height=80).xywh == clipped


@pytest.mark.parametrize(
    "box",
    [Box(100, 0, 5, 5), Box(0, 80, 5, 5), Box(-5, 0, 5, 5), Box(0, -9, 5, 5), Box(99.5, 0, 5, 5)],
    ids=str,
)
def test_boxes_wholly_outside_are_refused(box):
    with pytest.raises(PosetalkError, match=r"lies outside its image of 100 x 80 px"):
        clip_box(box, 100, 80)
