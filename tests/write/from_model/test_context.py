"""What a language model is told of a picture: the numbers are those of the labels, and whose left is meant is clear."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.facts.figures import Points, figure

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco
from posetalk.formats.objects import Thing, read_objects
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.from_model.context import PEOPLE, Frame, grounded, paper

NAMES = load_skeleton("coco17").names
DATA = Path(os.environ.get("POSETALK_DATA", "absent"))


def person(number: int, points: Points, **changes: object) -> Person:
    """changes: of the record, or a joint's name with its visibility."""
    flags = [changes.pop(name.replace(" ", "_"), 2) for name in NAMES]
    xy = np.array([points[name] for name in NAMES])
    given_: dict[str, object] = {"box": Box.around(xy), "visible": frozen_array(flags)} | changes
    return Person(number, keypoints=frozen_array(xy), area=1e4, **given_)  # type: ignore[arg-type]


def shown(*people: Person, things: tuple[Thing, ...] = ()) -> tuple[PoseImage, Scene]:
    image = PoseImage(7, Path("a.jpg"), 800, 600, people)
    return image, scene_facts(image, NAMES, things)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]


@given(
    st.floats(-900, 1700), st.floats(-900, 1700), st.floats(0.1, 900), st.floats(0.1, 900),
    st.integers(1, 4000), st.integers(1, 4000),
)  # fmt: skip
def test_boxes_are_edges_in_0_to_1(x: float, y: float, w: float, h: float, width: int, height: int) -> None:
    text = Frame(PoseImage(1, Path("a.jpg"), width, height, ())).box(Box(x, y, w, h))
    assert re.fullmatch(r"\[(\d\.\d{3}, ){3}\d\.\d{3}\]", text)
    wanted = np.clip(np.array([x, y, x + w, y + h]) / [width, height, width, height], 0, 1)
    assert np.allclose(numbers(text), wanted, atol=0.00051)


def test_the_papers_numbers_are_those_of_the_labels() -> None:
    one = person(1, figure(), left_wrist=1, right_ankle=0)
    lines = paper(*shown(one), NAMES).splitlines()
    assert lines[0].startswith("person: [") and len(lines) == 2
    triples = json.loads(lines[1].removeprefix("keypoints: "))
    wanted = np.array([figure()[name] for name in NAMES]) / [800, 600]
    wanted[NAMES.index("right ankle")] = 0
    assert np.allclose(np.array(triples)[:, :2], wanted, atol=0.00051)
    assert [v for *_, v in triples] == [{"left wrist": 1, "right ankle": 0}.get(name, 2) for name in NAMES]


def test_crowds_people_without_labels_and_objects_are_named_as_such() -> None:
    bare = person(1, figure(at=(100, 300)), **{name.replace(" ", "_"): 0 for name in NAMES})
    crowd = person(2, figure(at=(700, 300)), is_crowd=True)
    image, scene = shown(crowd, bare, person(3, figure()), things=(Thing("kite", Box(0, 0, 80, 60)),) * 2)
    lines = paper(image, scene, NAMES, scene.things).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "person", "keypoints", "person", "keypoints", "crowd of people", "kite", "kite",
    ]  # fmt: skip
    assert lines[3] == "keypoints: not labelled"
    text = grounded(image, scene, ())
    assert "people: 2, of 1 the body is not known, and a crowd that nobody counted" in text
    assert "person 1, called" in text and "person 2" not in text
    assert "object: kite [0.000, 0.000, 0.100, 0.100], [0.000, 0.000, 0.100, 0.100]" in text


def test_a_joint_outside_the_picture_counts_as_not_labelled() -> None:
    one = person(1, figure() | {"left ankle": np.array([300.0, 600.5])})
    image, scene = shown(one)
    triples = json.loads(paper(image, scene, NAMES).splitlines()[1].removeprefix("keypoints: "))
    assert triples[NAMES.index("left ankle")] == [0, 0, 0]
    assert "not labelled: left ankle" in grounded(image, scene, ())


def test_facts_are_told_as_sure_so_not_so_and_not_known() -> None:
    text = grounded(*shown(person(1, figure(uppers=(180, 0), fores=(180, 0)), right_knee=0)), ())
    sure, so, not_so, unknown = (
        re.search(rf"^  {title}: (.*)$", text, re.MULTILINE)[1].split("; ")  # type: ignore[index]
        for title in ("sure", "so", "not so", "not known")
    )
    assert {"left arm raised", "left hand above the head", "facing the camera", "left knee straight"} <= set(
        sure
    )
    assert "feet on one line" in so and "posture standing" not in {*so, *sure}
    assert any(words.startswith("arms not raised") for words in not_so)
    assert "right knee" in unknown
    told = [*sure, *so, *not_so, *unknown]
    assert len(told) == len(set(told)) and not any("hidden" in words for words in told)
    assert "right knee" not in text.split("joints:")[1].splitlines()[0]


def test_without_joints_the_rest_is_the_same() -> None:
    image, scene = shown(person(1, figure(), right_knee=0))
    lines = grounded(image, scene, ("A caption.",)).splitlines()
    kept = [line for line in lines if not line.startswith(("  joints:", "  not labelled:"))]
    assert grounded(image, scene, ("A caption.",), joints=False).splitlines() == kept and len(kept) < len(
        lines
    )


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        ({"wide": 10, "nose": (25, 0)}, "facing the picture's right"),
        ({"wide": 10, "nose": (-25, 0)}, "facing the picture's left"),
        ({"nose": (12, 0)}, "head turned to their own left"),
        ({"nose": (-12, 0)}, "head turned to their own right"),
        ({"wide": -70}, "left elbow straight"),
    ],
)
def test_it_is_clear_whose_left_is_meant(pose: dict[str, object], words: str) -> None:
    assert words in grounded(*shown(person(1, figure(**pose))), ())  # type: ignore[arg-type]


def test_of_many_people_the_largest_are_described_by_their_stable_names() -> None:
    people = [person(i, {k: v * 0.3 + (80 * i, 0) for k, v in figure().items()}) for i in range(9)]
    large = person(9, figure(at=(400, 300)))
    image, scene = shown(*people, large)
    text = grounded(image, scene, ())
    names = re.findall(r"^(person \d+), called", text, re.MULTILINE)
    assert len(names) == PEOPLE and f"people: 10, the {PEOPLE} largest are described" in text
    assert next(f.name for f in scene.people if f.box == large.box) in names
    other = replace(image, people=image.people[::-1])
    assert grounded(other, scene_facts(other, NAMES), ()) == text


def test_a_name_has_a_gender_only_where_captions_agree() -> None:
    image, _ = shown(person(1, figure()))
    for captions, name in ((["A woman waits."] * 3, "woman"), (["A woman waits.", "A man waits."], "person")):
        scene = scene_facts(image, NAMES, (), captions)
        assert f'called "the {name}"' in grounded(image, scene, captions)


def test_a_picture_without_a_size_is_said_in_one_sentence() -> None:
    image, scene = shown(person(1, figure()))
    with pytest.raises(PosetalkError, match=r"how large image 7 \(a\.jpg\) is; give its width"):
        grounded(replace(image, width=None), scene, ())


@pytest.mark.realdata
def test_real_labels_come_back_out_of_the_context() -> None:
    """Native COCO files, crowds and all: the numbers told, times the picture's size, are those of the JSON file."""
    folder = DATA / "coco_tiny" / "annotations"
    keypoints = next(folder.glob("person_keypoints_val*.json"))
    data = read_coco(keypoints, folder)
    captions, _ = read_captions(next(folder.glob("captions_val*.json")))
    things, _ = read_objects(next(folder.glob("instances_val*.json")))
    rows = json.loads(keypoints.read_text())["annotations"]
    compared = 0
    for image in data.images:
        scene = scene_facts(image, data.keypoint_names, things.get(image.id, ()))
        lines = paper(image, scene, data.keypoint_names, scene.things).splitlines()
        native = [row for row in rows if row["image_id"] == image.id]
        size = np.array([image.width, image.height])
        told = [line for line in lines if line.startswith(("person:", "crowd of people:"))]
        assert len(told) == len(native)
        wanted = sorted(
            ((x, y, x + w, y + h) for x, y, w, h in (row["bbox"] for row in native)), key=lambda b: b[::2]
        )
        found = sorted((tuple(numbers(line)) for line in told), key=lambda b: b[::2])
        for box, edges in zip(found, wanted, strict=True):
            assert np.allclose(np.array(box) * np.tile(size, 2), edges, atol=0.0006 * size.max())
        points = [json.loads(line[11:]) for line in lines if line.startswith("keypoints: [")]
        native_points = [
            np.reshape(row["keypoints"], (17, 3))
            for row in native
            if any(row["keypoints"]) and not row["iscrowd"]
        ]
        assert len(points) == len(native_points)
        for triples in points:
            in_px = np.array(triples) * [*size, 1]
            assert any(np.allclose(in_px, one, atol=0.0006 * size.max()) for one in native_points)
            compared += 1
        if scene.people:
            assert grounded(image, scene, captions[image.id]).count("caption: ") == len(captions[image.id])
    assert compared > 20
