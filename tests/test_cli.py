"""The commands, run in this process on a tiny model with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.cli import app, main
from posetalk.skeleton import load_skeleton


@pytest.fixture
def people(tmp_path: Path) -> tuple[Path, Path]:
    """Labels of one person, and the folder of the picture."""
    images = tmp_path / "images"
    images.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(images / "1.png")
    triples = [v for i in range(17) for v in (20 + i, 30 + i, 2)]
    person = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 10, 60, 60],
        "area": 1900.0,
        "iscrowd": 0,
    }
    names = [n.replace(" ", "_") for n in load_skeleton("coco17").names]
    labels = {
        "images": [{"id": 1, "file_name": "1.png", "width": 120, "height": 80}],
        "annotations": [person | {"keypoints": triples, "num_keypoints": 17}],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(labels))
    return file, images


def run(*words: object) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main([str(w) for w in words])
    return int(stop.value.code or 0)


def test_evaluate_reports_resumes_and_refuses_another_run(
    people: tuple[Path, Path], tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, images = people
    out = tmp_path / "out"
    words = ["evaluate", "--annotations", labels, "--images", images, "--out", out, "--model", tiny_model]
    for _ in range(2):
        assert run(*words) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["box_source"] == "ground truth" and {"AP", "AP50", "AR", "mean_oks", "baseline"} <= set(
        report
    )
    assert len((out / "predictions.jsonl").read_text().splitlines()) == 1
    capsys.readouterr()
    assert run(*words, "--decoding", "greedy") == 2
    assert "run with other settings" in capsys.readouterr().err


def test_locate_many_resumes_skips_what_is_damaged_and_refuses_other_questions(
    people: tuple[Path, Path], tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, images = people
    (images / "broken.jpg").write_bytes(b"not an image")
    Image.new("RGB", (50, 70), "white").save(images / "000000000785.png")
    out, drawn = tmp_path / "out", tmp_path / "drawn"
    words = [
        "locate",
        images,
        "--model",
        tiny_model,
        "--whole-image",
        "--ask",
        "chin",
        "--ask",
        "left heel: the back",
        "--out",
        out,
    ]
    assert run(*words, "--draw", drawn) == 0
    assert "broken.jpg" in capsys.readouterr().out
    rows = json.loads((out / "keypoints.json").read_text())
    assert {(r["file_name"], r["image_id"]) for r in rows} == {("1.png", 1), ("000000000785.png", 785)}
    assert all(len(r["keypoints"]) == 6 and r["category_id"] == 1 for r in rows)
    assert {p.name for p in drawn.iterdir()} == {"1.png", "000000000785.png"}
    before = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").write_bytes(
        before[: before.index(b"\n") + 20]
    )  # killed while writing the second
    assert run(*words) == 0
    assert sorted((out / "predictions.jsonl").read_bytes().splitlines()) == sorted(before.splitlines())
    assert run(*words[:-2], "--ask", "nose", "--out", out) == 2
    assert "run with other settings" in capsys.readouterr().err


def test_locate_one_writes_json_and_picture(
    people: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    photo, result, picture = people[1] / "1.png", tmp_path / "new" / "pose.json", tmp_path / "pose.png"
    assert run("locate", photo, "--model", tiny_model, "--skeleton", "coco17", "--ask", "chin: below the mouth",
               "--box", "10,10,60,60", "--json", result, "--draw", picture) == 0  # fmt: skip
    (person,) = json.loads(result.read_text())["people"]
    assert [p["name"] for p in person["keypoints"]] == [*load_skeleton("coco17").names, "chin"]
    with Image.open(picture) as drawn:
        assert drawn.width >= 120


@pytest.mark.parametrize("form", ["xywh", "xyxy"])
def test_evaluate_on_a_detectors_boxes(
    form: str, people: tuple[Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    labels, images = people
    corner = {"xywh": [10, 10, 60, 60], "xyxy": [10, 10, 70, 70]}[form]
    boxes = tmp_path / "detector.json"
    boxes.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": corner, "score": 0.9}]))
    out = tmp_path / "out"
    assert run("evaluate", "--annotations", labels, "--images", images, "--out", out, "--model", tiny_model,
               "--boxes", boxes, "--box-format", form) == 0  # fmt: skip
    assert json.loads((out / "report.json").read_text())["box_source"] == "detector.json"
    (line,) = (out / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["box"] == [10, 10, 60, 60] and json.loads(line)["box_score"] == 0.9


def test_a_mpii_box_is_not_padded_twice(tmp_path: Path) -> None:
    from posetalk.formats.mpii import read_mpii

    record = {
        "image": "1.png",
        "center": [50, 40],
        "scale": 0.3,
        "joints": [[9, 9]] * 16,
        "joints_vis": [1] * 16,
    }
    (tmp_path / "m.json").write_text(json.dumps([record]))
    data = read_mpii(tmp_path / "m.json", tmp_path)
    (_, person) = next(data.people())
    assert person.box.w == pytest.approx(75)  # 200 px x 0.3 x 1.25
    assert data.cropped(person.box, 1.25).w == pytest.approx(60)
    assert data.cropped(person.box, 1.0).w == pytest.approx(75)
    assert data.cropped(person.box, 1.25).center == pytest.approx(person.box.center)


def test_skeletons_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("skeletons") == 0 and run("skeletons", "lsp14") == 0
    shown = capsys.readouterr().out
    assert "humanart21" in shown and "head top" in shown


COMMANDS = sorted(name for name in app if not name.startswith("-") and name != "bench")
BENCH = sorted(f"bench {name}" for name in app["bench"] if not name.startswith("-"))


@pytest.mark.parametrize("command", COMMANDS + BENCH)
def test_help_says_what_every_option_is(command: str) -> None:
    found = app
    for name in command.split():
        found = found[name]
    for argument in found.assemble_argument_collection(parse_docstring=True):
        words = (argument.parameter.help or "").split()
        assert len(words) > 1, f"{command} {argument.name} is not described"
