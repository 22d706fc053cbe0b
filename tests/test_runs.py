"""The recipes' own arithmetic: what they add to the commands they call."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from runs import body_points, corrected_first, facts_predicted
from runs.atlas.points import read_points, skeleton_of
from runs.atlas.settings import AtlasSettings

from posetalk.exchange.labels import LabelSet
from posetalk.settings import TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array

RUNS = Path(__file__).parents[1] / "runs"


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RUNS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "file", [*sorted(RUNS.glob("bundled-*.toml")), RUNS / "claims.toml"], ids=lambda f: f.stem
)
def test_every_recipe_is_known_settings(file: Path) -> None:
    settings = TrainSettings.load(file)
    assert settings.model is not None and settings.model.readout == "point"
    assert "val2017" not in file.read_text() and "held" not in file.read_text()


def test_the_atlas_recipe_is_known_settings() -> None:
    file = RUNS / "atlas.toml"
    settings = AtlasSettings.load(file)
    assert settings.pictures and not settings.without
    assert "val2017" not in file.read_text()


def test_every_arm_differs_from_its_partner_in_what_it_says() -> None:
    claims = recipe("claims")
    base = claims.tomllib.loads((RUNS / "claims.toml").read_text())
    made = {
        arm: TrainSettings.check(claims.merged(base, change), arm) for arm, (change, _) in claims.ARMS.items()
    }
    assert len({m.model_dump_json() for m in made.values()}) == len(made)
    assert all(partner in made for _, partner in claims.ARMS.values() if partner)
    assert made["linear"].model == made["mlp"].model.model_copy(update={"connector": "linear"})


def test_the_table_gives_means_and_paired_intervals() -> None:
    claims = recipe("claims")
    found = {
        "mlp": {1: {"n": 0.5}, 2: {"n": 0.6}, 3: {"n": 0.7}},
        "linear": {1: {"n": 0.4}, 2: {"n": 0.5}, 3: {"n": 0.6}},
    }
    lines = claims.table(found)
    assert lines[2] == "| mlp | 3 | 0.600 |" and lines[3] == "| linear | 3 | 0.500 |"
    assert lines[4] == "| over mlp | 3 | -0.100 to -0.100 |"
    found["linear"] = {1: {"n": 0.45}, 2: {"n": 0.5}}
    # differences -0.05 and -0.1: mean -0.075, t(0.975, 1) = 12.706, half width 12.706 * 0.035355 / sqrt 2
    assert claims.table(found)[4] == "| over mlp | 2 | -0.393 to +0.243 |"


def test_derived_points_lie_halfway_where_both_ends_are_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived, names = recipe("derived"), load_skeleton("coco17").names
    points = np.zeros((17, 3))
    points[names.index("left hip")] = (10, 20, 2)
    points[names.index("right hip")] = (30, 24, 1)
    points[names.index("left shoulder")] = (5, 5, 2)
    labels = {"images": [], "annotations": [{"id": 1, "keypoints": points.reshape(-1).tolist()}]}
    (tmp_path / "in.json").write_text(json.dumps(labels))
    monkeypatch.setattr(
        sys,
        "argv",
        ["derived", "--annotations", str(tmp_path / "in.json"), "--out", str(tmp_path / "out.json")],
    )
    derived.main()
    (person,) = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert person["keypoints"][:3] == [20, 22, 1] and person["keypoints"][3:] == [0] * 9
    assert person["num_keypoints"] == 1
    assert load_skeleton(str(RUNS / "derived.toml")).names == tuple(derived.ENDS)


def test_the_nineteen_keypoints_are_cocos_and_two_of_lsps() -> None:
    nineteen, coco, lsp = (
        load_skeleton(str(RUNS / "people19.toml")),
        load_skeleton("coco17"),
        load_skeleton("lsp14"),
    )
    assert nineteen.keypoints[:17] == coco.keypoints
    assert nineteen.keypoints[17:] == (lsp["neck"], lsp["head top"])


def test_held_out_labels_are_not_trained_on() -> None:
    sys.path.insert(0, str(RUNS))  # it imports its neighbour
    try:
        make = recipe("make_labels")
    finally:
        sys.path.remove(str(RUNS))
    labels = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(1, 30)],
        "annotations": [{"image_id": i, "keypoints": [0] * 57} for i in range(1, 30)],
    }
    held, kept = make.part(labels, lambda i: i % 7 == 0), make.part(labels, lambda i: i % 7 > 0)
    assert {p["image_id"] for p in held["annotations"]} == {7, 14, 21, 28}
    assert len(kept["images"]) == 25 and not {i["id"] for i in kept["images"]} & {7, 14, 21, 28}
    inside = make.inside(held, "folder")
    assert (
        inside["images"][0]["file_name"] == "folder/7.jpg"
        and len(inside["annotations"][0]["keypoints"]) == 51
    )


def test_what_a_skeleton_gets_from_the_atlas_are_words() -> None:
    coco = load_skeleton("coco17")
    words = body_points.with_words(coco)
    assert words.names == coco.names and words.flip_order == coco.flip_order and words.limbs == coco.limbs
    assert [k.sentence for k in words.keypoints] == [k.sentence for k in coco.keypoints]
    assert all(point.synonyms and point.paraphrases for point in words.keypoints)
    fewer = body_points.with_words(coco, ("knee", "shin"))
    texts = [
        t for k in fewer.keypoints if "knee" not in k.name for t in (k.sentence, *k.synonyms, *k.paraphrases)
    ]
    assert len(texts) > 100 and not any("knee" in text or "shin" in text for text in texts)
    assert fewer.keypoints[15].sentence and fewer.keypoints[13].synonyms == ()


def people_at_random(count: int) -> np.ndarray:
    """All points of the atlas at fixed places of a body that is moved, turned and scaled."""
    rng = np.random.default_rng(0)
    body = rng.normal(size=(len(read_points()), 2))
    turns = rng.normal(scale=0.5, size=count)
    sizes = rng.uniform(20, 60, count)
    turned = np.stack([np.cos(turns), -np.sin(turns), np.sin(turns), np.cos(turns)], 1).reshape(-1, 2, 2)
    xy = np.einsum("nij,pj->npi", turned, body) * sizes[:, None, None] + rng.uniform(200, 400, (count, 1, 2))
    return np.concatenate([xy, np.full((count, len(body), 1), 2.0)], 2)


def test_a_person_is_seen_upright_and_set_back() -> None:
    names = skeleton_of(read_points()).names
    given = [names.index(name) for name in body_points.given_points()]
    people = people_at_random(9)
    frame = body_points.Frame.of(people[:, given])
    uv = frame.normalise(people[..., :2])
    np.testing.assert_allclose(
        uv, np.broadcast_to(uv[:1], uv.shape), atol=0.3
    )  # the box turns with the person
    np.testing.assert_allclose(frame.denormalise(uv), people[..., :2], atol=1e-9)
    of = {name: uv[:, names.index(name)] for name in names}
    up = of["left hip"] + of["right hip"] - of["left shoulder"] - of["right shoulder"]
    assert (up[:, 1] > 0).all() and np.abs(up[:, 0]).max() < 1e-9


def test_points_of_a_body_are_told_from_its_joints() -> None:
    body = skeleton_of(read_points())
    given = [body.names.index(name) for name in body_points.given_points()]
    people = people_at_random(40)
    atlas = {"annotations": [{"keypoints": person.ravel().tolist()} for person in people[8:]]}
    lift = body_points.lift_of(atlas, given, range(len(body)), steps=150)
    held = people[:8]
    xy, spread, seen = body_points.lifted(lift, held[:, given])
    off = np.linalg.norm(xy - held[..., :2], axis=2) / body_points.Frame.of(held[:, given]).size[:, None]
    assert off.mean() < 0.1 and seen.min() > 0.5
    assert 0.2 < off.mean() / spread.mean() < 5


def test_feet_come_from_blazepose_where_it_agrees_with_the_labels() -> None:
    joints = load_skeleton("coco17")
    points = {name: np.array([10.0 * k, 100.0 + k, 2.0]) for k, name in enumerate(joints.names)}
    landmarks = np.zeros((39, 3))
    for landmark, name in ((25, "left knee"), (26, "right knee"), (27, "left ankle"), (28, "right ankle")):
        landmarks[landmark] = [*(points[name][:2] + 1), 1]
    for landmark in (29, 30, 31, 32):
        landmarks[landmark] = [*(landmarks[27 + (landmark - 1) % 2, :2] + (3, 5)), 0.9]
    landmarks[32, 2] = 0.1  # not sure
    landmarks[26, :2] += 500  # the right leg is elsewhere
    found = body_points.feet_and_hands(landmarks, points)
    assert set(found) == {"left heel", "left big toe"}
    np.testing.assert_allclose(found["left heel"], points["left ankle"] + (3, 5, 0))
    assert body_points.feet_and_hands(landmarks, points | {"left knee": np.zeros(3)}) == {}


@pytest.mark.parametrize("turn", [0, 90, -135, 180])
def test_blazepose_sees_people_upright(turn: float) -> None:
    angle = np.radians(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    places = {
        "left hip": (5, 0),
        "right hip": (-5, 0),
        "left shoulder": (8, -50),
        "right shoulder": (-8, -50),
    }
    points = {
        n: np.array([300 + cos * x - sin * y, 200 + sin * x + cos * y, 2.0]) for n, (x, y) in places.items()
    }
    square = body_points.upright(points)
    assert square is not None
    crop = {name: square.to_crop(point[:2]) for name, point in points.items()}
    np.testing.assert_allclose((crop["left hip"] + crop["right hip"]) / 2, (128, 128))
    top = (crop["left shoulder"] + crop["right shoulder"]) / 2
    np.testing.assert_allclose(top[0], 128)
    assert 0 < top[1] < 128 and crop["left hip"][0] > crop["right hip"][0]
    assert body_points.upright(points | {"left hip": np.zeros(3), "right hip": np.zeros(3)}) is None


def person(number: int, x: float, score: float = 1.0) -> Person:
    points = np.array([[x + 10.0 * i, 50.0 + i] for i in range(17)])
    return Person(
        number,
        Box(x, 0, 170, 100),
        frozen_array(points),
        frozen_array([2] * 17),
        9000.0,
        scores=frozen_array([score] * 17),
    )


def test_facts_of_predicted_people_are_counted_by_who_they_are() -> None:
    labelled = PoseImage(1, Path("a.jpg"), 900, 100, (person(7, 0), person(8, 500)))
    found = facts_predicted.matched(labelled, (person(1, 490), person(2, 5), person(3, 8), person(4, 300)))
    assert [(p.id, p.box.x) for p in found] == [(7, 5), (8, 490)]  # the best box, nobody twice
    labels = {("body: standing", "7"): True, ("arms: raised", "7"): False, ("body: sitting", "8"): True}
    said = {("body: standing", "7"): True, ("arms: raised", "7"): True, ("trunk: upright", "8"): True}
    counts = facts_predicted.compared(labels, said)
    posture, arms, trunk = (counts[kind] for kind in ("posture", "arms", "trunk"))
    assert (posture[0].labels, posture[0].right, posture[0].wrong) == (2, 1, 0)
    assert (arms[0].labels, arms[0].wrong) == (0, 1)  # a true fact that the labels deny
    assert (arms[1].labels, arms[1].right, arms[1].wrong) == (1, 0, 1)
    assert trunk[1].unchecked == 1 and trunk[1].labels == 0
    hidden = facts_predicted.compared({("nose: hidden", "7"): True}, {})
    assert facts_predicted.of_all(hidden)[1].labels == 0


def test_so_many_people_are_corrected_and_the_others_keep_what_was_predicted() -> None:
    images = [PoseImage(n, Path(f"{n}.jpg"), 900, 100, (person(n, 0),), f"{n}.jpg") for n in (1, 2, 3)]
    skeleton = load_skeleton("coco17")
    labels = LabelSet(PoseSet("coco", Path("l.json"), skeleton.names, tuple(images)), skeleton)
    predicted = [replace(i, people=(replace(person(9, 6), id=9), person(10, 400))) for i in images]
    matched = corrected_first.pairs(
        labels, replace(labels, data=replace(labels.data, images=tuple(predicted)))
    )
    made, count = corrected_first.corrected(labels, matched, [3, 1, 2], 2)
    assert count == 2 and [i.people[0].box.x for i in made.data.images] == [0, 6, 0]
    assert [i.people[0].id for i in made.data.images] == [1, 2, 3]
