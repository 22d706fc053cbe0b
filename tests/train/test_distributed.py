"""Two processes that share a batch, or the network, take the steps that one takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.two_processes import run_in_two

from posetalk.settings import DataSettings, ModelSettings, TrainSettings
from posetalk.train import run
from posetalk.train.progress import StopCallback
from posetalk.train.run import train_model

LAYERS = "LlamaDecoderLayer,Dinov2Layer"  # that FSDP2 shares


def write_people(folder: Path) -> DataSettings:
    """Three pictures with one person each, whose numbers of labelled keypoints differ."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for number in range(1, 4):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        points = np.concatenate([rng.uniform(15, 45, (17, 2)).round(), np.full((17, 1), 2)], 1)
        points[5 * number :] = 0
        person = {"id": number, "image_id": number, "category_id": 1, "bbox": [4, 4, 56, 56], "area": 3136}
        keypoints = {"num_keypoints": 5 * number, "keypoints": points.reshape(-1).tolist()}
        people.append({**person, **keypoints, "iscrowd": 0})
    labels = folder / "labels.json"
    labels.write_text(json.dumps({"images": images, "annotations": people, "categories": [{"id": 1}]}))
    return DataSettings(annotations=str(labels), images=str(folder))


def logged(out: Path, key: str) -> list[float]:
    return [json.loads(line)[key] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def settings(tiny_settings: ModelSettings, tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        data=(write_people(tmp_path),), model=tiny_settings, max_steps=3, batch_size=4, per_device_batch_size=1,
        learning_rate=0.003, bf16=False, num_workers=0, log_steps=1, save_steps=100,
    )  # fmt: skip


def train_together(settings: TrainSettings, out: Path, *, sharded: bool = False) -> None:
    """The run in two processes."""
    settings.save(out.parent / "run.toml")
    run_in_two("train", out.parent / "run.toml", "--out", out, sharded_layers=LAYERS if sharded else None)


def assert_equal_runs(first: Path, second: Path) -> None:
    for key in ("loss", "grad_norm", "learning_rate"):
        one, two = logged(first, key), logged(second, key)
        assert len(one) == 3
        assert two == pytest.approx(one, rel=1e-5)
    weights = [load_file(folder / "model.safetensors") for folder in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-4, atol=1e-6, msg=name)


def test_a_run_goes_on_in_another_number_of_processes(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process, then two, then one: each view is made by its number, whoever makes it."""
    train_model(settings, tmp_path / "undisturbed")

    class Stops(StopCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_save = control.should_training_stop = True

    out, often = tmp_path / "out", settings.model_copy(update={"save_steps": 1})
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopCallback", Stops)
        train_model(often, out)  # one step
    assert len(logged(out, "loss")) == 1
    train_together(often, out)
    shutil.rmtree(out / "checkpoints" / "checkpoint-3")  # as if it had been stopped after the second step
    train_model(often, out)
    assert_equal_runs(tmp_path / "undisturbed", out)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "undisturbed", out)]
    assert configs[0] == configs[1]


def test_two_that_share_a_network_learn_what_one_does_and_go_on(
    settings: TrainSettings, tmp_path: Path
) -> None:
    train_model(settings, tmp_path / "one")
    often, two = settings.model_copy(update={"save_steps": 1}), tmp_path / "two"
    train_together(often, two, sharded=True)
    assert_equal_runs(tmp_path / "one", two)
    shutil.rmtree(two / "checkpoints" / "checkpoint-3")  # as if it had been stopped after the second step
    for file in ("model.safetensors", "README.md"):
        (two / file).unlink()
    train_together(often, two, sharded=True)
    assert_equal_runs(tmp_path / "one", two)
