"""From COCO's files to a tuned model by commands alone, and what they say of bad input."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.hub.hub import faults_of
from tests.tune.conftest import tiny
from tests.tune.test_tune_run import logged, same
from tests.write.test_run import words  # noqa: F401  (a fixture)

from posetalk.cli import main
from posetalk.hub.push import upload_of
from posetalk.train.progress import run_trainer
from posetalk.tune.presets import preset
from posetalk.tune.run import tune_model
from posetalk.tune.settings import TuneSettings


def run(*given: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in given])
    return int(stop.value.code or 0)


@pytest.fixture
def small(llava: Path, talk: Path, tmp_path: Path) -> Path:
    """A settings file of the tiny model without data."""
    settings = tiny(llava, talk, max_steps=2).model_dump(
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
    card = (out / "README.md").read_text()
    assert faults_of(card, "model") == [] and "model.safetensors" in upload_of(out).files
    written = (tmp_path / "out" / "samples.jsonl").read_text().count("\n")
    assert f"Samples: {written} from out" in card and "Left out: 0" in card and "before" in card
    settings = tomllib.loads((out / "run.toml").read_text())
    assert settings["seed"] == 5 and settings["replay"][0]["share"] == 0.5
    capsys.readouterr()
    assert run("chat", tmp_path / "1.jpg", "What is the person doing?", "--model", out) == 0
    assert run(*given, *other, "--max-steps", 3) == 2
    assert "run with other settings" in capsys.readouterr().err


@pytest.fixture
def pictures(talk: Path, tmp_path: Path) -> Path:
    """A copy of the pictures, of which 6.png is a JPEG: of those the first bytes alone tell the size."""
    folder = tmp_path / "pictures"
    shutil.copytree(talk / "pictures", folder)
    with Image.open(folder / "6.png") as image:
        image.save(folder / "6.png", format="JPEG")
    return folder


def cut(picture: Path) -> bytes:
    """Cut a picture off in the middle. Returns what it was."""
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    return whole


@pytest.mark.parametrize("features", [False, True])
def test_a_damaged_picture_is_left_out_and_told(
    features: bool,
    llava: Path,
    talk: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = {"feature_cache": str(tmp_path / "kept")} if features else {}
    source: dict[str, Any] = {"file": str(talk), "images": str(pictures)}
    settings = tiny(llava, talk, data=(source,), probe=source, **kept)
    settings.save(tmp_path / "run.toml")
    cut(pictures / "6.png")
    given = ["tune", "--settings", tmp_path / "run.toml", "--out", tmp_path / "out"]
    assert run(*given) == 0
    assert "2 samples left out, the first: " in capsys.readouterr().out  # once of the data, once of the probe
    for line in (tmp_path / "out" / "skipped.txt").read_text().splitlines():
        assert f"sample 6-detail: cannot decode {pictures / '6.png'}" in line
    assert "Samples: 9 from" in (tmp_path / "out" / "README.md").read_text()
    # the same as data without it
    rows = [line for line in (talk / "samples.jsonl").read_text().splitlines() if "6-detail" not in line]
    (tmp_path / "samples.jsonl").write_text("\n".join(rows) + "\n")
    less: dict[str, Any] = {"file": str(tmp_path / "samples.jsonl"), "images": str(pictures)}
    tune_model(tiny(llava, talk, data=(less,), probe=less, **kept), tmp_path / "less")
    same(tmp_path / "out", tmp_path / "less", rtol=0, atol=0)
    # and when all are damaged, there is nothing to learn from
    for picture in pictures.iterdir():
        cut(picture)
    assert run(*given[:-1], tmp_path / "none") == 2
    assert "holds no sample that can be learned" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_is_damaged_meanwhile_keeps_the_steps_before(
    workers: int,
    llava: Path,
    talk: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source: dict[str, Any] = {"file": str(talk), "images": str(pictures)}
    # a seed whose first step does without that picture
    more = {"max_steps": 5, "batch_size": 2, "per_device_batch_size": 2, "seed": 3, "save_steps": 100}
    settings = tiny(llava, talk, data=(source,), num_workers=workers, **more)
    settings.save(tmp_path / "run.toml")
    given = ["tune", "--settings", tmp_path / "run.toml", "--out", tmp_path / "out"]
    picture = pictures / "6.png"
    whole = picture.read_bytes()

    def damaged_first(*arguments: Any) -> None:
        cut(picture)
        run_trainer(*arguments)

    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:  # damaged after it was looked at, before the first step
        patch.setattr("posetalk.tune.run.run_trainer", damaged_first)
        assert run(*given) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"posetalk: cannot decode {pictures / '6.png'}") and said.endswith("from there")
    assert "Traceback" not in said and 0 < len(logged(tmp_path / "out")) < 5
    [kept] = (tmp_path / "out" / "checkpoints").iterdir()
    assert kept.name == f"checkpoint-{len(logged(tmp_path / 'out'))}"
    if workers:  # it stays as it is: the run goes on without it
        assert run(*given) == 0
        assert len(logged(tmp_path / "out")) == 5
        assert "6-detail" in (tmp_path / "out" / "skipped.txt").read_text()
        return
    (pictures / "6.png").write_bytes(whole)  # it is repaired: the run is what it would have been
    assert run(*given) == 0
    tune_model(tiny(llava, talk, data=(source,), **more), tmp_path / "whole")
    same(tmp_path / "out", tmp_path / "whole")


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
        case "model gone":
            return [*data, "--model", at / "gone"]
        case "unknown key" | "batch" | "length" | "too long" | "rate":
            line = {
                "unknown key": "colour = 3", "batch": "per_device_batch_size = 3", "length": "max_length = 1000000",
                "too long": "max_length = 3", "rate": "learning_rate = -1",
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
        ("no pictures", "there is no image"),
        ("not json", "data.json"),
        ("no share", "write it as other.json:0.5"),
        ("no number", "write it as other.json:0.5"),
        ("negative share", "replay.0.share"),
        ("replay gone", "there is no file"),
        ("probe gone", "there is no file"),
        ("model gone", "gone"),
        ("unknown key", "colour"),
        ("batch", "not a multiple of per_device_batch_size 3"),
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
    (tmp_path / "more.toml").write_text("batch_size = 32\nmethod = 'full'\n")
    asked: list[TuneSettings] = []
    monkeypatch.setattr("posetalk.tune.run.tune_model", lambda settings, out: asked.append(settings) or out)
    given = ["tune", talk, "--images", talk, "--preset", "llava-1.5-7b", "--settings", tmp_path / "more.toml"]
    assert run(*given, "--out", tmp_path / "out", "--model", llava) == 0
    [found] = asked
    assert (found.batch_size, found.method, found.learning_rate, found.max_length) == (32, "full", 2e-5, 2048)
    assert found.model == str(llava) and found.pad_to_square
    assert preset("llava-1.5-7b")["model"] == "llava-hf/llava-1.5-7b-hf"
