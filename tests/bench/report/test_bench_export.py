"""Exports as the harnesses read them: lmms-eval's task folder, VLMEvalKit's table."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from tests.bench.people import question

from posetalk.bench.report.export import export_lmms, export_vlmeval
from posetalk.errors import PosetalkError
from posetalk.write.questions.questions import Question

HANDS = ("both hands", "only\tleft", 'only "right"', "neither")
QUESTIONS = [
    question("a", "yes", "Is it: so?", image="one.jpg"),
    question("b", "C", "Which #1?", choices=HANDS, kind="hands", image="one.jpg"),
    question("c", "no", image="two's.jpg"),
    question("d", "no", image="missing.jpg"),
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my: photos"
    folder.mkdir()
    for name in ("one.jpg", "two's.jpg"):
        Image.effect_noise((64, 48), 90).convert("L").save(folder / name)
    return folder


def yaml_of(path: Path) -> dict[str, Any]:
    """As lmms-eval reads it: `!function utils.name` is left as text here."""
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        pass

    Loader.add_constructor("!function", lambda loader, node: f"!{loader.construct_scalar(node)}")
    found: dict[str, Any] = yaml.load(path.read_text(), Loader)
    return found


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("task_utils", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lmms_eval_folder(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "task: 'x'"
    assert export_lmms(QUESTIONS, photos, folder) == 1
    task = yaml_of(folder / "posetalk_bench.yaml")
    assert task["task"] == "posetalk_bench" and task["dataset_path"] == "json"
    assert task["dataset_kwargs"]["data_files"] == {task["test_split"]: str(folder / "questions.jsonl")}
    assert task["output_type"] == "generate_until" and task["metadata"]["version"] == 1.0
    utils = module_of(folder / "utils.py")
    named = [task[key] for key in ("doc_to_visual", "doc_to_text", "process_results")]
    assert all(callable(getattr(utils, name.removeprefix("!utils."))) for name in named)
    metrics = {one["metric"]: one for one in task["metric_list"]}
    assert all(one["aggregation"] == "mean" for one in metrics.values())
    assert metrics["accuracy"]["higher_is_better"] and not metrics["unreadable"]["higher_is_better"]
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        "json", data_files=task["dataset_kwargs"]["data_files"], cache_dir=str(tmp_path / "cache")
    )["test"]
    assert len(rows) == 3
    for row, asked, words in zip(rows, QUESTIONS[:3], ("Yes!", "(C)", "A dog"), strict=True):
        [picture] = utils.doc_to_visual(row)
        assert picture.mode == "RGB" and picture.size == (64, 48)
        assert utils.doc_to_text(row, task["lmms_eval_specific_kwargs"]["default"]) == asked.prompt
        assert row[task["doc_to_target"]] == asked.answer
        results = utils.process_results(row, [words])
        assert set(results) <= set(metrics)
        assert results["accuracy"] == results[f"accuracy_{asked.kind}"] == float(words != "A dog")
        assert results["unreadable"] == float(words == "A dog")
    monkeypatch.setenv("POSETALK_IMAGES", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        utils.doc_to_visual(rows[0])


def test_vlmevalkit_table(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out" / "posetalk.tsv"
    assert export_vlmeval(QUESTIONS, photos, out) == 1
    csv.field_size_limit(10**8)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["index"] for row in rows] == ["0", "1", "2"]
    images = {row["index"]: row["image"] for row in rows}
    for row, asked in zip(rows, QUESTIONS, strict=False):
        # an image of at most 64 characters is the index of the row that has it
        text = images[row["image"]] if len(row["image"]) <= 64 else row["image"]
        assert Image.open(io.BytesIO(base64.b64decode(text))).size == (64, 48)
        options = {letter: row[letter] for letter in "ABCD" if row[letter]}
        assert options[row["answer"]].lower() == asked.right.lower()
        assert list(options.values()) == list(asked.choices or ("Yes", "No"))
        assert (row["question"], row["category"], row["split"]) == (asked.text, asked.kind, "test")
    assert rows[1]["image"] == "0"
    pandas = pytest.importorskip("pandas")
    read = pandas.read_csv(out, sep="\t")
    assert list(read["A"]) == ["Yes", "both hands", "Yes"] and read["C"].isna().tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("export", [export_lmms, export_vlmeval])
def test_without_photos_nothing_is_written(tmp_path: Path, export: Any) -> None:
    some: list[Question] = [QUESTIONS[3]]
    with pytest.raises(PosetalkError, match="has no image of these questions"):
        export(some, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
