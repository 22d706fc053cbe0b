"""The commands, run in this process on a tiny model with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.cli import main
from posetalk.skeleton import skeleton


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
    names = [n.replace(" ", "_") for n in skeleton("coco17").names]
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
