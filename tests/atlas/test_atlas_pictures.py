"""Rendered people, where anny is installed: labels lie on the people, sides are the person's own, a run goes on."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anny", reason="pip install anny==0.6.2")

from runs.atlas import __main__ as command
from runs.atlas.body import Anatomy
from runs.atlas.fit import pose_bank
from runs.atlas.points import read_points
from runs.atlas.poses import NAMES, PoseBank
from runs.atlas.settings import AtlasSettings

from posetalk.formats.dataset import read_people
from posetalk.skeleton import load_skeleton

COLOURS = {"left": (0, 0, 255), "right": (255, 0, 0)}


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return Anatomy()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Two photos of noise, and a finished bank of one pose, upright and facing us."""
    rng = np.random.default_rng(0)
    for folder, name in (("lspet/images", "im00001.jpg"), ("coco/train2017", "1.jpg")):
        (tmp_path / folder).mkdir(parents=True)
        noise = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / folder / name)
    labels = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 120, "height": 90}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [],
    }
    (tmp_path / "coco" / "annotations").mkdir()
    (tmp_path / "coco" / "annotations" / "instances_train2017.json").write_text(json.dumps(labels))
    (tmp_path / "layouts.npz").touch()
    file = tmp_path / "atlas.toml"
    file.write_text(
        f"pictures = 2\nsize = 160\nfree_share = 0.0\nturned_share = 0.0\nothers = [1.0, 0.0, 0.0]\n"
        f'crops = [1.0, 0.0, 0.0, 0.0]\ncovered_share = 0.0\nlspet = "{tmp_path}/lspet"\n'
        f'coco = "{tmp_path}/coco"\nlayouts = "{tmp_path}/layouts.npz"\n'
    )
    return file


def bank() -> PoseBank:
    angles = np.zeros((1, len(NAMES)), np.float32)
    angles[0, [NAMES.index(f"spread {side}") for side in "LR"]] = 0.5
    return PoseBank(angles, np.eye(3, dtype=np.float32)[None])


def test_points_lie_on_the_sides_that_they_name(anatomy: Anatomy) -> None:
    points = read_points()
    places = anatomy.locate(points).places(anatomy.rest.vertices[0], anatomy.rest.heads[0])
    of = {point.keypoint.name: place for point, place in zip(points, places, strict=True)}
    for name, (x, y, z) in of.items():
        if name != points[0].keypoint.name and "left" in name.split():
            mirror = of[name.replace("left", "right")]
            np.testing.assert_allclose(mirror, (-x, y, z), atol=0.006, err_msg=name)
            assert x > 0, name
    assert of["left kneecap"][1] < of["left knee"][1] < of["hollow of the left knee"][1]
    assert of["navel"][1] < of["waist"][1] < of["small of the back"][1]
    heights = ["head top", "chin", "pit of the throat", "navel", "crotch", "left kneecap", "left heel"]
    assert [of[n][2] for n in heights] == sorted((of[n][2] for n in heights), reverse=True)


def test_two_people_are_rendered_with_labels_that_posetalk_reads(
    anatomy: Anatomy, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "Anatomy", lambda: anatomy)
    monkeypatch.setattr(command, "_bank", lambda *_: bank())
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["atlas", str(settings), "--out", str(out)])
    command.main()
    skeleton = load_skeleton(out / "atlas.toml")
    data = read_people(out / "atlas.json", out / "images", skeleton=skeleton)
    assert len(data.images) == 2 and not data.skipped
    for image, person in data.people():
        at = dict(zip(skeleton.names, np.c_[person.keypoints, person.visible], strict=True))
        assert (person.visible > 1).mean() > 0.2 and (person.visible == 1).any()
        assert at["left shoulder"][0] > at["right shoulder"][0]  # faces us
        assert at["nose"][2] == 2 and at["back of the head"][2] == 1
        with Image.open(image.path) as picture:
            assert picture.size == (160, 160)
    before = (out / "atlas.json").read_bytes()
    monkeypatch.setattr(command.Atlas, "picture", None)  # finished shards are not made again
    command.main()
    assert (out / "atlas.json").read_bytes() == before


def test_a_picture_follows_from_seed_and_number_alone(anatomy: Anatomy, settings: Path) -> None:
    chosen = AtlasSettings.load(settings)
    one, again = (command.Atlas(chosen, bank(), anatomy) for _ in range(2))
    one.picture(0)
    file, people = one.picture(1)
    assert again.picture(1)[0] == file
    with Image.open(BytesIO(file)) as picture:
        assert picture.format == "JPEG"
    assert len(people) == 1


def test_without_lspet_its_folder_is_not_needed(anatomy: Anatomy, settings: Path, tmp_path: Path) -> None:
    rmtree(tmp_path / "lspet")
    text = settings.read_text().replace(f'lspet = "{tmp_path}/lspet"\n', "")
    settings.write_text(text)
    chosen = AtlasSettings.load(settings)
    assert chosen.athletes is None
    atlas = command.Atlas(chosen, bank(), anatomy)
    for kind in range(8):  # sharp, blurred, drawn
        assert atlas.backdrops.draw(np.random.default_rng(kind), 40).shape == (40, 40, 3)
    layouts = {"is_val": np.zeros(12, bool), "keypoints_norm_xyv": standing_people(12)}
    np.savez(tmp_path / "layouts.npz", **layouts)
    assert len(pose_bank(anatomy, None, tmp_path / "layouts.npz", 4, 0).angles) <= 4


def standing_people(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    heights = [0.1, 0.08, 0.08, 0.09, 0.09, 0.2, 0.2, 0.35, 0.35, 0.5, 0.5, 0.5, 0.5, 0.7, 0.7, 0.9, 0.9]
    across = [0, 1, -1, 2, -2, 4, -4, 4.5, -4.5, 4.5, -4.5, 3, -3, 3, -3, 3, -3]
    people = np.stack([0.5 + 0.02 * np.array(across), np.array(heights), np.full(17, 2.0)], 1)
    people = np.tile(people, (count, 1, 1))
    people[..., :2] += rng.normal(scale=0.01, size=(count, 17, 2))
    return people.reshape(count, 51)
