"""Every command that reads labels says what does not fit, and refuses where its numbers would mean nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from posetalk.cli import main
from posetalk.skeleton import skeleton

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
NAMES = [name.replace(" ", "_") for name in skeleton("coco17").names]
WIDTH, HEIGHT = 120, 80
ODD = "labels say 120 x 80, the upright picture is 80 x 120; it was turned since"


class Desk:
    """Four labelled photos, of which the last ones are turned by EXIF, and the words of the commands."""

    def __init__(
        self, at: Path, model: Path, turned: int, change: Callable[[dict[str, Any]], object]
    ) -> None:
        self.at, self.model = at, model
        images, people = [], []
        for i in range(4):
            exif = Image.Exif()
            exif[0x0112] = 6 if i >= 4 - turned else 1
            noise = np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            Image.fromarray(noise).save(at / f"{i}.jpg", exif=exif)
            images.append({"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT})
            points = [v for j in range(17) for v in (52 + 14 * (j % 2) + i, 12 + 3.5 * j, 2)]
            people.append({"id": i, "image_id": i, "category_id": 1, "bbox": [50, 8, 20, 66], "iscrowd": 0})
            people[-1] |= {"area": 700, "keypoints": points}
            change(people[-1])
        categories = [{"id": 1, "name": "person", "keypoints": NAMES}]
        whole = {"images": images, "annotations": people, "categories": categories}
        (at / "labels.json").write_text(json.dumps(whole))
        captions = [{"image_id": i, "caption": "A man stands."} for i in range(4)]
        (at / "captions.json").write_text(json.dumps({"annotations": captions}))
        data = [{"annotations": str(at / "labels.json"), "images": str(at)}]
        settings = {
            "data": data,
            "start": str(model),
            "max_steps": 1,
            "bf16": False,
            "batch_size": 4,
            "per_device_batch_size": 4,
        }
        (at / "run.toml").write_text(tomli_w.dumps(settings))

    def words(self, command: str) -> list[str]:
        labels, images, out = self.at / "labels.json", ["--images", self.at], self.at / "out"
        found: dict[str, list[Any]] = {
            "evaluate": ["evaluate", "--model", self.model, "--annotations", labels, *images, "--out", out],
            "facts": ["facts", labels, *images],
            "draw": ["facts", labels, *images, "--draw", out],
            "draw one": ["facts", labels, *images, "--draw", out, "--image", 3],
            "write": ["write", labels, "--captions", self.at / "captions.json", *images, "--out", out],
            "train": ["train", self.at / "run.toml", "--out", out],
            "calibrate": ["calibrate", self.model, out, "--annotations", labels, *images],
            "bench": ["bench", "build", labels, *images, "--out", out],
        }
        return [str(word) for word in found[command]]

    def run(self, command: str) -> int:
        try:
            main(self.words(command))
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0


def as_it_is(person: dict[str, Any]) -> None:
    pass


def normalised(person: dict[str, Any]) -> None:
    sides = (WIDTH, HEIGHT, 1)
    person["bbox"] = [v / side for v, side in zip(person["bbox"], (WIDTH, HEIGHT) * 2, strict=True)]
    person["keypoints"] = [v / sides[j % 3] for j, v in enumerate(person["keypoints"])]


def corners(person: dict[str, Any]) -> None:
    x, y, w, h = person["bbox"]
    person["bbox"] = [x, y, x + w, y + h]


def shifted(person: dict[str, Any]) -> None:
    person["keypoints"] = [v + (45 if j % 3 == 0 else 0) for j, v in enumerate(person["keypoints"])]


LABELS = {
    "normalised": (normalised, "4 of 4 boxes are 1 px or smaller; normalised coordinates?"),
    "corners": (corners, "read as left, top, right, bottom 4 of 4 hold their keypoints"),
    "shifted": (shifted, "0 of 68 labelled keypoints lie in their people's boxes"),
}
READERS = ("evaluate", "facts", "draw", "write", "train", "calibrate", "bench")


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(("change", "says"), LABELS.values(), ids=LABELS)
def test_labels_that_mean_nothing_are_refused(
    command: str, change: Any, says: str, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Desk(tmp_path, tiny_model, 0, change).run(command) == 2
    said = capfd.readouterr().err.splitlines()
    assert says in said[-1] and said[-1].startswith("posetalk: "), said


@pytest.mark.parametrize("command", ["evaluate", "draw", "draw one", "train", "calibrate", "bench"])
def test_turned_pictures_are_refused(
    command: str, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Desk(tmp_path, tiny_model, 4, as_it_is).run(command) == 2
    assert ODD in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out/report.json").exists()


@pytest.mark.parametrize("command", ["evaluate", "facts", "draw", "write", "train"])
@pytest.mark.parametrize("turned", [0, 1])
def test_one_turned_picture_is_told_and_the_others_go_on(
    command: str, turned: int, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Desk(tmp_path, tiny_model, turned, as_it_is).run(command) == 0
    found = capfd.readouterr()
    said = [line for line in (found.out + found.err).splitlines() if line.startswith(("note: ", "skipped: "))]
    assert len(said) == turned and all("3.jpg" in line and ODD in line for line in said)
    if command == "evaluate":
        assert json.loads((tmp_path / "out/report.json").read_text())["people"] == 4 - turned
    if command == "draw":
        assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == list("0123")[: 4 - turned]


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="POSETALK_DATA is not set to the folder of real data")
@pytest.mark.parametrize("command", ["evaluate", "draw", "calibrate", "bench"])
def test_real_labels_of_turned_photos(
    command: str, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, tiny_model, 0, as_it_is)
    (tmp_path / "labels.json").write_bytes((DATA / "coco_sample/test_coco.json").read_bytes())
    for path in (DATA / "coco_sample").glob("*.jpg"):
        with Image.open(path) as photo:
            exif = photo.getexif()
            exif[0x0112] = 6
            photo.save(tmp_path / path.name, exif=exif)
    assert desk.run(command) == 2
    assert "4 of 4" in (said := capfd.readouterr().err) and "the upright picture is" in said
