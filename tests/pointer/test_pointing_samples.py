"""Labels as training data: what is taught is what an evaluation asks and reads; TRL trains on it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tune.conftest import tiny_llava

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.pointer.form import FORMS, Place, load_form
from posetalk.pointer.reply import read_places
from posetalk.pointer.samples import export_pointing
from posetalk.pointer.view import view_of
from posetalk.skeleton import load_skeleton
from posetalk.types import Box
from posetalk.write.samples.split import Shares

COCO = load_skeleton("coco17").names
SIZES = [(90, 120), (300, 200)]


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """Labels of two photos and their folder: one person with all keypoints, one with two of them, and a crowd."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, size in enumerate(SIZES, 1):
        Image.new("RGB", size, "grey").save(folder / f"{number}.png")
    whole = [v for k in range(17) for v in (10 + 4 * k, 20 + 5 * k, 2 - k % 2)]
    two = [v for k in range(17) for v in ((50, 60 + k, 2) if k < 2 else (0, 0, 0))]
    person = {"category_id": 1, "iscrowd": 0, "area": 4000.0}
    people = [
        {**person, "id": 1, "image_id": 1, "bbox": [5, 10, 80, 100], "keypoints": whole, "num_keypoints": 17},
        {**person, "id": 2, "image_id": 2, "bbox": [40, 50, 40, 60], "keypoints": two, "num_keypoints": 2},
        {**person, "id": 3, "image_id": 2, "bbox": [0, 0, 9, 9], "keypoints": two, "num_keypoints": 2, "iscrowd": 1},
    ]  # fmt: skip
    images = [
        {"id": n, "file_name": f"{n}.png", "width": w, "height": h} for n, (w, h) in enumerate(SIZES, 1)
    ]
    data = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "labels.json").write_text(json.dumps(data))
    return tmp_path / "labels.json", folder


@pytest.mark.parametrize("name", FORMS)
def test_what_is_taught_is_where_the_labels_are(
    name: str, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    form = load_form(name)
    result = export_pointing(labelled[0], tmp_path / "out", name, images=labelled[1], shares=Shares(0, 0))
    assert not result.skipped and result.statistics["train"].kinds == {"pointing": 2}
    rows = json.loads((tmp_path / "out" / "train.json").read_text())
    first = rows[0]["conversations"]
    view = view_of(SIZES[0], form, max(SIZES[0]))
    taught: dict[str, Place] = {}
    for question, answer in zip(first[::2], first[1::2], strict=True):
        asked = [point for point in COCO if point in question["value"]]
        if form.points_per_request == 1:
            asked = [max(asked, key=len)]
        read = read_places(answer["value"], form, asked, view.size)
        taught |= {point: place.place for point, place in zip(asked, read, strict=True) if place.place}
    assert len(first) // 2 == 4 and len(taught) == (4 if form.points_per_request == 1 else 17)
    for point, place in taught.items():
        k = COCO.index(point)
        assert view.to_photo(place) == pytest.approx((10 + 4 * k, 20 + 5 * k), abs=1)
    assert first[0]["value"].startswith("<image>\n") and "<image>" not in first[2]["value"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"form {name}" in card and "point at places on bodies" in card and "LLaVA-Pose" not in card


def test_words_are_drawn_by_the_seed(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    texts = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / str(number)
        export_pointing(labelled[0], out, "qwen3-vl", images=labelled[1], shares=Shares(0, 0), seed=seed)
        texts.append((out / "train.json").read_text())
    assert texts[0] == texts[1] != texts[2]
    lines = [
        line for line in json.loads(texts[0])[0]["conversations"][0]["value"].splitlines() if line[:2] == "- "
    ]
    assert any(": " in line for line in lines) and any(": " not in line for line in lines)


def test_the_command_needs_the_images(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: object) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["export", str(labelled[0]), str(tmp_path / "out"), *map(str, words)])
        return int(stopped.value.code or 0)

    assert command("--pointing", "molmo") == 2 and "give --images" in capsys.readouterr().err
    assert command("--pointing", "moon", "--images", labelled[1]) == 2
    assert "no form 'moon'" in capsys.readouterr().err
    assert command("--skeleton", "coco17") == 2 and "goes with --pointing" in capsys.readouterr().err
    (labelled[1] / "2.png").write_bytes(b"no picture")
    assert command("--pointing", "molmo", "--images", labelled[1], "--format", "swift", "--test", "0") == 0
    said = capsys.readouterr()
    assert "1 samples of 1 images" in said.out and "2.png" in said.err + said.out


def test_trl_trains_a_step_on_it(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    export_pointing(
        labelled[0], tmp_path / "out", "qwen2.5-vl", "parquet", images=labelled[1], shares=Shares(0, 0)
    )
    files = [str(path) for path in (tmp_path / "out" / "data").glob("train-*.parquet")]
    data = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    model, processor = tiny_llava()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # others' deprecations
        settings = trl.SFTConfig(
            output_dir=str(tmp_path / "run"), max_steps=1, per_device_train_batch_size=1, max_length=None, use_cpu=True,
            bf16=False, report_to="none", save_strategy="no", logging_steps=1, assistant_only_loss=True,
            disable_tqdm=True, activation_checkpointing=False,
        )  # fmt: skip
        trainer = trl.SFTTrainer(model=model, args=settings, train_dataset=data, processing_class=processor)
        batch = trainer.data_collator([data[0]])
        trainer.train()
    assert all(np.isfinite(row["loss"]) for row in trainer.state.log_history if "loss" in row)
    learned = processor.tokenizer.decode(batch["labels"][0][batch["labels"][0] != -100])
    assert learned.startswith('[{"point_2d": [') and "Point to" not in learned


@pytest.mark.parametrize("photo", [(640, 480), (4000, 3000), (30, 2000), (101, 57), (1023, 1025)])
@pytest.mark.parametrize(
    "person", [None, Box(5, 5, 20, 40), Box(-30, -30, 5000, 5000), Box(90, 50, 0.5, 0.5)]
)
def test_a_view_keeps_to_its_form_and_comes_back(photo: tuple[int, int], person: Box | None) -> None:
    form: Any = load_form("qwen2.5-vl")
    view = view_of(photo, form, 1024, person)
    assert all(side % 28 == 0 and side >= 28 for side in view.size)
    assert view.size[0] * view.size[1] <= form.max_pixels and max(view.size) <= 1024 + 14
    x1, y1, x2, y2 = view.region.xyxy
    assert 0 <= x1 < x2 <= photo[0] and 0 <= y1 < y2 <= photo[1]
    for place in ((0.0, 0.0), (0.3, 0.7), (1.0, 1.0)):
        assert view.to_view(view.to_photo(place)) == pytest.approx(place)


def test_labels_without_points_are_refused(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    data = json.loads(labelled[0].read_text())
    data["annotations"] = data["annotations"][2:]
    labelled[0].write_text(json.dumps(data))
    with pytest.raises(PosetalkError, match="holds no sample"):
        export_pointing(labelled[0], tmp_path / "out", "json", images=labelled[1])
