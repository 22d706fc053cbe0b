"""Runs learn, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from posetalk.settings import TrainSettings
from posetalk.train import run


def losses(out: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows]


def test_a_killed_run_goes_on_exactly(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.train_model(settings, tmp_path / "whole")
    whole = losses(tmp_path / "whole")
    assert whole[-1][1] < whole[0][1]

    step = run.ProgressCallback.on_step_end

    def killed(self, args, state, control, **rest):
        step(self, args, state, control, **rest)
        if state.global_step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run.ProgressCallback, "on_step_end", killed)
        run.train_model(settings, tmp_path / "killed")
    # the lines up to the last checkpoint stay as they are: what was learned there is not learned again
    log = tmp_path / "killed" / "log.jsonl"
    saved = int(sorted((tmp_path / "killed" / "checkpoints").iterdir())[-1].name.split("-")[1])
    assert 1 < saved <= 4
    log.write_text(log.read_text().replace('{"step"', '{"marked": 1, "step"'))
    run.train_model(settings, tmp_path / "killed")
    marked = [json.loads(line)["step"] for line in log.read_text().splitlines() if "marked" in line]
    assert marked == list(range(1, saved + 1))
    resumed = dict(losses(tmp_path / "killed"))
    assert sorted(resumed) == [1, 2, 3, 4, 5, 6]
    for number, loss in whole:
        assert resumed[number] == pytest.approx(loss, abs=1e-5)


def test_ctrl_c_leaves_a_checkpoint(settings: TrainSettings, tmp_path: Path) -> None:
    class Pressed(run.StopCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == 1:
                os.kill(os.getpid(), signal.SIGINT)
            super().on_step_end(args, state, control, **more)

    patient = settings.model_copy(update={"save_steps": 100})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "StopCallback", Pressed)
        run.train_model(patient, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()] == ["checkpoint-1"]
    assert [step for step, _ in losses(tmp_path / "out")] == [1]
    run.train_model(patient, tmp_path / "out")
    assert [step for step, _ in losses(tmp_path / "out")] == [1, 2, 3, 4, 5, 6]
