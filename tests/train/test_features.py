"""What a frozen tower sees is computed once, and learned from as if it were computed every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, TrainingArguments

from posetalk.errors import PosetalkError
from posetalk.images.affine import Square
from posetalk.model.files import build
from posetalk.model.movenet import MoveNetConfig, MoveNetModel
from posetalk.model.posellm import PoseLLMModel
from posetalk.settings import CropSettings, ModelSettings, TrainSettings
from posetalk.train import run
from posetalk.train.feature_cache import FeatureCache, vision_features


def movenet(folder: Path) -> str:
    """A tiny tower with fine maps and heat maps."""
    torch.manual_seed(0)
    tower: PreTrainedModel = MoveNetModel(
        MoveNetConfig(
            stem_channels=8,
            stage_channels=(4, 4, 8, 8, 8, 8, 8),
            head_channels=16,
            pyramid_channels=(8, 4, 4, 4),
            heat_channels=4,
            heat_maps=2,
        )
    )
    tower.save_pretrained(folder / "movenet")
    return str(folder / "movenet")


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("tower", ["dinov2", "movenet"])
def test_kept_features_teach_what_pixels_teach(
    settings: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tower: str,
) -> None:
    assert settings.model
    change = {
        "tune_vision_encoder": "frozen",
        "tune_language_model": "layers",
        "readout": "point",
        "cells": 2,
    }
    if tower == "movenet":
        change |= {"vision_encoder": movenet(tmp_path), "crop": CropSettings(size=64, pixels="half")}
    plain = settings.model_copy(update={"model": settings.model.model_copy(update=change)})
    kept = plain.model_copy(update={"feature_cache": str(tmp_path / "features")})
    run.train_model(plain, tmp_path / "plain")
    run.train_model(kept, tmp_path / "kept")
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "plain"), rel=2e-2)
    assert len(list((tmp_path / "features").rglob("*.safetensors"))) == 12  # 6 steps x 2 people
    assert not list((tmp_path / "features").rglob("*.part"))

    # Another run of the same views, here one that learns otherwise, does not look again.
    def blind(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(PoseLLMModel, "vision_output", blind)
    run.train_model(kept.model_copy(update={"learning_rate": 1e-3}), tmp_path / "again")
    with pytest.raises(AssertionError):
        run.train_model(kept.model_copy(update={"seed": 7}), tmp_path / "others")


def test_a_tower_that_learns_keeps_nothing(settings: TrainSettings, tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="set tune_vision_encoder to 'frozen'"):
        run.train_model(
            settings.model_copy(update={"feature_cache": str(tmp_path / "features")}), tmp_path / "run"
        )
    assert not (tmp_path / "features").exists()


def test_whatever_shapes_a_view_names_it(tiny_settings: ModelSettings, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(picture)
    Image.fromarray(np.ones((60, 60, 3), np.uint8)).save(tmp_path / "b.png")
    model, _ = build(tiny_settings)
    square = Square((30, 30), 40, 56)

    def kept(pixels: str = "imagenet") -> FeatureCache:
        return FeatureCache(tmp_path, model.model.vision_tower, pixels)

    changes: dict[str, Callable[[], Path]] = {
        "nothing": lambda: kept().path(picture, square),
        "picture": lambda: kept().path(tmp_path / "b.png", square),
        "square": lambda: kept().path(picture, replace(square, flip=True)),
        "no square": lambda: kept().path(picture),
        "pixels": lambda: kept("half").path(picture, square),
    }
    found = {name: make() for name, make in changes.items()}
    assert found["nothing"] == changes["nothing"]()
    with torch.no_grad():
        next(model.model.vision_tower.parameters()).add_(1e-3)
    found["tower"] = changes["nothing"]()
    Image.fromarray(np.zeros((60, 62, 3), np.uint8)).save(picture)
    found["edited picture"] = changes["nothing"]()
    assert len(set(found.values())) == 7


def test_a_damaged_file_is_named(tiny_settings: ModelSettings, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(picture)
    model, _ = build(tiny_settings)
    features, square = FeatureCache(tmp_path, model.model.vision_tower, "half"), Square((30, 30), 40, 56)
    features.fill(
        [(picture, square)],
        partial(vision_features, model, CropSettings(size=56)),
        TrainingArguments(use_cpu=True),
    )
    features.read(picture, square)
    features.path(picture, square).write_bytes(b"half")
    with pytest.raises(PosetalkError, match=r"cannot read the features .*; delete the folder"):
        features.read(picture, square)


def test_a_place_that_takes_no_more_is_named(tiny_settings: ModelSettings, tmp_path: Path) -> None:
    picture, square = tmp_path / "a.png", Square((30, 30), 40, 56)
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(picture)
    model, _ = build(tiny_settings)
    (tmp_path / "kept").write_text("a file where the folder should be")
    features = FeatureCache(tmp_path / "kept", model.model.vision_tower, "half")
    with pytest.raises(PosetalkError, match=r"cannot write .*safetensors.*; make room"):
        features.fill(
            [(picture, square)],
            partial(vision_features, model, CropSettings(size=56)),
            TrainingArguments(use_cpu=True),
        )
