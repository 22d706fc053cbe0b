"""`posetalk train`, killed twice, ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

from tests.killed import end_alike

from posetalk.settings import LoraSettings, TrainSettings


def test_killed_and_resumed_is_undisturbed(settings: TrainSettings, tmp_path: Path) -> None:
    assert settings.model
    model = settings.model.model_copy(update={"lora": LoraSettings(dropout=0.1)})  # draws of its own
    settings.model_copy(update={"model": model, "max_steps": 24, "save_steps": 4}).save(tmp_path / "run.toml")
    end_alike(tmp_path, "train", tmp_path / "run.toml")
