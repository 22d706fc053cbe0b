"""From COCO's files to a tuned model by commands alone, and what they say of bad input."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tune.conftest import tiny
from tests.tune.test_tune_run import logged, same
from tests.write.test_run import words  # noqa: F401  (a fixture)

from posetalk.cli import main
from posetalk.tune.presets import preset
from posetalk.tune.settings import TuneSettings


def run(*given: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in given])
    return int(stop.value.code or 0)


@pytest.fixture
def small(llava: Path, talk: Path, tmp_path: Path) -> Path:
    """A settings file of the tiny model without data."""
    settings = tiny(llava, talk, steps=2).model_dump(
        mode="json", exclude_none=True, exclude={"data", "replay"}
    )
    TuneSettings.check({**settings, "data": [{"file": "x", "images": "x"}]}, "test")
    import tomli_w

    (tmp_path / "small.toml").write_text(tomli_w.dumps(settings))
    return tmp_path / "small.toml"


def test_what_write_made_is_tuned_on_and_the_model_talks(
    words: list[str],  # noqa: F811
    small: Path,
    general: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*words) == 0
    draw = np.random.default_rng(0)
    for number in range(1, 5):
        Image.fromarray(draw.integers(0, 255, (600, 800, 3), np.uint8)).save(tmp_path / f"{number}.jpg")
    out = tmp_path / "tuned"
    given = ["tune", tmp_path / "out", "--images", tmp_path, "--settings", small, "--out", out]
    other = [
        f"--replay={general}:0.5", "--replay-images", general.parent / "pictures",
        "--probe", general, "--probe-images", general.parent / "pictures", "--seed", 5,
    ]  # fmt: skip
    assert run(*given, *other) == 0
    card = (out / "card.md").read_text()
    written = (tmp_path / "out" / "samples.jsonl").read_text().count("\n")
    assert f"Samples: {written} from {tmp_path}/out" in card and "Left out: 0" in card and "before" in card
    settings = tomllib.loads((out / "run.toml").read_text())
    assert settings["seed"] == 5 and settings["replay"][0]["share"] == 0.5
    capsys.readouterr()
    assert run("chat", tmp_path / "1.jpg", "What is the person doing?", "--model", out) == 0
    assert run(*given, *other, "--steps", 3) == 2
    assert "run with other settings" in capsys.readouterr().err


def test_a_picture_that_is_damaged_behind_its_start_keeps_the_steps_before(
    llava: Path, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for file in (talk / "pictures").iterdir():
        (pictures / file.name).write_bytes(file.read_bytes())
    with Image.open(pictures / "6.png") as image:  # of a JPEG the first bytes alone are looked at before
        image.save(pictures / "6.png", format="JPEG")
    whole = (pictures / "6.png").read_bytes()
    source: dict[str, Any] = {"file": str(talk), "images": str(pictures)}
    for workers in (0, 1):
        # a seed whose first step does without that picture
        settings = tiny(
            llava,
            talk,
            data=(source,),
            steps=5,
            batch=2,
            device_batch=2,
            workers=workers,
            seed=3,
            save_steps=100,
        )
        settings.save(tmp_path / "run.toml")
        (pictures / "6.png").write_bytes(whole[: len(whole) // 2])
        out = tmp_path / f"out{workers}"
        capsys.readouterr()
        assert run("tune", "--settings", tmp_path / "run.toml", "--out", out) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith(f"posetalk: cannot decode {pictures / '6.png'}") and said.endswith(
            "from there"
        )
        assert "Traceback" not in said and 0 < len(logged(out)) < 5
        [kept] = (out / "checkpoints").iterdir()
        assert kept.name == f"checkpoint-{len(logged(out))}"
        (pictures / "6.png").write_bytes(whole)
        assert run("tune", "--settings", tmp_path / "run.toml", "--out", out) == 0
    same(tmp_path / "out0", tmp_path / "out1")
    whole_run = tiny(
        llava, talk, data=(source,), steps=5, batch=2, device_batch=2, workers=0, seed=3, save_steps=100
    )
    whole_run.save(tmp_path / "run.toml")
    assert run("tune", "--settings", tmp_path / "run.toml", "--out", tmp_path / "whole") == 0
    same(tmp_path / "out0", tmp_path / "whole")


def bad(name: str, at: Path) -> list[object]:
    """The words of a command that cannot work."""
    data = ["tune", at / "data.json", "--images", at, "--settings", at / "small.toml", "--out", at / "run"]
    match name:
        case "no data":
            return ["tune", "--settings", at / "small.toml", "--out", at / "run"]
        case "no images":
            return ["tune", at / "data.json", "--settings", at / "small.toml", "--out", at / "run"]
        case "no model":
            return ["tune", at / "data.json", "--images", at, "--out", at / "run"]
        case "gone":
            return ["tune", at / "gone.json", *data[2:]]
        case "no pictures":
            return [*data[:3], at / "gone", *data[4:]]
        case "not json":
            (at / "data.json").write_text("{{")
            return data
        case "no share":
            return [*data, "--replay", "other.json"]
        case "no number":
            return [*data, "--replay", "other.json:half"]
        case "negative share":
            return [*data, "--replay", f"{at / 'data.json'}:-1"]
        case "replay gone":
            return [*data, "--replay", f"{at / 'gone.json'}:1"]
        case "probe gone":
            return [*data, "--probe", at / "gone.json"]
        case "qlora":
            return [*data, "--method", "qlora"]
        case "model gone":
            return [*data, "--model", at / "gone"]
        case "unknown key" | "batch" | "length" | "too long" | "rate":
            line = {
                "unknown key": "colour = 3", "batch": "device_batch = 3", "length": "length = 1000000",
                "too long": "length = 3", "rate": "rate = -1",
            }[name]  # fmt: skip
            kept = [
                t for t in (at / "small.toml").read_text().splitlines() if t.split()[0] != line.split()[0]
            ]
            (at / "small.toml").write_text("\n".join([line, *kept]))
            return data
        case "out is a file":
            (at / "run").write_text("")
            return data
        case "chat without photo":
            return ["chat", at / "gone.jpg", "Where?", "--model", at / "gone"]
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no data", "needs conversations"),
        ("no images", "give their folder as --images"),
        ("no model", "give --model or --preset"),
        ("gone", "there is no file"),
        ("no pictures", "there is no picture"),
        ("not json", "data.json"),
        ("no share", "write it as other.json:0.5"),
        ("no number", "write it as other.json:0.5"),
        ("negative share", "replay.0.share"),
        ("replay gone", "there is no file"),
        ("probe gone", "there is no file"),
        ("qlora", "bitsandbytes"),
        ("model gone", "gone"),
        ("unknown key", "colour"),
        ("batch", "not a multiple of device_batch 3"),
        ("length", "more than the model takes"),
        ("too long", "tokens, more than 3"),
        ("rate", "rate"),
        ("out is a file", "choose another folder"),
        ("chat without photo", "gone"),
    ],
)
def test_bad_input_is_one_sentence(
    name: str, says: str, small: Path, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (30, 40)).save(tmp_path / "1.png")
    said = [{"from": "human", "value": "<image>\nWhere?"}, {"from": "gpt", "value": "Here."}]
    (tmp_path / "data.json").write_text(json.dumps([{"id": "1", "image": "1.png", "conversations": said}]))
    assert run(*bad(name, tmp_path)) == 2
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if line.startswith("posetalk: ")]
    assert says in line and "Traceback" not in err
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_preset_gives_way_to_what_is_written_and_said(
    llava: Path, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more.toml").write_text("batch = 32\nmethod = 'full'\n")
    asked: list[TuneSettings] = []
    monkeypatch.setattr("posetalk.tune.run.tune", lambda settings, out: asked.append(settings) or out)
    given = ["tune", talk, "--images", talk, "--preset", "llava-1.5-7b", "--settings", tmp_path / "more.toml"]
    assert run(*given, "--out", tmp_path / "out", "--model", llava) == 0
    [found] = asked
    assert (found.batch, found.method, found.rate, found.length) == (32, "full", 2e-5, 2048)
    assert found.model == str(llava) and found.pad
    assert preset("llava-1.5-7b")["model"] == "llava-hf/llava-1.5-7b-hf"
