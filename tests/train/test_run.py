"""Runs learn, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.settings import AugmentSettings, DataSettings, ModelSettings, TrainSettings
from posetalk.train import run


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
        steps=6,
        batch=2,
        rate=0.01,
        bf16=False,
        workers=0,
        questions=4,
        save_steps=3,
        log_steps=1,
        augment=AugmentSettings(),
    )


def losses(out: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows]


def test_a_killed_run_goes_on_exactly(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.train(settings, tmp_path / "whole")
    whole = losses(tmp_path / "whole")
    assert whole[-1][1] < whole[0][1]

    step = run._Report.on_step_end

    def killed(self, args, state, control, **rest):
        step(self, args, state, control, **rest)
        if state.global_step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run._Report, "on_step_end", killed)
        run.train(settings, tmp_path / "killed")
    # the lines up to the last checkpoint stay as they are: what was learned there is not learned again
    log = tmp_path / "killed" / "log.jsonl"
    saved = int(sorted((tmp_path / "killed" / "checkpoints").iterdir())[-1].name.split("-")[1])
    assert 1 < saved <= 4
    log.write_text(log.read_text().replace('{"step"', '{"marked": 1, "step"'))
    run.train(settings, tmp_path / "killed")
    marked = [json.loads(line)["step"] for line in log.read_text().splitlines() if "marked" in line]
    assert marked == list(range(1, saved + 1))
    resumed = dict(losses(tmp_path / "killed"))
    assert sorted(resumed) == [1, 2, 3, 4, 5, 6]
    for number, loss in whole:
        assert resumed[number] == pytest.approx(loss, abs=1e-5)
