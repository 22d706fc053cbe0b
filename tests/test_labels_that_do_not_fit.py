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
import torch
from PIL import Image

from posetalk.cli import main
from posetalk.model.files import build, load, save
from posetalk.settings import ModelSettings
from posetalk.skeleton import load_skeleton

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
NAMES = [name.replace(" ", "_") for name in load_skeleton("coco17").names]
WIDTH, HEIGHT = 120, 80
ODD = "labels say 120 x 80, the upright image is 80 x 120; it was turned since"


class Desk:
    """Four labelled photos, of which the last ones are turned by EXIF, and the words of the commands."""

    def __init__(
        self,
        at: Path,
        model: Path,
        turned: int,
        change: Callable[[dict[str, Any]], object],
        *,
        turn: int = 6,
        sized: bool = True,
        zoom: int = 1,
    ) -> None:
        self.at, self.model = at, model
        images, people = [], []
        for i in range(4):
            exif = Image.Exif()
            exif[0x0112] = turn if i >= 4 - turned else 1
            noise = np.random.default_rng(i).integers(0, 255, (HEIGHT * zoom, WIDTH * zoom, 3), np.uint8)
            Image.fromarray(noise).save(at / f"{i}.jpg", exif=exif)
            size = {"width": WIDTH * zoom, "height": HEIGHT * zoom} if sized else {}
            images.append({"id": i, "file_name": f"{i}.jpg"} | size)
            points = [v for j in range(17) for v in (52 + 14 * (j % 2) + i, 12 + 3.5 * j, 2)]
            people.append({"id": i, "image_id": i, "category_id": 1, "bbox": [50, 8, 20, 66], "iscrowd": 0})
            people[-1] |= {"area": 700 * zoom**2, "keypoints": points}
            scaled(zoom)(people[-1])
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

    def beside(self, name: str, rows: Any) -> Path:
        """Another file of the run: objects, detections."""
        (self.at / name).write_text(json.dumps(rows))
        return self.at / name

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

    def run(self, command: str, *more: object) -> int:
        try:
            main([*self.words(command), *map(str, more)])
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


def scaled(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(person: dict[str, Any]) -> None:
        person["bbox"] = [factor * v for v in person["bbox"]]
        person["keypoints"] = [v * (1 if j % 3 == 2 else factor) for j, v in enumerate(person["keypoints"])]

    return change


@pytest.fixture
def pointing(tmp_path: Path, tiny_settings: ModelSettings) -> Path:
    """A model with the readout `point`, which was calibrated once."""
    torch.manual_seed(0)
    model, tokenizer = build(tiny_settings.model_copy(update={"readout": "point", "cells": 4}))
    with torch.no_grad():
        model.point.visible_line.copy_(torch.tensor([2.0, 0.5]))
    save(model, tokenizer, tmp_path / "model")
    return tmp_path / "model"


LABELS = {
    "twice as large": (
        scaled(2),
        "48 of 68 labelled keypoints lie outside their images; made for larger ones?",
    ),
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


def notes(found: Any) -> list[str]:
    """What a command says of the labels, on whichever stream."""
    lines = (found.out + found.err).splitlines()
    return [
        line
        for line in lines
        if any(word in line for word in ("keypoints lie", "EXIF", "boxes lie", "no box"))
    ]


NO_FURTHER = "labels.json: no labelled keypoints lie beyond 29% of the width and 42% of the height of "


@pytest.mark.parametrize(
    ("command", "sized"),
    [
        *(("evaluate", False), ("facts", True), ("facts", False), ("draw", False)),
        *(("write", True), ("write", False), ("train", True), ("calibrate", False)),
    ],
)
def test_labels_of_half_the_size_are_told(
    command: str, sized: bool, tmp_path: Path, pointing: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    zoom = 4 if command == "write" else 1  # nothing is written of people of 33 px
    assert Desk(tmp_path, pointing, 0, scaled(0.5), sized=sized, zoom=zoom).run(command) == 0
    (said,) = notes(capfd.readouterr())
    whose = "their images" if sized else "the upright images"
    assert f"{NO_FURTHER}{whose}; made for smaller ones? give them in px of these images" in said


@pytest.mark.parametrize("command", ["facts", "write"])
def test_without_sizes_photos_may_be_small_copies_which_is_told(
    command: str, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Desk(tmp_path, tiny_model, 0, scaled(2), sized=False).run(command) == 0
    (said,) = notes(capfd.readouterr())
    assert "48 of 68 labelled keypoints lie outside the upright images; made for larger ones?" in said


@pytest.mark.parametrize(
    ("command", "turn", "turned"),
    [
        *(("facts", 1, 4), ("facts", 2, 4), ("facts", 3, 1), ("facts", 4, 1)),
        *(("evaluate", 3, 1), ("draw", 3, 2), ("write", 3, 4), ("train", 2, 1), ("calibrate", 4, 3)),
    ],
)
def test_turns_that_keep_the_size_are_told(
    command: str, turn: int, turned: int, tmp_path: Path, pointing: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Desk(tmp_path, pointing, turned, as_it_is, turn=turn).run(command) == 0
    said = notes(capfd.readouterr())
    assert len(said) == (turn > 1)
    for line in said:
        assert f"{turned} of 4 images are turned or mirrored by EXIF, which their size does not show" in line
        assert f"(the first: {4 - turned}.jpg)" in line and "made before that do not fit" in line


CHAIR = [60.0, 30.0, 50.0, 40.0]
OBJECTS: dict[str, tuple[list[float], int, str | None]] = {  # a box in each picture, what is added to ids
    "good": (CHAIR, 0, None),
    "normalised": ([0.5, 0.375, 0.42, 0.5], 0, "8 of 8 boxes are 1 px or smaller; normalised coordinates?"),
    "corners": (
        [60, 30, 110, 70],
        0,
        "8 of 8 boxes reach far out of their images, so they seem to be left, top, right, bottom; write them",
    ),
    "of other pictures": (
        CHAIR,
        100,
        "none of its 8 boxes lies on a labelled image; their image ids differ",
    ),
    "twice as large": (
        [120, 60, 100, 80],
        0,
        "8 of 8 boxes lie outside their images; made for larger ones?",
    ),
}


def things(box: list[float], shift: int) -> dict[str, Any]:
    rows = [{"image_id": i % 4 + shift, "category_id": 62, "bbox": box} for i in range(8)]
    return {"annotations": rows, "categories": [{"id": 1, "name": "person"}, {"id": 62, "name": "chair"}]}


@pytest.mark.parametrize("command", ["facts", "write", "bench"])
@pytest.mark.parametrize(("box", "shift", "says"), OBJECTS.values(), ids=OBJECTS)
def test_objects_that_do_not_fit_are_refused(
    command: str,
    box: list[float],
    shift: int,
    says: str | None,
    tmp_path: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    desk = Desk(tmp_path, tiny_model, 0, as_it_is)
    code = desk.run(command, "--objects", desk.beside("things.json", things(box, shift)))
    found = capfd.readouterr()
    if says is None:
        assert not notes(found) and (code == 0 or command == "bench")
    else:
        assert code == 2 and found.err.splitlines()[-1].startswith(
            f"posetalk: {tmp_path}/things.json: {says}"
        )


def test_objects_of_half_the_size_are_told(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in ("facts", "write"):
        desk = Desk(tmp_path, tiny_model, 0, as_it_is)
        objects = desk.beside("things.json", things([v / 2 for v in CHAIR], 0))
        assert desk.run(command, "--objects", objects) == 0
        (said,) = notes(capfd.readouterr())
        assert (
            "things.json: no boxes lie beyond 46% of the width and 44% of the height of their images" in said
        )


DETECTED: dict[str, tuple[list[float], list[int], bool, int, str]] = {
    # a box, on which pictures; whether the labels say the pictures' sizes; the exit code
    "corners": ([90, 8, 110, 74], [0, 1, 2, 3], True, 2, "left, top, right, bottom; read them with"),
    "corners, without sizes": ([90, 8, 110, 74], [0, 1, 2], False, 2, "left, top, right, bottom; read them"),
    "larger, without sizes": ([100, 16, 40, 132], [0, 1, 2], False, 2, "3 of 3 boxes lie outside their ima"),
    "smaller, without sizes": (
        [25, 4, 10, 33],
        [0, 1, 2, 3],
        False,
        0,
        "no boxes lie beyond 29% of the width",
    ),
    "of other pictures": ([50, 8, 20, 66], [7, 8, 9], True, 2, "none of its 3 boxes lies on a labelled imag"),
    "most of others": ([50, 8, 20, 66], [0, 1, 2, 7, 8, 9, 9], True, 0, "4 of 7 boxes lie on images that"),
}


@pytest.mark.parametrize(("box", "ids", "sized", "code", "says"), DETECTED.values(), ids=DETECTED)
def test_detections_that_do_not_fit(
    box: list[float],
    ids: list[int],
    sized: bool,
    code: int,
    says: str,
    tmp_path: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    desk = Desk(tmp_path, tiny_model, 0, as_it_is, sized=sized)
    rows = [{"image_id": i, "category_id": 1, "bbox": box, "score": 0.9} for i in ids]
    assert desk.run("evaluate", "--boxes", desk.beside("boxes.json", rows)) == code
    found = capfd.readouterr()
    if code:
        assert (
            found.err.splitlines()[-1].startswith(f"posetalk: {tmp_path}/boxes.json: ") and says in found.err
        )
    else:
        assert len(said := notes(found)) == 1 and says in said[0]


@pytest.mark.parametrize("tells", [True, False])
def test_visible_is_calibrated_where_the_labels_tell_it(
    tells: bool, tmp_path: Path, pointing: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def hidden(person: dict[str, Any]) -> None:
        if tells:
            person["keypoints"][2] = 1

    assert Desk(tmp_path, pointing, 0, hidden).run("calibrate") == 0
    line = load(tmp_path / "out")[0].point.visible_line.tolist()
    said = "visible as it was, for the labels do not tell seen keypoints from hidden ones"
    assert (said in capfd.readouterr().out) == (not tells)
    assert (line == [2.0, 0.5]) == (not tells)
    assert ("- Of visible: as it was" in (tmp_path / "out/README.md").read_text()) == (not tells)


@pytest.mark.realdata
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
    assert "4 of 4" in (said := capfd.readouterr().err) and "the upright image is" in said
