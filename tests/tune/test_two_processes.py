"""Two processes that share a batch, or the model, tune as one does, with the same loss and the same probe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tune.conftest import tiny
from tests.tune.test_tune_run import same
from tests.two_processes import run_in_two

from posetalk.tune.run import tune_model
from posetalk.tune.settings import Source

LAYERS = "LlamaDecoderLayer,CLIPEncoderLayer"  # that FSDP2 shares


@pytest.mark.parametrize("sharded", [False, True], ids=["DDP", "FSDP2"])
def test_two_processes_tune_as_one(
    llava: Path, talk: Path, general: Path, tmp_path: Path, sharded: bool
) -> None:
    """Samples of one to three turns: a mean of each process's mean loss would be another number."""
    # without dropout, whose draws are each process's own
    settings = tiny(
        llava, talk, lora_dropout=0.0, batch_size=4, per_device_batch_size=1, max_steps=3, save_steps=100,
        weight_decay=0.1, probe=Source(file=str(general), images=str(talk / "pictures")),
        gradient_checkpointing=True, feature_cache=None if sharded else str(tmp_path / "kept"),
    )  # fmt: skip
    settings.save(tmp_path / "run.toml")
    words = ("tune", "--settings", tmp_path / "run.toml", "--out", tmp_path / "two")
    run_in_two(*words, sharded_layers=LAYERS if sharded else None)
    if not sharded:  # each picture, by one or the other
        assert len(list((tmp_path / "kept").rglob("*.safetensors"))) == 10
    tune_model(settings, tmp_path / "one")
    same(tmp_path / "two", tmp_path / "one", rtol=1e-4)
    one, two = (json.loads((tmp_path / name / "probe.json").read_text()) for name in ("one", "two"))
    assert two["before"] == pytest.approx(one["before"], rel=1e-6)
    assert two["after"] == pytest.approx(one["after"], rel=1e-5)
    assert one["samples"] == two["samples"] == 6
