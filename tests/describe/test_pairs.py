"""Pairs of labelled people: resumable, the same again, and read by the export of samples. The command's bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posetalk.cli import main
from posetalk.describe.pairs import write_pairs
from posetalk.errors import PosetalkError
from posetalk.prompt.coordinate import read
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import read_samples

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
LABELS, CAPTIONS = TUTORIALS / "people.json", TUTORIALS / "captions.json"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    written = write_pairs(LABELS, file, captions=CAPTIONS)
    assert written.images == 4 and written.pairs > 8
    return file


def test_questions_hold_the_place_and_answers_its_words(pairs: Path) -> None:
    sizes = {image["id"]: image for image in json.loads(LABELS.read_text())["images"]}
    for line in map(json.loads, pairs.read_text().splitlines()):
        image = sizes[line["image_id"]]
        for (question, answer), place in zip(line["turns"], line["places"], strict=True):
            x, y = read(question)
            expected = place["xy"][0] / image["width"], place["xy"][1] / image["height"]
            assert (x, y) == pytest.approx(expected, abs=0.002)
            assert answer[0].isupper() and answer.endswith(".") and place["name"] in answer.lower()
    assert "of the man" in pairs.read_text() and "of the woman" in pairs.read_text()


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(pairs: Path, tmp_path: Path) -> None:
    whole, part = pairs.read_bytes(), tmp_path / "part.jsonl"
    part.write_bytes(whole[: len(whole) // 2])
    write_pairs(LABELS, part, captions=CAPTIONS)
    assert part.read_bytes() == whole
    with pytest.raises(PosetalkError, match="other labels or another seed"):
        write_pairs(LABELS, part, captions=CAPTIONS, seed=1)
    assert part.read_bytes() == whole


def test_the_export_of_samples_takes_pairs(pairs: Path, tmp_path: Path) -> None:
    assert all(sample.writer == "describe" for sample in read_samples(pairs))
    export_dataset(pairs, tmp_path / "llava")
    rows = [row for file in (tmp_path / "llava").glob("*.json") for row in json.loads(file.read_text())]
    assert len(rows) == 4
    assert all(row["conversations"][0]["value"].startswith("<image>\n") for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.jpg"], "describe needs a photo and a point"),
        (["--at", "1,2"], "describe needs a photo and a point"),
        (["photo.jpg", "--at", "1,2,3"], "--at '1,2,3' is not two numbers"),
        (["photo.jpg", "--at", "1,2", "--box", "1,2"], "--box '1,2' is not four numbers"),
        (["photo.jpg", "--at", "1,2", "--box", "1,2,3,4", "--boxes", "b.json"], "give one"),
        (["photo.jpg", "--at", "1,2", "--box", "1,2,3,4", "--detector", "x"], "leave one of the two away"),
        (["photo.jpg", "--at", "1,2", "--out", "x"], "--out and --captions go with --labels"),
        (["gone.jpg", "--at", "1,2"], "gone.jpg"),
        (["--labels", "people.json"], "--labels needs a file"),
        (["photo.jpg", "--labels", "people.json", "--out", "x"], "leave the photo and its options away"),
        (["--labels", str(LABELS), "--out", str(LABELS)], "would be lost"),
        (["--labels", str(LABELS), "--out", str(TUTORIALS)], "is a folder"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["describe", *words])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1


@pytest.mark.parametrize("text", ['{"images": [], "annotations": []}', '{"id": "a sample"}\n', "words"])
def test_a_file_of_something_else_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text(text)
    with pytest.raises(PosetalkError, match="would be lost"):
        write_pairs(LABELS, tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == text


def test_labels_without_joints_have_nothing_to_describe(tmp_path: Path) -> None:
    labels = json.loads(LABELS.read_text())
    for image in labels["images"]:
        del image["width"]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(PosetalkError, match="has no place to describe"):
        write_pairs(tmp_path / "labels.json", tmp_path / "out.jsonl")
