"""The shared records: frozen, checked at the door, and true to COCO's forms."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError, need
from posetalk.types import Box, Person, PoseImage, Poses, PoseSet, frozen_array

coordinates = st.floats(-1e4, 1e4)
sides = st.floats(0.01, 1e4)


@given(coordinates, coordinates, sides, sides)
def test_a_box_survives_its_corners(x: float, y: float, w: float, h: float) -> None:
    box = Box(x, y, w, h)
    assert Box.from_xyxy(*box.xyxy).xywh == pytest.approx(box.xywh, abs=1e-6)
    assert box.center == pytest.approx((x + w / 2, y + h / 2))
    assert box.area == w * h


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0, 0, 0, 5), "no area"),
        ((0, 0, 5, -1), "no area"),
        ((0, 0, float("nan"), 5), "not finite"),
        ((float("inf"), 0, 5, 5), "not finite"),
    ],
)
def test_no_box_without_area(numbers: tuple[float, float, float, float], says: str) -> None:
    with pytest.raises(PosetalkError, match=says):
        Box(*numbers)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=9), st.floats(1, 3))
def test_a_box_around_points_holds_them(points: list[tuple[float, float]], padding: float) -> None:
    box = Box.around(points, padding)
    left, top, right, bottom = box.xyxy
    for x, y in points:
        assert left - 1e-6 <= x <= right + 1e-6
        assert top - 1e-6 <= y <= bottom + 1e-6
    tight = Box.around(points)
    assert box.center == pytest.approx(tight.center, abs=1e-6)
    assert (box.w, box.h) == pytest.approx((tight.w * padding, tight.h * padding))
    assert min(tight.w, tight.h) >= 1


def test_frozen_arrays_are_copies() -> None:
    mine = np.zeros((2, 2))
    theirs = frozen_array(mine)
    mine[0, 0] = 5
    assert theirs[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        theirs[0, 0] = 1
    assert frozen_array([1, 2, 3, 4], (2, 2)).shape == (2, 2)


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Box(0, 0, 1, 1).x = 3  # type: ignore[misc]


def test_the_people_of_a_set() -> None:
    person = Person(1, Box(0, 0, 1, 1), frozen_array(np.zeros((3, 2))), frozen_array([0, 1, 2]), 1.0)
    assert person.labelled.tolist() == [False, True, True]
    empty = PoseImage(1, Path("a.jpg"), 4, 5, ())
    full = PoseImage(2, Path("b.jpg"), None, None, (person, person))
    people = PoseSet("coco", Path("a.json"), ("a", "b", "c"), (empty, full))
    assert [(image.id, p.id) for image, p in people.people()] == [(2, 1), (2, 1)]


def two_people(**changes: object) -> Poses:
    given: dict[str, object] = {
        "xy": np.arange(12.0).reshape(2, 3, 2),
        "score": np.full((2, 3), 0.5),
        "names": ("nose", "left eye", "right eye"),
        "boxes": (Box(0, 0, 5, 5), Box(1, 2, 30, 40)),
        **changes,
    }
    return Poses(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("xy", np.zeros((2, 3))),
        ("score", np.zeros((3, 2))),
        ("std", np.zeros((2, 3))),
        ("visible", np.zeros((2, 2), bool)),
        ("names", ("nose",)),
        ("boxes", ()),
    ],
)
def test_shapes_must_agree(field: str, value: object) -> None:
    with pytest.raises(PosetalkError, match="has shape"):
        two_people(**{field: value})


def test_found_keypoints_by_name() -> None:
    found = two_people()
    assert len(found) == 2
    assert found["left eye"].tolist() == [[2, 3], [8, 9]]
    with pytest.raises(KeyError):
        found["tail"]


def test_found_keypoints_as_json() -> None:
    plain = two_people().to_dicts()
    assert plain[1]["box"] == [1, 2, 30, 40]
    assert plain[1]["keypoints"][2] == {"name": "right eye", "x": 10, "y": 11, "score": 0.5}
    rich = two_people(std=np.full((2, 3, 2), 1.234), visible=np.ones((2, 3), bool)).to_dicts()
    assert rich[0]["keypoints"][0]["std"] == [1.23, 1.23]
    assert rich[0]["keypoints"][0]["visible"] is True
    assert json.loads(json.dumps(rich)) == rich


def test_found_keypoints_as_coco_results() -> None:
    first, second = two_people().to_coco(image_id=7)
    assert first == {
        "image_id": 7,
        "category_id": 1,
        "keypoints": [0, 1, 0.5, 2, 3, 0.5, 4, 5, 0.5],
        "score": 0.5,
        "bbox": [0, 0, 5, 5],
    }
    assert second["keypoints"][:2] == [6, 7]


def test_joined_keypoints() -> None:
    joined = Poses.concat([two_people(), two_people()])
    assert len(joined) == 4
    assert joined.std is None
    assert joined["nose"].tolist() == [[0, 1], [6, 7]] * 2
    spread = two_people(std=np.ones((2, 3, 2)), visible=np.ones((2, 3), bool))
    both = Poses.concat([spread, spread])
    assert both.std is not None and both.std.shape == (4, 3, 2)
    assert both.visible is not None and both.visible.all()
    with pytest.raises(PosetalkError, match="different keypoint names"):
        Poses.concat([two_people(), two_people(names=("a", "b", "c"))])


def test_a_missing_package_is_said_with_its_extra() -> None:
    assert need("json", "model") is json
    with pytest.raises(
        PosetalkError, match=r"no_such_package, which is not installed: pip install 'posetalk\[model\]'"
    ):
        need("no_such_package.part", "model")
