"""Cards have a head that the hub takes, and say nothing of where files lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, EvalResult, ModelCard
from PIL import Image
from tests.bench.people import question
from tests.hub.hub import faults_of

from posetalk.bench.report.export import export_lmms
from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Sample


def test_the_head_of_a_model(tmp_path: Path) -> None:
    error = EvalResult("keypoint-detection", "calibration", "mine.json: all of it", "ece", 0.0421)
    data = model_data("facebook/dinov2-small", "/abs/tower", None, name="m", results=[error])
    save_card(tmp_path, data, ["# Model card", "", "---", "a: b"])
    assert faults_of((tmp_path / "README.md").read_text(), "model") == []
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.pipeline_tag == "keypoint-detection" and card.data.library_name == "posetalk"
    assert card.data.base_model == ["facebook/dinov2-small"] and card.data.metrics == ["ece"]
    assert card.data.eval_results == [error] and card.data.model_name == "m"
    assert card.text.strip() == "# Model card\n\n---\na: b"


@pytest.mark.parametrize("name", ["tower", "/models/tower", "./tower", "a/b/c", "", "bundled"])
def test_what_the_hub_does_not_have_is_no_base_model(name: str) -> None:
    assert "base_model" not in model_data(name).to_dict()


def test_a_folder_beside_is_no_base_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my" / "tower").mkdir(parents=True)
    assert "base_model" not in model_data("my/tower").to_dict()


@pytest.mark.parametrize("form", ["llava", "llama-factory", "swift", "parquet", "finevision"])
def test_the_head_of_an_export(form: str, tmp_path: Path) -> None:
    if form in ("parquet", "finevision"):
        pytest.importorskip("pyarrow")
    Image.new("RGB", (6, 5)).save(tmp_path / "a.jpg")
    lines = [
        Sample(f"{i}", i, "a.jpg", "detail", (("What?", "This."),), "facts: #1").line() for i in range(40)
    ]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    images = tmp_path if form in ("parquet", "finevision") else None
    export_dataset(tmp_path / "samples.jsonl", tmp_path / "out", form, images=images)  # type: ignore[arg-type]
    text = (tmp_path / "out" / "README.md").read_text()
    assert faults_of(text, "dataset") == [] and str(tmp_path) not in text
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    assert card.data.size_categories == ["n<1K"] and card.data.pretty_name in card.text
    for file in card.data.configs[0]["data_files"]:
        assert [*(tmp_path / "out").glob(file["path"])], file


def test_the_head_of_exported_questions(tmp_path: Path) -> None:
    Image.new("RGB", (6, 5)).save(tmp_path / "a.jpg")
    export_lmms([question("a", image="a.jpg")], tmp_path, tmp_path / "task")
    text = (tmp_path / "task" / "README.md").read_text()
    assert faults_of(text, "dataset") == [] and str(tmp_path) not in text
    [file] = DatasetCard(text).data.configs[0]["data_files"]
    assert file == {"split": "test", "path": "questions.jsonl"}
    assert "# 1 question about bodies with one right answer" in text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/people.json", "people.json"),
        ("/home/me/model (weights 1a2b)", "model (weights 1a2b)"),
        ("data/people.json", "data/people.json"),
        ("bundled (weights 1a2b)", "bundled (weights 1a2b)"),
    ],
)
def test_files_are_named_without_where_they_lie(path: str, name: str) -> None:
    assert shown_path(path) == name
