"""What is exported is what `datasets` reads and what TRL trains on: a tiny LLaVA of random weights, built offline."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tune.conftest import SIZE, tiny_llava

from posetalk.errors import PosetalkError
from posetalk.write.samples import parquet
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Kind, Sample
from posetalk.write.samples.split import Shares

pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 pictures of noise, 1.5 MB, with two samples each that are far apart: samples.jsonl and pictures/."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "pictures").mkdir()
    draw = np.random.default_rng(0)
    for number in range(12):
        pixels = draw.integers(0, 255, (300 + number, 350, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.jpg", quality=95)
    kinds: tuple[tuple[Kind, int], ...] = (("detail", 1), ("conversation", 3))
    with (folder / "samples.jsonl").open("w") as file:
        for kind, turns in kinds:
            for number in range(12):
                said = tuple((f"Question {i} of {number}?", f"Answer {i}, {kind}.") for i in range(turns))
                file.write(Sample(f"{number}-{kind}", number, f"{number}.jpg", kind, said, "facts").line())
    return folder


def written(folder: Path, out: Path, form: Any, shares: Shares | None = None) -> Any:
    """An export, as `datasets` reads its folder."""
    export_dataset(folder / "samples.jsonl", out, form, images=folder / "pictures", shares=shares)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return datasets.load_dataset(str(out), cache_dir=str(out.parent / "cache"))


def test_datasets_reads_messages_and_pictures(folder: Path, tmp_path: Path) -> None:
    found = written(folder, tmp_path / "out", "parquet", Shares(0.3, 0.2))
    assert set(found) == {"train", "validation", "test"}
    rows = [row for split in found.values() for row in split]
    assert len(rows) == 24 and len({row["id"] for row in rows}) == 24
    for row in rows:
        [picture] = row["images"]
        assert picture.size == (350, 300 + row["image_id"])  # the right picture, whole
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * (
            1 if row["kind"] == "detail" else 3
        )
        kinds = [part["type"] for message in row["messages"] for part in message["content"]]
        assert kinds[0] == "image" and kinds.count("image") == len(row["images"])
        assert row["messages"][-1]["content"][0]["text"].startswith("Answer")


def test_datasets_reads_finevisions_columns(folder: Path, tmp_path: Path) -> None:
    found = written(folder, tmp_path / "out", "finevision", Shares(0, 0))["train"]
    assert found.column_names == ["images", "texts", "source"]  # no ratings: there are none
    assert {len(row["texts"]) for row in found} == {1, 3}
    assert all(set(turn) == {"user", "assistant"} for row in found for turn in row["texts"])
    assert isinstance(found[0]["images"][0], Image.Image)


def test_features_are_those_that_datasets_would_write() -> None:
    d = datasets
    text, pictures = d.Value("string"), d.List(d.Image())
    parts = d.List({"type": text, "text": text})
    theirs = {
        "parquet": d.Features(
            id=text, kind=text, writer=text, image_id=d.Value("int64"), images=pictures,
            messages=d.List({"role": text, "content": parts}),
        ),
        "finevision": d.Features(images=pictures, texts=d.List({"user": text, "assistant": text}), source=text),
    }  # fmt: skip
    for form, features in theirs.items():
        assert d.Features.from_dict(parquet.FEATURES[form]) == features  # type: ignore[index]


def test_a_picture_of_several_rows_is_kept_once(folder: Path, tmp_path: Path) -> None:
    written(folder, tmp_path / "out", "parquet", Shares(0, 0))
    [file] = (tmp_path / "out" / "data").iterdir()
    once = sum(path.stat().st_size for path in (folder / "pictures").iterdir())
    assert once * 0.9 < file.stat().st_size < once * 1.1  # and not twice, as 24 rows of 12 pictures have it


def test_long_exports_are_many_groups_and_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS", 5)
    monkeypatch.setattr(parquet, "SHARD", 500_000)
    found = written(folder, tmp_path / "out", "parquet", Shares(0, 0))["train"]
    assert len(list((tmp_path / "out" / "data").iterdir())) > 1
    assert [row["id"] for row in found][10:13] == ["10-detail", "11-detail", "0-conversation"] and len(
        found
    ) == 24


@pytest.mark.parametrize("form", ["parquet", "finevision"])
def test_a_missing_picture_is_one_sentence_and_nothing_is_written(
    folder: Path, tmp_path: Path, form: Any
) -> None:
    samples, out = tmp_path / "samples.jsonl", tmp_path / "out"
    samples.write_text(Sample("1-detail", 1, "gone.jpg", "detail", (("A?", "B."),), "facts").line())
    with pytest.raises(PosetalkError, match=r"there is no image .*gone\.jpg; give the folder"):
        export_dataset(samples, out, form, images=folder / "pictures")
    with pytest.raises(PosetalkError, match="holds the images themselves; give the folder"):
        export_dataset(samples, out, form)
    (tmp_path / "text.jpg").write_text("no picture")
    samples.write_text(Sample("1-detail", 1, "text.jpg", "detail", (("A?", "B."),), "facts").line())
    with pytest.raises(PosetalkError, match=r"text\.jpg cannot be read as an image"):
        export_dataset(samples, out, form, images=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.jsonl", "text.jpg"]


def test_trl_trains_on_it(folder: Path, tmp_path: Path) -> None:
    """Two steps: the loss is finite, the weights move, each picture is there and the answers alone are learned."""
    trl = pytest.importorskip("trl")
    data = written(folder, tmp_path / "out", "parquet", Shares(0, 0))["train"]
    model, processor = tiny_llava()
    before = model.model.multi_modal_projector.linear_1.weight.detach().clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # others' deprecations
        settings = trl.SFTConfig(
            output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=2, max_length=None, use_cpu=True,
            bf16=False, report_to="none", save_strategy="no", logging_steps=1, assistant_only_loss=True,
            disable_tqdm=True, activation_checkpointing=False, learning_rate=1e-2,
        )  # fmt: skip
        trainer = trl.SFTTrainer(model=model, args=settings, train_dataset=data, processing_class=processor)
        batch = trainer.data_collator([data[0], data[1]])
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert not torch.equal(before, model.model.multi_modal_projector.linear_1.weight)
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    assert batch["pixel_values"].shape == (2, 3, SIZE, SIZE)
    for row, ids, labels in zip(data, batch["input_ids"], batch["labels"], strict=False):
        assert int((ids == image).sum()) == 4
        learned = processor.tokenizer.decode(labels[labels != -100])
        assert learned == "".join(m["content"][0]["text"] + "</s>" for m in row["messages"][1::2])


def test_without_pyarrow_the_extra_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(PosetalkError, match=r"pip install 'posetalk\[export\]'"):
        export_dataset(folder / "samples.jsonl", tmp_path / "out", "parquet", images=folder / "pictures")


def test_pictures_are_the_files_bytes(folder: Path, tmp_path: Path) -> None:
    """Nothing is decoded and coded anew."""
    found = written(folder, tmp_path / "out", "parquet", Shares(0, 0))["train"]
    raw = found.cast_column("images", datasets.List(datasets.Image(decode=False)))
    for row in raw:
        [picture] = row["images"]
        assert picture["bytes"] == (folder / "pictures" / f"{row['image_id']}.jpg").read_bytes()
        assert Image.open(io.BytesIO(picture["bytes"])).format == "JPEG"
