"""`posetalk.locate_images`: a folder run from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk import Keypoint, Localizer, PosetalkError, load_skeleton, locate_images
from posetalk.settings import LocateSettings


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in (1, 2):
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


def test_a_loaded_model_and_its_name_make_the_same_run(photos: Path, tmp_path: Path) -> None:
    asked = ["nose", Keypoint("chin", "the point below the mouth")]
    named = locate_images(photos, asked, out=tmp_path / "named", drawings=tmp_path / "drawn")
    assert [p.file_name for p in named.predictions] == ["1.png", "2.png"] and not named.skipped
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["1.png", "2.png"]
    loaded = locate_images([photos], asked, out=tmp_path / "loaded", model=Localizer.from_pretrained())
    first = (tmp_path / "named" / "predictions.jsonl").read_bytes()
    assert (tmp_path / "loaded" / "predictions.jsonl").read_bytes() == first
    assert [p.file_name for p in loaded.predictions] == ["1.png", "2.png"]
    runs = [LocateSettings.load(tmp_path / name / "run.toml") for name in ("named", "loaded")]
    assert runs[0] == runs[1] and runs[0].model == "bundled" and runs[0].readout is None
    # either goes on with what the other began
    Image.new("RGB", (60, 50)).save(photos / "3.png")
    again = locate_images(str(photos), asked, out=str(tmp_path / "loaded"))
    assert (tmp_path / "loaded" / "predictions.jsonl").read_bytes().startswith(first)
    assert [p.file_name for p in again.predictions] == ["1.png", "2.png", "3.png"]


def test_what_a_loaded_model_was_told_is_part_of_the_run(photos: Path, tmp_path: Path) -> None:
    told = Localizer.from_pretrained(readout="digits", decoding="greedy")
    locate_images(photos / "1.png", "nose", out=tmp_path / "out", model=told)
    with pytest.raises(PosetalkError, match="decoding was greedy and is expected"):
        locate_images(photos / "1.png", "nose", out=tmp_path / "out", readout="digits")


def test_a_model_without_a_name_goes_on_with_no_run(photos: Path, tmp_path: Path) -> None:
    model = Localizer.from_pretrained()
    model._engine.source = ""
    skeleton = load_skeleton("coco17")
    locate_images(photos, skeleton, out=tmp_path / "out", model=model, limbs=skeleton.limbs)
    with pytest.raises(PosetalkError, match="cannot be told from the one that made it"):
        locate_images(photos, skeleton, out=tmp_path / "out", model=model)
