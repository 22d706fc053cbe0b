"""Two processes that share a batch, or the model, tune as one does, with the same loss and the same probe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tune.conftest import tiny
from tests.tune.test_tune_run import same

from posetalk.tune.run import tune_model
from posetalk.tune.settings import Source

LAYERS = {"FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer,CLIPEncoderLayer"}  # that FSDP2 shares


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    program = [str(Path(__file__).parents[1] / "sharded_on_cpu.py")] if sharded else ["-m", "posetalk"]
    command = [*program, "tune", "--settings", str(tmp_path / "run.toml"), "--out", str(tmp_path / "two")]
    done = subprocess.run(
        [sys.executable, *launch, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **LAYERS},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    if not sharded:  # each picture, by one or the other
        assert len(list((tmp_path / "kept").rglob("*.safetensors"))) == 10
    tune_model(settings, tmp_path / "one")
    same(tmp_path / "two", tmp_path / "one", rtol=1e-4)
    one, two = (json.loads((tmp_path / name / "probe.json").read_text()) for name in ("one", "two"))
    assert two["before"] == pytest.approx(one["before"], rel=1e-6)
    assert two["after"] == pytest.approx(one["after"], rel=1e-5)
    assert one["samples"] == two["samples"] == 6
