"""A resumed run knows its inputs by content: each that was changed in its place is named, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from posetalk.bench.questions.source import BuildSettings
from posetalk.errors import PosetalkError
from posetalk.inputs import content_of
from posetalk.model.fingerprint import model_of, weights_fingerprint
from posetalk.settings import (
    DataSettings,
    EvaluateSettings,
    LocateSettings,
    ModelSettings,
    Settings,
    TrainSettings,
)
from posetalk.tune.settings import Replay, Source, TuneSettings


def evaluation(**change: str) -> EvaluateSettings:
    given = {"model": "model", "annotations": "labels.json", "images": "photos"}
    return EvaluateSettings.check(given | change, "")


def training(**model: str) -> TrainSettings:
    data = (
        DataSettings(annotations="labels.json", images="photos", skeleton="own.toml"),
        DataSettings(annotations="more.json", images="photos"),
    )
    return TrainSettings(data=data, model=ModelSettings.check(model, ""), start="model")


def tuning(file: str = "written") -> TuneSettings:
    source = Source(file=file, images="photos")
    return TuneSettings(
        model="model",
        data=(source,),
        replay=(Replay(file="replay.json", images="written", share=1),),
        probe=Source(file="probe.json", images="photos"),
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "labels.json",
        "more.json",
        "boxes.json",
        "heads.mat",
        "own.toml",
        "words.toml",
        "captions.json",
    ):
        Path(name).write_text(f"what stands in {name}")
    for name in ("replay.json", "probe.json", "written/samples.jsonl", "written/train.json", "photos/1.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(f"what stands in {name}")
    for model in ("model", "base", "tower"):
        Path(model).mkdir()
        for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"):
            Path(model, name).write_text(f"what stands in {model}/{name}")
    return tmp_path


def begun(settings: Settings) -> None:
    with settings.claim("out"):
        Path("out/result").touch()


def change(name: str) -> None:
    """Another byte in the middle, with the size and time of before."""
    path = Path(name)
    state, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size and path.stat().st_mtime_ns == state.st_mtime_ns


LOCATING = LocateSettings(model="model", keypoints=("chin: below the mouth",))
BENCH = BuildSettings(
    annotations="labels.json",
    captions="captions.json",
    skeleton="own.toml",
    training_data=("written/samples.jsonl",),
)


@pytest.mark.parametrize(
    "settings, changed",
    [
        (evaluation(), "labels.json"),
        (evaluation(boxes="boxes.json"), "boxes.json"),
        (evaluation(heads="heads.mat"), "heads.mat"),
        (evaluation(skeleton="own.toml"), "own.toml"),
        (evaluation(), "model/model.safetensors"),
        (evaluation(), "model/config.json"),
        (evaluation(), "model/tokenizer.json"),
        (LOCATING, "model/model.safetensors"),
        (training(), "labels.json"),
        (training(), "more.json"),
        (training(), "own.toml"),
        (training(), "model/model.safetensors"),
        (training(wording="words.toml"), "words.toml"),
        (training(vision_encoder="tower", language_model="base"), "tower/model.safetensors"),
        (training(vision_encoder="tower", language_model="base"), "base/config.json"),
        (tuning(), "written/samples.jsonl"),
        (tuning("written/train.json"), "written/train.json"),
        (tuning(), "replay.json"),
        (tuning(), "probe.json"),
        (tuning(), "model/chat_template.jinja"),
        (BENCH, "labels.json"),
        (BENCH, "captions.json"),
        (BENCH, "written/samples.jsonl"),
    ],
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)  # fmt: skip
def test_an_input_that_was_changed_in_its_place_is_named(
    settings: Settings, changed: str, folder: Path
) -> None:
    begun(settings)
    kept = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    before = Path(changed).read_bytes()
    change(changed)
    for _ in range(2):  # a refused start does not take what is there
        with pytest.raises(PosetalkError) as said, settings.claim("out"):
            pass
        assert str(said.value) == (
            f"{folder / changed} changed since the run in out began; put back what was there, or choose another folder"
        )
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == kept
    Path(changed).write_bytes(before)
    with settings.claim("out"):
        pass


def grown(model: str) -> None:
    Path(model, "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    "what, said",
    [
        (lambda: Path("model/chat_template.jinja").unlink(), "model/chat_template.jinja changed"),
        (lambda: grown("model"), "model/adapter_config.json changed"),
        (lambda: [change(str(path)) for path in Path("model").iterdir()], "and 1 more changed"),
    ],
)
def test_of_a_model_whatever_is_gone_or_new_is_named(what: Callable[[], object], said: str) -> None:
    begun(evaluation())
    what()
    with pytest.raises(PosetalkError, match=said), evaluation().claim("out"):
        pass


@pytest.mark.parametrize("base", ["base_model_name_or_path", "vision"])
def test_adapters_are_of_the_model_that_they_belong_to(base: str) -> None:
    for model, of in (("model", "base"), ("base", "model")):  # and a circle ends
        for name in ("adapter_config.json", "config.json"):
            Path(model, name).write_text(json.dumps({base: of}))
    begun(evaluation())
    change("base/model.safetensors")
    with pytest.raises(PosetalkError, match=r"base/model\.safetensors changed"), evaluation().claim("out"):
        pass


def touched() -> EvaluateSettings:
    for path in [*Path().glob("*.*"), *Path("model").iterdir()]:
        path.touch()
    return evaluation()


def copied() -> EvaluateSettings:
    for name in ("labels.json", "model/model.safetensors"):
        shutil.copyfile(name, "copy")
        Path("copy").replace(name)
    return evaluation()


def moved() -> EvaluateSettings:
    Path("labels.json").rename("elsewhere.json")
    Path("model").rename("mine")
    return evaluation(annotations="elsewhere.json", model="mine")


def pictured() -> EvaluateSettings:
    Path("photos/2.png").touch()
    change("photos/1.png")  # a sweep finds these, not a look at the folder
    return evaluation()


def trained() -> EvaluateSettings:
    for name in ("README.md", "log.jsonl", "run.toml", "inputs.json", "pictures.json"):
        Path("model", name).write_text("of a run")
    Path("model/checkpoints").mkdir()
    return evaluation()


def earlier() -> EvaluateSettings:
    Path("out/inputs.json").unlink()
    change("labels.json")  # nobody knows
    return evaluation()


@pytest.mark.parametrize("again", [touched, copied, moved, pictured, trained, earlier])
def test_the_same_content_goes_on(again: Callable[[], EvaluateSettings]) -> None:
    begun(evaluation())
    settings = again()
    with settings.claim("out"):
        pass
    change(settings.annotations)
    with pytest.raises(PosetalkError, match="changed since the run in out began"), settings.claim("out"):
        pass


def test_a_file_of_another_content_in_another_place_is_another_setting() -> None:
    begun(evaluation())
    with (
        pytest.raises(PosetalkError, match=r"annotations was .*/labels\.json and is .*/more\.json"),
        evaluation(annotations="more.json").claim("out"),
    ):
        pass


def test_what_is_made_anew_takes_what_is_there_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    begun(BENCH)
    change("labels.json")
    with BENCH.claim("out", anew=True):
        pass
    (said,) = caplog.messages
    assert said.startswith("note: ")
    assert "labels.json changed since the run in out began; what is there now is used" in said
    with BENCH.claim("out"):
        pass


def test_what_else_results_hang_on() -> None:
    with LOCATING.claim("out", also={"sigma of the keypoints": "0.1"}):
        Path("out/result").touch()
    with (
        pytest.raises(PosetalkError, match="sigma of the keypoints changed"),
        LOCATING.claim("out", also={"sigma of the keypoints": "0.2"}),
    ):
        pass


def test_a_damaged_file_of_contents_is_one_sentence() -> None:
    begun(evaluation())
    Path("out/inputs.json").write_text("[[")
    with pytest.raises(PosetalkError, match=r"cannot read out/inputs\.json"), evaluation().claim("out"):
        pass


def test_a_run_of_which_nothing_came_leaves_no_contents() -> None:
    Path("out").mkdir()
    with evaluation().claim("out"):
        assert {path.name for path in Path("out").iterdir()} >= {"run.toml", "inputs.json"}
    assert not list(Path("out").iterdir())


def test_what_was_not_touched_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_of("labels.json")
    monkeypatch.setattr("builtins.open", None)
    assert content_of("labels.json", before) is before


@pytest.mark.parametrize("place", [0, 20_000, 1_500_000, -20_000, -1])
def test_any_changed_byte_makes_other_weights(place: int) -> None:
    weights = Path("model/model.safetensors")
    data = bytearray(3_000_000)
    weights.write_bytes(data)
    before = weights_fingerprint(Path("model")), model_of(Path("model"))
    data[place] ^= 1
    weights.write_bytes(data)
    after = weights_fingerprint(Path("model")), model_of(Path("model"))
    assert before[0] != after[0] and before[1] != after[1] and len(after[0]) == len(after[1]) == 16
    change("model/config.json")
    assert weights_fingerprint(Path("model")) == after[0] and model_of(Path("model")) != after[1]
    assert weights_fingerprint(Path("none")) == model_of(Path("none")) == ""
