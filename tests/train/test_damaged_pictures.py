"""People who cannot be learned from are left out and told, and the run is the one without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import TrainingArguments

from posetalk.errors import PosetalkError
from posetalk.settings import DataSettings, TrainSettings
from posetalk.train import readable as pictures
from posetalk.train import run
from posetalk.train.readable import unreadable_images


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without(settings: TrainSettings, number: int) -> TrainSettings:
    """The same run on labels that do not name a person."""
    [data] = settings.data
    labels = json.loads(Path(data.annotations).read_text())
    for key in ("images", "annotations"):
        labels[key] = [row for row in labels[key] if row["id"] != number]
    file = Path(data.annotations).with_name("less.json")
    file.write_text(json.dumps(labels))
    less = DataSettings(annotations=str(file), images=data.images)
    return settings.model_copy(update={"data": (less,)})


def nowhere(settings: TrainSettings) -> None:
    """A person whose keypoints all lie outside of its box."""
    file = Path(settings.data[0].annotations)
    labels = json.loads(file.read_text())
    labels["annotations"][1] |= {"bbox": [0, 0, 4, 4], "area": 16}
    file.write_text(json.dumps(labels))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no image"),
        (b"", "is empty"),
        (b"hello", "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "not an image"),
    ],
)
def test_what_is_no_picture_is_told(content: bytes | None, says: str, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    found = looked_at([tmp_path / "good.png", tmp_path / "bad.png"])
    assert found.keys() == {tmp_path / "bad.png"} and says in found[tmp_path / "bad.png"]


def looked_at(names: list[Path]) -> dict[Path, str]:
    arguments = TrainingArguments(use_cpu=True, output_dir=str(names[0].parent))
    return unreadable_images(names, names[0].with_name("found.json"), arguments)


@pytest.mark.parametrize(
    ("spoil", "says", "features"),
    [
        (lambda s: cut(Path(s.data[0].images) / "2.png"), "cannot decode", False),
        (lambda s: cut(Path(s.data[0].images) / "2.png"), "cannot decode", True),
        (nowhere, "person 2 has no labelled keypoint inside its box", False),
    ],
)
def test_a_person_who_cannot_be_seen_is_left_out_and_told(
    spoil: Callable[[TrainSettings], object],
    says: str,
    features: bool,
    settings: TrainSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="posetalk")
    change: dict[str, Any] = {"max_steps": 3}
    if features:
        assert settings.model
        frozen = settings.model.model_copy(update={"tune_vision_encoder": "frozen"})
        change |= {"feature_cache": str(tmp_path / "kept"), "model": frozen}
    settings = settings.model_copy(update=change)
    less = without(settings, 2)
    spoil(settings)
    caplog.clear()
    run.train_model(settings, tmp_path / "out")
    said = caplog.text
    assert said.count("skipped: ") == 1 and says in said
    run.train_model(less, tmp_path / "less")
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "less"))
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
    assert "People: 2 per epoch" in (tmp_path / "out" / "README.md").read_text()


def test_when_nobody_is_left_the_first_reason_is_told(settings: TrainSettings, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        cut(tmp_path / f"{number}.png")
    with pytest.raises(PosetalkError, match=r"no person with a labelled keypoint \(cannot decode"):
        run.train_model(settings, tmp_path / "out")


def test_a_picture_that_is_damaged_meanwhile(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps before it are kept; the next start looks again, and goes on without it or, repaired, as undisturbed."""
    settings = settings.model_copy(update={"batch_size": 1, "save_steps": 100})
    whole = run.train_model(settings, tmp_path / "whole")
    out, last = tmp_path / "out", run._PoseTrainer.training_step

    def step(self: Any, *given: Any, **more: Any) -> torch.Tensor:
        for number in (1, 2, 3):  # all of them, in the third step
            if self.state.global_step == 2 and not (tmp_path / f"kept{number}.png").exists():
                shutil.copy2(tmp_path / f"{number}.png", tmp_path / f"kept{number}.png")
                cut(tmp_path / f"{number}.png")
        found: torch.Tensor = last(self, *given, **more)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(run._PoseTrainer, "training_step", step)
        with pytest.raises(PosetalkError, match=r"^cannot decode .*; the same command goes on from there$"):
            run.train_model(settings, out)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["checkpoint-3"]
    assert json.loads((out / "pictures.json").read_text())["again"]
    shutil.copytree(out, tmp_path / "other")
    for number in (1, 2, 3):
        shutil.move(tmp_path / f"kept{number}.png", tmp_path / f"{number}.png")
    run.train_model(settings, out)
    found, expected = (load_file(folder / "model.safetensors") for folder in (out, whole))
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
    cut(tmp_path / "2.png")
    run.train_model(settings, tmp_path / "other")
    assert len((tmp_path / "other" / "log.jsonl").read_text().splitlines()) == 6
    assert "People: 2 per epoch" in (tmp_path / "other" / "README.md").read_text()


def test_a_resumed_run_does_not_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [tmp_path / f"{number}.png" for number in range(5)]
    for name in names:
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(name)
    names[3].write_bytes(b"hello")
    looked: list[Path] = []
    read = pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path: looked.append(path) or read(path))
    for _ in range(2):
        assert looked_at([*names, *names]).keys() == {names[3]} and len(looked) == 5
    assert not looked_at(names[:3])  # others are looked at
    assert len(looked) == 8
    (tmp_path / "found.json").write_text("{")
    looked_at(names[:3])
    assert len(looked) == 11


def test_a_picture_that_was_changed_since_the_first_steps_is_told(
    settings: TrainSettings, tmp_path: Path
) -> None:
    photo, other = (tmp_path / f"{number}.png" for number in (2, 3))
    cut(other)  # left out from the beginning
    whole = photo.read_bytes()
    shutil.copytree(run.train_model(settings, tmp_path / "out"), tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "checkpoint-6")
    (tmp_path / "again" / "model.safetensors").unlink()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    for _ in range(2):
        with pytest.raises(PosetalkError, match=r"2\.png changed since the run in .*again began; put back"):
            run.train_model(settings, tmp_path / "again")
    photo.write_bytes(whole)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(other)  # repaired: the run goes on without it
    run.train_model(settings, tmp_path / "again")
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("again", "out"))
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
    assert "People: 2 per epoch" in (tmp_path / "again" / "README.md").read_text()


def test_before_the_first_steps_whatever_is_there_is_taken(tmp_path: Path) -> None:
    photo = tmp_path / "1.png"
    photo.write_bytes(b"hello")
    assert looked_at([photo]).keys() == {photo}
    Image.new("RGB", (9, 9)).save(photo)
    assert not looked_at([photo])
    (tmp_path / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    assert not looked_at([tmp_path / "link" / "1.png"])
    before = (tmp_path / "found.json").read_bytes()
    cut(photo)
    for _ in range(2):
        assert looked_at([photo]).keys() == {photo}
        assert (tmp_path / "found.json").read_bytes() == before
