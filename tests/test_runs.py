"""The recipes' own arithmetic: what they add to the commands they call."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from runs import limb_points
from runs.atlas.points import read_points
from runs.atlas.settings import AtlasSettings

from posetalk.settings import TrainSettings
from posetalk.skeleton import load_skeleton

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


def test_points_along_limbs_lie_between_their_joints() -> None:
    coco, added = load_skeleton("coco17"), limb_points.lines()
    points = np.zeros((17, 3))
    places = {"left hip": (10, 20, 2), "left knee": (30, 60, 1), "right hip": (14, 20, 2)}
    for name, place in places.items():
        points[coco.names.index(name)] = place
    labels = {"annotations": [{"keypoints": points.ravel().tolist()}], "images": []}
    richer = limb_points.with_points(labels, coco.names, added)
    words = limb_points.with_words(coco, added)
    assert richer["categories"][0]["keypoints"] == list(words.names)
    (person,) = richer["annotations"]
    found = dict(zip(words.names, np.array(person["keypoints"]).reshape(-1, 3).tolist(), strict=True))
    assert found["upper part of the left thigh"] == [15, 30, 1]
    assert found["lower part of the left thigh"] == [25, 50, 1]
    assert found["pelvis"] == [12, 20, 2]
    assert found["middle of the right thigh"] == found["middle of the left forearm"] == [0, 0, 0]
    assert person["num_keypoints"] == 3 + 4
    assert all(point.synonyms and point.paraphrases for point in words.keypoints)
    assert words.keypoints[: len(coco)][5].sentence == coco.keypoints[5].sentence


def test_points_along_limbs_are_the_atlas_s() -> None:
    places = {point.keypoint.name: point.at for point in read_points()}
    for name, (_, _, share) in limb_points.lines().items():
        assert places[name].startswith("inside") and float(places[name].split()[3]) == share
