"""Three people in noise, and a run of six steps on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.settings import AugmentSettings, DataSettings, ModelSettings, TrainSettings


@pytest.fixture
def settings(tiny_settings: ModelSettings, tmp_path: Path) -> TrainSettings:
    rng = np.random.default_rng(0)
    images, people = [], []
    for number in range(1, 4):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        points = np.concatenate([rng.uniform(10, 50, (17, 2)).round(), np.full((17, 1), 2)], 1)
        people.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [4, 4, 56, 56],
                "area": 3136,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": points.reshape(-1).tolist(),
            }
        )
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": images, "annotations": people, "categories": [{"id": 1}]}))
    return TrainSettings(
        data=(DataSettings(annotations=str(labels), images=str(tmp_path)),),
        model=tiny_settings,
        max_steps=6,
        batch_size=2,
        learning_rate=0.01,
        bf16=False,
        num_workers=0,
        keypoints_per_view=4,
        save_steps=3,
        log_steps=1,
        augmentation=AugmentSettings(),
    )
