"""Scores that mean something: bins, their error, its picture, and a model that is calibrated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from posetalk.cli import main
from posetalk.model.files import build, load, save
from posetalk.score.calibrate import _fit_visible
from posetalk.score.calibration import draw_reliability, reliability
from posetalk.settings import ModelSettings
from posetalk.skeleton import load_skeleton


def test_bins_hold_who_they_should() -> None:
    bins, error = reliability([0.0, 0.05, 0.11, 0.99, 1.0], [0.5, 0.1, 0.2, 0.9, 1.0])
    assert [b.n for b in bins] == [2, 1, 2]
    assert bins[0].score == pytest.approx(0.025) and bins[0].similarity == pytest.approx(0.3)
    assert error == pytest.approx((2 * 0.275 + 1 * 0.09 + 2 * 0.045) / 5)
    assert reliability([], []) == ((), None)


def test_the_error_is_nothing_for_true_scores_and_the_shift_for_shifted_ones() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 1, 20000)
    right = (rng.uniform(0, 1, 20000) < score).astype(float)
    assert reliability(score, right)[1] < 0.02
    assert reliability(np.clip(score + 0.2, 0, 1), right)[1] == pytest.approx(0.18, abs=0.02)


def test_the_diagram_is_a_picture(tmp_path: Path) -> None:
    bins, error = reliability([0.1, 0.5, 0.9], [0.2, 0.4, 0.9])
    assert error is not None
    draw_reliability(bins, error, tmp_path / "r.png")
    with Image.open(tmp_path / "r.png") as picture:
        assert min(picture.size) > 400


def test_the_visible_line_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    logit = torch.from_numpy(rng.normal(0, 2, 5000)).float()
    seen = torch.from_numpy(rng.uniform(0, 1, 5000)).float() < torch.sigmoid(0.5 * logit + 1)
    assert _fit_visible(logit, seen.float()) == pytest.approx((0.5, 1.0), abs=0.1)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    names = load_skeleton("coco17").names
    rng = np.random.default_rng(0)
    images, people = [], []
    for number in range(1, 5):
        Image.fromarray(rng.integers(0, 255, (80, 120, 3), np.uint8)).save(tmp_path / f"{number}.png")
        points = np.concatenate([rng.uniform(10, 70, (17, 2)), rng.integers(0, 3, (17, 1))], 1)
        images.append({"id": number, "file_name": f"{number}.png", "width": 120, "height": 80})
        person = {
            "id": number,
            "image_id": number,
            "category_id": 1,
            "bbox": [10, 10, 60, 60],
            "area": 1900.0,
        }
        people.append(person | {"keypoints": points.round(1).reshape(-1).tolist()})
    category = {"id": 1, "name": "person", "keypoints": [n.replace(" ", "_") for n in names]}
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return file


def test_a_calibrated_model_knows_how_little_it_knows(
    labels: Path, tiny_settings: ModelSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model, tokenizer = build(tiny_settings.model_copy(update={"readout": "point", "cells": 4}))
    with torch.no_grad():  # sure of itself, without reason
        model.point.query.weight.mul_(20)
        model.point.coarse.weight.mul_(20)
    save(model, tokenizer, tmp_path / "model")
    given = ["--annotations", str(labels), "--images", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", str(tmp_path / "model"), str(tmp_path / "out"), *given])
    assert not stop.value.code
    again, _ = load(tmp_path / "out")
    assert float(again.point.temperature) > 1.5
    assert f"temperature {float(again.point.temperature):.2f}" in capsys.readouterr().out
    errors = []
    for name in ("model", "out"):
        with pytest.raises(SystemExit) as stop:
            main(
                [
                    "evaluate",
                    "--model",
                    str(tmp_path / name),
                    *given,
                    "--out",
                    str(tmp_path / f"{name}-report"),
                ]
            )
        assert not stop.value.code
        report = json.loads((tmp_path / f"{name}-report" / "report.json").read_text())
        assert 0 <= report["visible"]["right"] <= 1 and (tmp_path / f"{name}-report/reliability.png").exists()
        errors.append(report["calibration_error"])
    assert errors[1] < errors[0] - 0.02, errors


def test_only_heat_maps_can_be_calibrated(
    labels: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "calibrate",
                str(tiny_model),
                str(tmp_path / "out"),
                "--annotations",
                str(labels),
                "--images",
                str(tmp_path),
            ]
        )
    assert stop.value.code == 2
    assert "no readout 'point'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
