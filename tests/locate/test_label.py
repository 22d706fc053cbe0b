"""Labels of bare photos: a file that every reader takes, and the rest of the way to samples."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.exchange.forms import convert_labels, read_labels_of
from posetalk.formats.dataset import read_people
from posetalk.locate.label import (
    LabelledImages,
    _annotation,
    join_captions,
    label_images,
    read_given_captions,
)
from posetalk.locate.predictions import Prediction
from posetalk.types import Box, frozen_array

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
WRITTEN = {"000000000785.jpg": ["A woman on skis."], "000000197388.jpg": "A  team\nplays.", "gone.jpg": "x"}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabelledImages]:
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "written.json").write_text(json.dumps(WRITTEN))
    out = folder / "run"
    photos = folder / "photos"
    photos.mkdir()
    for name in list(WRITTEN)[:2]:
        shutil.copy(DATA / "coco_sample" / name, photos)
    return out, label_images(photos, out=out, captions=folder / "written.json", threads=1)


@pytest.mark.realdata
def test_the_file_is_read_like_labels_of_people(labelled: tuple[Path, LabelledImages]) -> None:
    out, result = labelled
    labels = json.loads((out / "labels.json").read_text())
    assert labels["info"]["model"] == "bundled" and len(labels["info"]["model_fingerprint"]) == 32
    assert len(labels["images"]) == result.images == 2 and all(p["predicted"] for p in labels["annotations"])
    theirs, ours = COCO(str(out / "labels.json")), read_people(out / "labels.json", DATA / "coco_sample")
    everyone = {person.id: (image, person) for image, person in ours.people()}
    assert len(theirs.anns) == len(everyone) == result.people >= 5 and not ours.skipped
    predictions = json.loads((out / "keypoints.json").read_text())
    assert len(predictions) == result.people
    for record, predicted in zip(labels["annotations"], predictions, strict=True):
        image, person = everyone[record["id"]]
        assert image.id == predicted["image_id"] and (image.width, image.height) != (None, None)
        triples = np.reshape(predicted["keypoints"], (17, 3))
        assert record["keypoint_scores"] == triples[:, 2].tolist() == person.scores.tolist()  # type: ignore[union-attr]
        assert np.shape(record["keypoint_std"]) == (17, 2) and person.score == predicted["score"]
        np.testing.assert_array_equal(person.keypoints[person.labelled], triples[person.labelled, :2])
        assert (triples[person.labelled, 2] >= 0.5).all()


@pytest.mark.realdata
def test_captions_are_joined_by_name(labelled: tuple[Path, LabelledImages]) -> None:
    out, result = labelled
    captions = json.loads((out / "captions.json").read_text())["annotations"]
    assert {c["image_id"]: c["caption"] for c in captions} == {
        785: "A woman on skis.",
        197388: "A team plays.",
    }
    assert result.captions == 2 and any("1 other images, such as gone.jpg" in said for said in result.skipped)


@pytest.mark.realdata
def test_from_photos_to_samples_and_to_people_who_correct(
    labelled: tuple[Path, LabelledImages], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = labelled
    labels, photos = out / "labels.json", DATA / "coco_sample"
    for words in (
        ["write", str(labels), "--out", str(tmp_path / "written"), "--images", str(photos)],
        ["export", str(tmp_path / "written"), str(tmp_path / "llava")],
        ["facts", str(labels)],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, capsys.readouterr()
    card = (tmp_path / "llava/README.md").read_text()
    assert "facts, without captions, from poses that a model predicted" in card
    convert_labels(labels, tmp_path / "tasks", to="label-studio", images=photos, doubtful_first=True)
    tasks = json.loads((tmp_path / "tasks/tasks.json").read_text())
    tasks[0]["annotations"] = [tasks[0].pop("predictions")[0]]
    corrected = tasks[0]["annotations"][0]["result"]
    box = next(region for region in corrected if region["type"] == "rectanglelabels")
    point = next(region for region in corrected if region.get("parentID") == box["id"])
    point["value"]["x"], point["value"]["y"] = 50.0, 25.0
    (tmp_path / "tasks/tasks.json").write_text(json.dumps(tasks))
    found = read_labels_of(tmp_path / "tasks", "label-studio", images=photos)
    image = found.data.images[0]
    moved = np.array([image.width, image.height]) * (0.5, 0.25)
    assert any((np.abs(p.keypoints - moved).max(axis=1) < 0.01).any() for p in image.people)
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "write",
                str(labels),
                "--out",
                str(tmp_path / "w2"),
                "--writer",
                "openai",
                "--model",
                "m",
                "--recipe",
                "paper",
            ]
        )
    assert stop.value.code == 2 and "tells a model the captions" in capsys.readouterr().err


def test_what_is_not_labelled() -> None:
    points = frozen_array([[10, 20, 0.9], [10, 20, 0.4], [-1, 20, 0.9], [30, 40, 0.5]])
    person = Prediction(
        7, 1, "a.jpg", Box(5, 5, 50, 50), "detector", tuple("abcd"), points, visible=(True, True, True, False)
    )
    record = _annotation(3, person, (100, 80), 0.5)
    assert record["keypoints"] == [10, 20, 2, 0, 0, 0, 0, 0, 0, 30, 40, 1]
    assert (record["num_keypoints"], record["id"], record["image_id"], record["area"]) == (2, 3, 7, 1325)
    assert "keypoint_std" not in record


COCO_CAPTIONS = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "caption": "one"}, {"id": 2, "image_id": 9, "caption": "two"}],
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (COCO_CAPTIONS, {5: "one", 9: "two"}),
        ({"sub/a.jpg": ["one", " "], "9.jpg": "two"}, {5: "one", 9: "two"}),
    ],
)
def test_forms_of_captions(content: Any, found: dict[int, str], tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    images = [{"id": 5, "file_name": "sub/a.jpg"}, {"id": 9, "file_name": "9.jpg"}]
    rows = join_captions(read_given_captions(path), images, path, [])
    assert {row["image_id"]: row["caption"] for row in rows} == found
    assert [row["id"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not whole JSON"), ('{"a.jpg": 3}', "a.jpg: give a caption"), ("[]", "is not captions")],
)
def test_bad_captions_are_one_sentence_before_anything_is_computed(
    content: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(PosetalkError, match=says):
        label_images(tmp_path, out=tmp_path / "out", captions=path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(PosetalkError, match="none of the captions"):
        join_captions({"b.jpg": ("x",)}, [{"id": 1, "file_name": "a.jpg"}], path, [])
    with pytest.raises(PosetalkError, match="lowest score of a keypoint"):
        label_images(tmp_path, out=tmp_path / "out", min_keypoint_score=2)
