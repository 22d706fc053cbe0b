"""Names of models: what is no folder and no hub id is said at once; weights are those that were saved."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.model.files import load, save
from posetalk.model.fingerprint import SUMS

NAMES = [
    ("bundeld", "there is no model bundeld; did you mean bundled"),
    ("Bundled", "did you mean bundled"),
    ("posellm7b", "did you mean posellm-7b"),
    ("posellm-7b", "is a recipe without weights; train it"),
    ("locllm-7b", "is a recipe without weights; train it"),
    ("tiny", "tiny is no model for this: it talks about images"),
    ("./runs/model", "there is no folder ./runs/model, and no hub id is written like that"),
    ("runs/mine/model", "there is no folder"),
    ("my model", "there is no folder"),
    ("somebody/model", "the hub cannot be reached"),
    ("gpt2", "the hub cannot be reached"),
]


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at its address, and nothing was fetched before."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(("name", "says"), NAMES)
@pytest.mark.usefixtures("no_hub")
def test_a_name_that_leads_nowhere_is_said_at_once(name: str, says: str) -> None:
    start = time.monotonic()
    with pytest.raises(PosetalkError, match=says):
        load(name)
    assert time.monotonic() - start < 10  # the hub's client tries for 45 seconds


COMMANDS = {
    "locate": lambda at: ["locate", at / "photo.png", "--model", "posellm-7b"],
    "calibrate": lambda at: ["calibrate", "posellm-7b", at / "out", *labels(at)],
    "evaluate": lambda at: ["evaluate", "--model", "posellm-7b", "--out", at / "out", *labels(at)],
    "train": lambda at: ["train", start(at), "--out", at / "out", *labels(at)],
    "chat": lambda at: ["chat", at / "photo.png", "What?", "--model", "posellm-7b"],
}


def labels(at: Path) -> list[object]:
    return ["--annotations", at / "labels.json", "--images", at]


def start(at: Path) -> Path:
    (at / "start.toml").write_text('start = "posellm-7b"\nmax_steps = 1\n')
    return at / "start.toml"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("no_hub")
def test_a_recipe_is_told_by_every_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("RGB", (100, 80)).save(tmp_path / "photo.png")
    person = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 10, 60, 60],
        "keypoints": [30, 20, 2] * 17,
    }
    image = {"id": 1, "file_name": "photo.png", "width": 100, "height": 80}
    categories = [{"id": 1, "name": "person"}]
    (tmp_path / "labels.json").write_text(
        json.dumps({"images": [image], "annotations": [person], "categories": categories})
    )
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in COMMANDS[command](tmp_path)])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "posellm-7b is a recipe without weights" in said, said
    assert not (tmp_path / "out").exists()


def test_a_flipped_bit_in_the_weights_is_seen(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model, tokenizer = load(tiny_model)
    save(model, tokenizer, folder)
    load(folder)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1000] ^= 1  # the header and all numbers stay sound
    weights.write_bytes(data)
    with pytest.raises(
        PosetalkError, match=rf"cannot load the model from {folder}: model.safetensors is not what"
    ):
        load(folder)
    (folder / SUMS).unlink()  # whoever changed it themselves
    load(folder)


def test_weights_from_the_hub_are_held_against_their_configuration(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    kept = tmp_path / "models--some--model"  # as they were fetched before
    shutil.copytree(tiny_model, kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    load("some/model")
    config = kept / "snapshots" / "abc" / "config.json"
    found = json.loads(config.read_text())
    found["text_config"]["num_hidden_layers"] = 400  # fewer than are refused for their number alone
    config.write_text(json.dumps(found))
    with pytest.raises(PosetalkError, match="asks for a network many times larger than its weights"):
        load("some/model")
