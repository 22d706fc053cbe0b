"""Facts of predicted joints: what their spread leaves of them, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.facts.figures import figure

from posetalk.errors import PosetalkError
from posetalk.exchange.forms import convert_labels
from posetalk.facts.person import pose_facts
from posetalk.facts.scene import Scene, scene_facts
from posetalk.facts.show import scene_to_dict
from posetalk.facts.spread import PREDICTED
from posetalk.formats.coco import read_coco
from posetalk.formats.objects import Thing
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array

NAMES = load_skeleton("coco17").names
RAISED = figure(uppers=(170, -20), fores=(170, -20))


def image_of(std: float | None, *points: dict[str, np.ndarray]) -> PoseImage:
    people = []
    for number, joints in enumerate(points, 1):
        xy = np.array([joints[name] for name in NAMES])
        spread = None if std is None else frozen_array(np.full((17, 2), std))
        people.append(
            Person(number, Box.around(xy), frozen_array(xy), frozen_array([2] * 17), 1e5, std=spread)
        )
    return PoseImage(7, Path("a.jpg"), 900, 600, tuple(people))


def values(scene: Scene) -> dict[tuple[str, str], bool]:
    rows = [(person.name, fact) for person in scene.people for fact in person.facts]
    rows += [("", fact) for fact in scene.facts]
    return {(name, f.key): f.value for name, f in rows if f.value is not None and f.part != "picture"}


@settings(max_examples=8, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 8),
    std=st.floats(0, 60),
    thing=st.sampled_from(["kite", "horse", "chair", "tennis racket"]),
)
def test_spread_only_ever_takes_facts_away(angles: tuple[float, ...], std: float, thing: str) -> None:
    one = figure(thighs=angles[:2], shins=angles[2:4], uppers=angles[4:6], fores=angles[6:])  # type: ignore[arg-type]
    things = [Thing(thing, Box(250, 250, 120, 150))]
    exact = values(scene_facts(image_of(None, one, RAISED), NAMES, things))
    with_spread = values(scene_facts(image_of(std, one, RAISED), NAMES, things))
    assert with_spread.items() <= exact.items()
    if std == 0:
        assert with_spread == exact


def test_what_is_far_from_its_thresholds_stays_and_what_is_near_goes() -> None:
    near = figure(uppers=(170, 0), fores=(170, 0))  # the right elbow is at the height where an arm is low
    facts = scene_facts(image_of(4, near), NAMES).people[0].facts
    assert facts.value("left arm: raised") is True
    assert facts["left arm: raised"].evidence == (PREDICTED,)
    assert facts["left arm: raised"].kinds == {"joints"}
    lost = scene_facts(image_of(300, near), NAMES).people[0].facts
    assert {f.key for f in lost.true} == set() and not any(f.evidence for f in lost if f.value is None)


def test_what_captions_say_people_do_has_no_spread() -> None:
    told = ["A man holds an umbrella."] * 3
    scene = scene_facts(image_of(300, RAISED), NAMES, (), told)
    assert scene.people[0].facts["action: holding an umbrella"].evidence == ("captions 3 of 3",)
    assert not any(fact.part == "trunk" for fact in scene.people[0].facts.true)


def test_hidden_joints_and_the_number_of_people_are_not_known() -> None:
    image = image_of(0, RAISED)
    hidden = frozen_array([1 if "wrist" in name else 2 for name in NAMES])
    covered = replace(image, people=(replace(image.people[0], visible=hidden),))
    for known, scene in ((True, scene_facts(image, NAMES)), (None, scene_facts(covered, NAMES))):
        facts = scene.people[0].facts
        assert facts.value("left arm: raised") is known and facts.value("trunk: upright") is True
        assert facts.value("left wrist: hidden") is (None if known is None else False)
        assert scene.facts.value("picture: one person") is None


def test_the_same_labels_give_the_same_facts() -> None:
    image = image_of(12, RAISED, figure(at=(600, 300)))
    assert scene_to_dict(scene_facts(image, NAMES)) == scene_to_dict(scene_facts(image, NAMES))


def test_a_pose_by_itself_has_a_spread_too() -> None:
    xy = np.array([RAISED[name] for name in NAMES])
    exact, spread = pose_facts(xy, NAMES), pose_facts(xy, NAMES, std=np.full((17, 2), 15))
    known = {fact.key: fact.value for fact in spread if fact.value is not None}
    assert known.items() < {fact.key: fact.value for fact in exact if fact.value is not None}.items()
    for bad in (np.full((17, 2), -1.0), np.ones(17), np.full((17, 2), np.nan)):
        with pytest.raises(PosetalkError, match=r"spread is not \(17, 2\) px"):
            pose_facts(xy, NAMES, std=bad)


def test_spread_is_read_kept_and_matched_by_name(tmp_path: Path) -> None:
    person = image_of(None, RAISED).people[0]
    std = np.arange(34.0).reshape(17, 2)
    record = {
        "id": 1, "image_id": 7, "category_id": 1, "bbox": list(person.box.xywh), "keypoint_std": std.tolist(),
        "keypoints": np.column_stack([person.keypoints, person.visible]).ravel().tolist(), "predicted": True,
    }  # fmt: skip
    file = {"images": [{"id": 7, "file_name": "a.jpg", "width": 900, "height": 600}], "annotations": [record]}
    source = tmp_path / "a.json"
    source.write_text(json.dumps(file))
    convert_labels(source, tmp_path / "lsp.json", to="coco", to_skeleton=load_skeleton("lsp14"))
    for path, name in ((source, "coco17"), (tmp_path / "lsp.json", "lsp14")):
        data = read_coco(path, tmp_path, skeleton=load_skeleton(name))
        found = data.images[0].people[0].std
        assert found is not None
        for joint, pair in zip(data.keypoint_names, found, strict=True):
            assert pair.tolist() == (std[NAMES.index(joint)].tolist() if joint in NAMES else [0, 0])
    for bad in ([], [[1, 2]] * 16, [[1, -2]] * 17, [["a", 2]] * 17, 3):
        source.write_text(json.dumps(file | {"annotations": [record | {"keypoint_std": bad}]}))
        assert read_coco(source, tmp_path).images[0].people[0].std is None


def test_people_with_and_without_spread_stand_side_by_side() -> None:
    image = image_of(300, RAISED, figure(at=(600, 300)))
    exact = replace(image.people[1], std=None)
    people = scene_facts(replace(image, people=(image.people[0], exact)), NAMES).people
    assert not people[0].facts.true and people[1].facts.value("trunk: upright") is True
    assert people[1].facts["trunk: upright"].evidence == ("joints",)
