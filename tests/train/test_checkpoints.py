"""A damaged checkpoint is told and set aside; the run goes on from the one before, or anew, and ends the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from posetalk.settings import TrainSettings
from posetalk.train.run import train_model
from posetalk.train.steps import checkpoint_error, drop_steps_after, last_checkpoint


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-7])


def zeroed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(bytes((folder / name).stat().st_size))


def gone(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def flipped(name: str) -> Callable[[Path], object]:
    """One byte of what is kept is another."""

    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 0xFF
        (folder / name).write_bytes(data)

    return flip


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    f"{name} {what}": (how(name), name.split(".")[0])
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
    for what, how in {"cut": cut, "zeroed": zeroed, "gone": gone}.items()
} | {
    "weights gone": (gone("adapter_model.safetensors"), "safetensors is missing"),
    "a byte of the optimizer": (flipped("optimizer.pt"), "optimizer.pt"),
    "state a list": (lambda f: (f / "trainer_state.json").write_text("[]"), "trainer_state.json"),
    "state deep": (lambda f: (f / "trainer_state.json").write_text("[" * 99_999), "trainer_state.json"),
    "only begun": (lambda f: [p.unlink() for p in f.iterdir()], "trainer_state.json"),
}  # fmt: skip
DAMAGES["adapter_model.safetensors gone"] = DAMAGES.pop("weights gone")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"at": tmp_path_factory.mktemp("made")}


@pytest.fixture
def done(settings: TrainSettings, made: dict[str, Path]) -> Path:
    """A run of six steps with checkpoints after three and six, made once."""
    out = made["at"] / "out"
    if not out.exists():
        train_model(settings, out)
    return out


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside(
    damage: str, done: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="posetalk")
    spoil, says = DAMAGES[damage]
    folder = tmp_path / "checkpoints"
    shutil.copytree(done / "checkpoints", folder)
    arguments = TrainingArguments(use_cpu=True, output_dir=str(folder))
    assert last_checkpoint(folder, arguments) == str(folder / "checkpoint-6")
    assert not caplog.messages
    spoil(folder / "checkpoint-6")
    assert last_checkpoint(folder, arguments) == str(folder / "checkpoint-3")
    [message] = caplog.messages
    assert f"{folder / 'checkpoint-6'} is damaged" in message and says in message
    assert message.endswith("the run goes on from checkpoint-3") and "\n" not in message
    assert {path.name for path in folder.iterdir()} == {"checkpoint-3", "damaged-checkpoint-6"}
    spoil(folder / "checkpoint-3")
    assert last_checkpoint(folder, arguments) is None
    assert caplog.messages[-1].endswith("the run begins anew")


@pytest.mark.parametrize("damaged", [("checkpoint-6",), ("checkpoint-3", "checkpoint-6")])
def test_a_run_ends_the_same(
    damaged: tuple[str, ...], settings: TrainSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="posetalk")
    out = train_model(settings, tmp_path / "out")
    log, weights = losses(out), load_file(out / "model.safetensors")
    for name in damaged:
        cut("optimizer.pt")(out / "checkpoints" / name)
    (out / "model.safetensors").unlink()
    caplog.clear()
    train_model(settings, out)
    assert caplog.text.count("is damaged") == len(damaged)
    assert losses(out) == log
    again = load_file(out / "model.safetensors")
    assert all(torch.equal(weight, again[name]) for name, weight in weights.items())


def losses(out: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows]


def test_shards_and_folders_of_sharded_runs(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-6"
    shutil.copytree(done / "checkpoints" / "checkpoint-6", folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "adapter_model.safetensors", "b": "other.safetensors"}}))
    assert checkpoint_error(folder) == "other.safetensors is missing"
    index.write_text("{")
    assert checkpoint_error(folder) == "model.safetensors.index.json is cut off"
    index.unlink()
    # accelerate's: weights and optimizer in folders of their own
    (folder / "pytorch_model_fsdp_0").mkdir()
    (folder / "optimizer.pt").unlink()
    assert checkpoint_error(folder) is None


def test_damaged_lines_of_a_log_are_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    good = '{"step": 1, "loss": 2.0}\n'
    log.write_bytes(good.encode() + b'{"step"\n[1]\n\xff\xfe\n{"step": "x"}\n{"step": 5}\n{"st')
    drop_steps_after(log, 3)
    assert log.read_text() == good
