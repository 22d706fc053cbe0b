"""Others' predictions beside a model's own: told apart by name, and none takes a column's or a source's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.locate.predictions import GROUND_TRUTH, MODEL, Prediction, PredictionLog, read_predictions
from posetalk.score.report import EvaluationReport
from posetalk.score.run import _box_source, evaluate_model, read_others
from posetalk.settings import EvaluateSettings
from posetalk.types import Box, frozen_array

ASTRONAUT = Path(skimage.__path__[0]) / "data" / "astronaut.png"


def test_runs_that_all_hold_a_predictions_file_are_told_apart(tmp_path: Path) -> None:
    files = [
        tmp_path / name
        for name in ("a/run/predictions.jsonl", "b/run/predictions.jsonl", "baseline.jsonl", "c.jsonl")
    ]
    for n, file in enumerate(files, 1):
        one = Prediction(n, 1, "a.jpg", Box(0, 0, 9, 9), GROUND_TRUTH, ("nose",), frozen_array([[1, 2, 0.5]]))
        with PredictionLog(file) as log:
            log.add([one])
    files[3].write_bytes(files[3].read_bytes() + b'{"image')
    found, told = read_others(files)
    numbers = {name: some[0].image_id for name, some in found.items()}
    assert numbers == {"a/run/predictions": 1, "b/run/predictions": 2, f"{tmp_path.name}/baseline": 3, "c": 4}
    assert len(told) == 1 and "cut off" in told[0]
    with pytest.raises(PosetalkError, match="given twice"):
        read_others([files[0], files[0]])


def test_a_file_of_boxes_passes_for_no_other_source() -> None:
    assert _box_source(Path("deep/detector.json")) == "detector.json"
    assert not {_box_source(Path(name)) for name in (MODEL, GROUND_TRUTH)} & {MODEL, GROUND_TRUTH}


def test_an_evaluation_returns_its_report_and_prints_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="posetalk")
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(tmp_path / "1.png")
    person = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 60], "area": 3000, "iscrowd": 0}
    people = [
        {**person, "id": number, "keypoints": [30, 20, 2] * count, "num_keypoints": count}
        for number, count in ((1, 17), (2, 16))  # the second one's keypoints are not COCO's
    ]
    image = {"id": 1, "file_name": "1.png", "width": 100, "height": 80}
    labels = {"images": [image], "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    settings = EvaluateSettings(
        model=str(tiny_model), annotations=str(tmp_path / "labels.json"), images=str(tmp_path)
    )
    report = evaluate_model(settings, tmp_path / "out")
    assert isinstance(report, EvaluationReport) and report.people == 1
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(
        json.dumps(report.to_dict())
    )
    assert (tmp_path / "out" / "report.md").read_text().startswith(report.to_markdown())
    assert any(message.startswith("skipped: ") for message in caplog.messages)
    assert capsys.readouterr().out == ""


def test_people_may_come_from_a_detector(tiny_model: Path, tmp_path: Path) -> None:
    Image.open(ASTRONAUT).convert("RGB").save(tmp_path / "1.png")
    person = {
        "image_id": 1,
        "category_id": 1,
        "id": 1,
        "bbox": [10, 5, 370, 505],
        "area": 90000,
        "iscrowd": 0,
    }
    person |= {"keypoints": [200, 100, 2] * 17, "num_keypoints": 17}
    image = {"id": 1, "file_name": "1.png", "width": 512, "height": 512}
    labels = {"images": [image], "annotations": [person], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    given = {"model": str(tiny_model), "annotations": str(tmp_path / "labels.json"), "images": str(tmp_path)}
    settings = EvaluateSettings(**given, detector="bundled", min_score=0.5)
    report = evaluate_model(settings, tmp_path / "out")
    assert report.box_source == "detector bundled" and report.numbers["AP"] is not None
    (found,), _ = read_predictions(tmp_path / "out" / "predictions.jsonl")
    assert found.box_score > 0.5 and abs(found.box.h - 500) < 30
    with pytest.raises(PosetalkError, match="detector"):
        evaluate_model(settings.model_copy(update={"detector": None}), tmp_path / "out")
    with pytest.raises(PosetalkError, match="give one"):
        evaluate_model(settings.model_copy(update={"boxes": "boxes.json"}), tmp_path / "other")
