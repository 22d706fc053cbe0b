"""`posetalk train` with another vision encoder or language model than the preset's or the settings'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.model.architectures import tiny_parts

from posetalk.cli import main
from posetalk.model.files import load
from posetalk.model.parts import with_parts
from posetalk.settings import TrainSettings

ENCODER = "google/siglip2-base-patch16-224"
HALF = {"size": 224, "pixels": "half"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub without a network, from which a tiny SigLIP2 and a tiny Qwen3 were fetched before."""
    from huggingface_hub import constants

    tiny_parts(tmp_path, "siglip", "qwen3")
    for name, kind in ((ENCODER, "vision"), ("Qwen/Qwen3-0.6B", "text")):
        kept = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(tmp_path / kind, kept / "snapshots" / "abc")
        (kept / "refs").mkdir()
        (kept / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def data(settings: TrainSettings) -> list[str]:
    return ["--annotations", settings.data[0].annotations, "--images", settings.data[0].images]


@pytest.mark.parametrize("preset", [[], ["--preset", "locllm-7b"]])
def test_known_parts_are_named_and_bring_their_crop(
    hub: Path, settings: TrainSettings, preset: list[str]
) -> None:
    out = hub / "run"
    parts = ["--vision-encoder", ENCODER, "--language-model", "Qwen/Qwen3-0.6B"]
    (hub / "run.toml").write_text(
        "batch_size = 1\nmax_steps = 1\nbf16 = false\nnum_workers = 0\nkeypoints_per_view = 2\n"
    )
    assert run("train", hub / "run.toml", *preset, *parts, *data(settings), "--out", out) == 0
    saved = TrainSettings.load(out / "run.toml")
    assert saved.model is not None
    assert (saved.model.vision_encoder, saved.model.language_model) == (ENCODER, "Qwen/Qwen3-0.6B")
    assert saved.model.connector == ("linear" if preset else "mlp")
    assert {key: getattr(saved.model.crop, key) for key in HALF} == HALF
    config = load(out)[0].config
    assert config.image_seq_length == 14 * 14 and config.crop["pixels"] == "half"


REPLACED: list[tuple[dict[str, Any], tuple[str | None, str | None], dict[str, Any]]] = [
    ({}, (ENCODER, "b"), {"vision_encoder": ENCODER, "language_model": "b", "crop": HALF}),
    ({"vision_encoder": "a", "connector": "linear"}, (None, "b"),
     {"vision_encoder": "a", "connector": "linear", "language_model": "b"}),
    ({"vision_encoder": "a", "crop": {"size": 256, "padding": 1.25}}, (ENCODER, None),
     {"vision_encoder": ENCODER, "crop": {"size": 256, "padding": 1.25, "pixels": "half"}}),
    ({"crop": {"size": 96}}, ("somebody/encoder", None), {"vision_encoder": "somebody/encoder", "crop": {"size": 96}}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "parts", "expected"), REPLACED)
def test_what_the_settings_say_of_the_crop_stays(
    model: dict[str, Any], parts: tuple[str | None, str | None], expected: dict[str, Any]
) -> None:
    before = json.dumps(model)
    assert with_parts(model, *parts) == expected
    assert json.dumps(model) == before


def test_the_presets_own_encoder_keeps_the_papers_crop() -> None:
    from posetalk.model.names import PRESETS
    from posetalk.settings import ModelSettings

    preset = PRESETS["posellm-7b"]
    named = with_parts(preset.model_dump(exclude_unset=True), preset.vision_encoder, preset.language_model)
    assert ModelSettings.check(named, "here") == preset


REFUSED = [
    (["--vision-encoder", ENCODER], "", "--vision-encoder and --language-model"),  # no language model
    (["--vision-encoder", ENCODER], 'start = "bundled"', "starts from a saved model, which has its parts"),
    (["--language-model", "posellm-7b", "--vision-encoder", ENCODER], "max_steps = 1", "is a recipe without weights"),
    (["--vision-encoder", ENCODER], "model = 3", "model"),
    (["--vision-encoder", ENCODER], "[model]\ncrop = 3", "crop"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "toml", "says"), REFUSED)
def test_parts_that_cannot_be_are_refused(
    hub: Path, settings: TrainSettings, capsys: pytest.CaptureFixture[str],
    options: list[str], toml: str, says: str,
) -> None:  # fmt: skip
    (hub / "settings.toml").write_text(toml)
    file = [hub / "settings.toml"] if toml else []
    assert run("train", *file, *options, *data(settings), "--out", hub / "run") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert says in said and "Traceback" not in said
    assert not (hub / "run").exists()
