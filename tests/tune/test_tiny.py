"""The bundled localiser as a LLaVA: what it saw and read before, it sees and reads still, and it can be tuned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from posetalk.cli import main
from posetalk.model.files import load as load_localizer
from posetalk.model.fingerprint import weights_fingerprint
from posetalk.tune.chat import Chat
from posetalk.tune.files import load
from posetalk.tune.small import made


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_it_sees_and_reads_what_the_localiser_does() -> None:
    model, processor = load("tiny")
    localizer, _ = load_localizer("bundled")
    pixels = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    text = processor.tokenizer("Question: left wrist? Answer: [0.", return_tensors="pt").input_ids
    picture = torch.full((1, 64), model.config.image_token_id)
    theirs = torch.full((1, 64), localizer.config.image_token_id)
    with torch.no_grad():
        here = model(input_ids=torch.cat([picture, text], 1), pixel_values=pixels).logits
        there = localizer(input_ids=torch.cat([theirs, text], 1), pixel_values=pixels).logits
    torch.testing.assert_close(here, there.float(), atol=1e-3, rtol=1e-3)


def test_it_is_made_anew_for_other_weights_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made("tiny")
    before = (first / "model.safetensors").stat().st_mtime_ns
    assert made("tiny") == first and (first / "model.safetensors").stat().st_mtime_ns == before
    assert weights_fingerprint(first) and [path.name for path in first.parent.iterdir()] == [first.name]
    monkeypatch.setattr("posetalk.tune.small.weights_of", lambda _: "another")
    assert made("tiny") != first


def test_tuned_it_says_what_it_was_told(talk: Path, tmp_path: Path) -> None:
    line = json.loads((talk / "samples.jsonl").read_text().splitlines()[0])
    line["turns"] = [["Is the person standing?", "Yes, on the left leg."]]
    (tmp_path / "one.jsonl").write_text(json.dumps(line) + "\n")
    settings = tmp_path / "mine.toml"
    settings.write_text("batch_size = 4\nper_device_batch_size = 4\n")
    command = [
        "tune",
        tmp_path / "one.jsonl",
        "--images",
        talk / "pictures",
        "--preset",
        "tiny",
        "--max-steps",
        "30",
    ]
    command += ["--settings", settings, "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, command)])
    assert stopped.value.code == 0
    said = Chat.from_pretrained(tmp_path / "out").ask(
        talk / "pictures" / line["image"], "Is the person standing?"
    )
    assert said == "Yes, on the left leg."
