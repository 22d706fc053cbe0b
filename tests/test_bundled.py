"""The model that comes with the package: small, clean, and it sees."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from posetalk.formats.dataset import read_people
from posetalk.locate.jobs import labelled_jobs, run_jobs
from posetalk.locate.localizer import Localizer
from posetalk.score.evaluate import evaluate
from posetalk.skeleton import load_skeleton

FOLDER = Path(str(files("posetalk").joinpath("bundled")))


def test_it_is_small_has_a_card_and_names_no_path() -> None:
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 60e6
    assert {f.suffix for f in FOLDER.iterdir()} <= {".safetensors", ".onnx", ".json", ".jinja", ".md", ""}
    assert "LSPET" in (FOLDER / "README.md").read_text()
    for file in FOLDER.glob("*config.json"):
        assert "/tmp" not in file.read_text() and "/home" not in file.read_text()


@pytest.mark.realdata
def test_it_beats_the_average_place_on_photos_it_has_not_seen(tmp_path: Path) -> None:
    data = Path(os.environ["POSETALK_DATA"]) / "coco_people"
    truth = read_people(data / "annotations" / "person_keypoints_val2017.json", data / "val2017")
    truth = replace(truth, images=truth.images[:20])
    model, points = Localizer.from_pretrained("bundled"), load_skeleton("coco17")
    found, skipped = run_jobs(
        model, labelled_jobs(truth, 1.25), points.keypoints, tmp_path / "predictions.jsonl"
    )
    report = evaluate(truth, found, points)
    assert not skipped and report.missing == 0
    low, _ = report.intervals["mean_oks_over_baseline"]
    assert low > 0.4  # the 95 % interval of the lead
