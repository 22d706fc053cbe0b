"""Two processes that share a batch take the steps that one takes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from posetalk.settings import DataSettings, ModelSettings, TrainSettings
from posetalk.train.run import train_model


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


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def logged(out: Path, key: str) -> list[float]:
    return [json.loads(line)[key] for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_learn_what_one_does(tiny_settings: ModelSettings, tmp_path: Path) -> None:
    settings = TrainSettings(
        data=(write_people(tmp_path),), model=tiny_settings, max_steps=3, batch_size=4, per_device_batch_size=1,
        learning_rate=0.003, bf16=False, num_workers=0, log_steps=1, save_steps=100,
    )  # fmt: skip
    settings.save(tmp_path / "run.toml")
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    command = ["-m", "posetalk", "train", str(tmp_path / "run.toml"), "--out", str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *launch, *command], env=environment, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr[-3000:]

    train_model(settings, tmp_path / "one")
    for key in ("loss", "grad_norm", "learning_rate"):
        one, two = logged(tmp_path / "one", key), logged(tmp_path / "two", key)
        assert len(one) == 3
        assert two == pytest.approx(one, rel=1e-5)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-4, atol=1e-6, msg=name)
