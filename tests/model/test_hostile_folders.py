"""Model folders that are broken or made to do harm: one sentence, soon, and nothing of theirs is run."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.model.adapters import set_trainable
from posetalk.model.files import build, load, save
from posetalk.model.fingerprint import SUMS
from posetalk.settings import ModelSettings

DEEP = "[" * 100_000
LAYERS = {"num_hidden_layers": 10**10}
MARK = "ran.txt"  # written by code that must not run


def change(folder: Path, name: str = "config.json", **changes: Any) -> None:
    """A dotted key's parts are joined by two underscores; None takes the key away."""
    data = json.loads((folder / name).read_text())
    for key, value in changes.items():
        *path, last = key.split("__")
        inner = data
        for part in path:
            inner = inner[part]
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    (folder / name).write_text(json.dumps(data))


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


def nested(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(folder, vision_config=config)


def own_code(folder: Path, kind: str | None) -> None:
    """Code beside the model that its configuration names."""
    write(folder, "evil.py", f"open({str(folder.parent / MARK)!r}, 'w').close()\nclass Evil: pass\n")
    names = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    change(folder, auto_map=names, **({"model_type": kind} if kind else {}))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def zeroed(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(bytes(file.stat().st_size))


def endless_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


Spoil = Callable[[Path], None]
# What every kind of model folder may suffer, and words of the sentence that says so.
BROKEN: list[tuple[str, Spoil, str]] = [
    ("no config", lambda f: (f / "config.json").unlink(), "cannot load"),
    ("config no JSON", lambda f: write(f, "config.json", "{{"), "config.json cannot be read"),
    ("config a list", lambda f: write(f, "config.json", "[]"), "holds no JSON object"),
    ("config empty", lambda f: write(f, "config.json", "{}"), "cannot load"),
    ("config deep", lambda f: write(f, "config.json", DEEP), "config.json cannot be read"),
    ("unknown kind", lambda f: change(f, model_type="nonsense"), "nonsense"),
    ("kind a number", lambda f: change(f, model_type=7), "cannot load"),
    ("no kind", lambda f: change(f, model_type=None), "cannot load"),
    ("text a word", lambda f: change(f, text_config="llama"), "cannot load"),
    ("vision a number", lambda f: change(f, vision_config=3), "cannot load"),
    ("vision is the model", nested, "cannot load"),
    ("width negative", lambda f: change(f, text_config__hidden_size=-32), "cannot load"),
    ("width zero", lambda f: change(f, text_config__hidden_size=0), "cannot load"),
    ("width a word", lambda f: change(f, text_config__hidden_size="wide"), "cannot load"),
    ("width of terabytes", lambda f: change(f, text_config__hidden_size=2**40), "many times larger"),
    ("words without end", lambda f: change(f, text_config__vocab_size=10**12), "many times larger"),
    ("heads of terabytes", lambda f: change(f, text_config__head_dim=10**12), "many times larger"),
    ("picture of terabytes", lambda f: change(f, vision_config__image_size=10**8), "many times larger"),
    ("heads none", lambda f: change(f, text_config__num_attention_heads=0), "cannot load"),
    ("layers without end", lambda f: change(f, text_config__num_hidden_layers=10**10), "num_hidden_layers"),
    ("layers too many", lambda f: change(f, vision_config__num_hidden_layers=9999), "many times larger"),
    ("code on the hub", lambda f: change(f, attn_implementation="some/kernel"), "never run"),
    ("code on the hub, deep", lambda f: change(f, text_config___attn_implementation={"": "some/kernel"}), "never run"),
    ("code of its own", lambda f: own_code(f, "evil"), "code of its own"),
    ("pickles", pickled, "convert them to safetensors"),
    ("weights cut off", cut, "cannot load"),
    ("weights zeroed", zeroed, "cannot load"),
    ("weights' header", endless_header, "cannot load"),
    ("no weights", lambda f: (f / "model.safetensors").unlink(), "cannot load"),
    ("adapters stray", lambda f: write(f, "adapter_config.json", "{}"), "adapter_config.json"),
    ("adapters no JSON", lambda f: write(f, "adapter_config.json", "{{"), "adapter_config.json"),
    ("adapters empty", lambda f: write(f, "adapter_config.json", ""), "adapter_config.json"),
    ("adapters deep", lambda f: write(f, "adapter_config.json", DEEP), "adapter_config.json"),
    ("adapters a list", lambda f: write(f, "adapter_config.json", "[]"), "adapter_config.json"),
    ("adapters beside weights", lambda f: write(f, "adapter_config.json", '{"peft_type": "LORA"}'), "take it away"),
    ("no tokenizer", lambda f: (f / "tokenizer.json").unlink(), "cannot load"),
    ("tokenizer deep", lambda f: write(f, "tokenizer.json", DEEP), "cannot load"),
    ("tokenizer empty", lambda f: write(f, "tokenizer.json", "{}"), "cannot load"),
]  # fmt: skip
LOCALISER: list[tuple[str, Spoil, str]] = [
    ("readout unknown", lambda f: change(f, readout="gaze"), "readout"),
    ("crop huge", lambda f: change(f, crop__size=10**9), "crop.size"),
    ("crop a word", lambda f: change(f, crop="wide"), "crop"),
    ("wording a number", lambda f: change(f, wording=3), "wording"),
    ("cells negative", lambda f: change(f, cells=-2), "cells"),
    ("cells of terabytes", lambda f: change(f, cells=10**6), "cells"),
    ("keypoints of numbers", lambda f: change(f, keypoints=[1, 2]), "keypoints"),
    ("tokens of terabytes", lambda f: change(f, image_seq_length=10**10), "tokens"),
    ("tokens of another tower", lambda f: change(f, image_seq_length=9), "has 9 tokens"),
]  # fmt: skip


def said(words: list[object], capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    error = capfd.readouterr().err
    assert stop.value.code == 2, error
    [line] = [line for line in error.splitlines() if line.startswith("posetalk: ")]
    assert "Traceback" not in error and len(line) < 900
    assert not any(word in line for word in ("trust_remote_code", "weights_only", "torch.load"))
    return line


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (30, 30)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def spoilt(model: Path, spoil: Spoil, at: Path) -> Path:
    folder = at / "model"
    shutil.copytree(model, folder)
    (folder / SUMS).unlink(missing_ok=True)  # who means harm sends none
    spoil(folder)
    return folder


@pytest.mark.parametrize(
    ("spoil", "says"), [r[1:] for r in BROKEN + LOCALISER], ids=[r[0] for r in BROKEN + LOCALISER]
)
def test_a_localiser(
    spoil: Spoil, says: str, tiny_model: Path, photo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = spoilt(tiny_model, spoil, tmp_path)
    assert says in (line := said(["locate", photo, "--model", folder], capfd)), line
    assert not (tmp_path / MARK).exists()


def test_code_that_comes_with_a_known_kind_is_left_alone(
    tiny_model: Path, photo: Path, tmp_path: Path
) -> None:
    folder = spoilt(tiny_model, lambda f: own_code(f, None), tmp_path)
    model, _ = load(folder)
    assert type(model).__name__ == "PoseLLM" and not (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vision": None}, "does not name the vision encoder"),
        ({"vision": "itself", "text": "itself"}, "holds adapters"),
    ],
)
def test_adapters_whose_parts_are_missing_or_themselves(
    changes: dict[str, Any], says: str, tiny_settings: ModelSettings, tmp_path: Path
) -> None:
    model, tokenizer = build(tiny_settings)
    folder = tmp_path / "adapters"
    save(set_trainable(model, tiny_settings), tokenizer, folder, "adapters")
    load(folder)
    change(folder, **{key: str(folder) if value == "itself" else value for key, value in changes.items()})
    with pytest.raises(PosetalkError, match=says):
        load(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: change(f, "adapter_config.json", r=2**40), "cannot load the adapters|many times larger"),
        (lambda f: change(f, "adapter_config.json", peft_type="IA3"), "no LoRA"),
        (lambda f: change(f, "adapter_config.json", target_modules=["none"]), "cannot load the adapters"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"half"), "cannot load the adapters"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors"),
        (lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"), "pickles"),
    ],
)
def test_adapters_that_are_broken(
    spoil: Spoil, says: str, tiny_settings: ModelSettings, tmp_path: Path
) -> None:
    model, tokenizer = build(tiny_settings)
    folder = tmp_path / "adapters"
    save(set_trainable(model, tiny_settings), tokenizer, folder, "adapters")
    spoil(folder)
    with pytest.raises(PosetalkError, match=says):
        load(folder)
