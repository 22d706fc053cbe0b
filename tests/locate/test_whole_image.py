"""A person without a box is found by the body, whatever is asked for; and the box says where it is from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import skimage

from posetalk.cli import main
from posetalk.locate.image_files import find_images
from posetalk.locate.jobs import image_jobs, run_jobs
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import MODEL, read_predictions
from posetalk.skeleton import Keypoint, load_skeleton

CAMERA = Path(skimage.__path__[0]) / "data" / "camera.png"
BOX = (0, 60, 345, 452)
DESCRIBED = [
    "middle of the left forearm",
    "head top: the highest point of the head",
    "chin: the lowest point of the face",
    "left heel: the back of the left foot",
]


@pytest.fixture(scope="module")
def bundled() -> Localizer:
    return Localizer.from_pretrained("bundled", device="cpu")


@pytest.mark.parametrize("asked", DESCRIBED[:3])  # his feet are out of the photo
def test_one_described_point_is_found_without_a_box_as_with_one(bundled: Localizer, asked: str) -> None:
    boxed = bundled.set_image(CAMERA).locate([BOX], [asked])
    (alone,) = bundled.locate_all([(CAMERA, None)], [asked], whole_image=True)
    for found in (bundled.locate(None, [asked], whole_image=True), alone):
        assert found.score[0, 0] > boxed.score[0, 0] - 0.12 and found.score[0, 0] > 0.45  # was .2 to .4
        assert np.hypot(*(found.xy[0, 0] - boxed.xy[0, 0])) < 20  # px, of a man of 450
        assert min(found.boxes[0].w, found.boxes[0].h) > 200  # was 1
        assert bool(found.visible[0, 0]) or not bool(boxed.visible[0, 0])


def test_a_described_point_is_the_same_alone_and_in_company(bundled: Localizer) -> None:
    together = bundled.set_image(CAMERA).locate(None, DESCRIBED, whole_image=True)
    for number, asked in enumerate(DESCRIBED):
        alone = bundled.locate(None, asked, whole_image=True)
        assert alone.boxes == together.boxes
        np.testing.assert_allclose(alone.xy[0, 0], together.xy[0, number], atol=0.01)


def test_a_whole_skeleton_is_looked_for_by_itself(bundled: Localizer) -> None:
    points = load_skeleton("lsp14").keypoints
    assert bundled._search_keypoints(points) == points
    assert (
        bundled._search_keypoints((*load_skeleton("coco17").keypoints, Keypoint("chin")))[17].name == "chin"
    )
    assert bundled._search_keypoints((Keypoint("chin"),)) == load_skeleton("coco17").keypoints


def test_a_found_box_is_the_models_own_and_no_label(bundled: Localizer, tmp_path: Path) -> None:
    found = bundled.set_image(CAMERA).locate(None, ["chin"], whole_image=True)
    whole = bundled.locate([(0, 0, 512, 512)], "coco17")
    assert found.box_scores is not None and found.box_scores[0] == pytest.approx(whole.score.mean(), abs=1e-5)
    assert found.to_dicts()[0]["box_score"] == pytest.approx(whole.score.mean(), abs=1e-3)
    assert bundled.locate([BOX], ["chin"]).box_scores is None
    assert "box_score" not in bundled.locate([BOX], ["chin"]).to_dicts()[0]
    jobs = image_jobs(find_images([CAMERA]).images)
    (one,), _ = run_jobs(bundled, jobs, [Keypoint("chin")], tmp_path / "predictions.jsonl")
    assert (one.box_source, one.box_score) == (MODEL, pytest.approx(found.box_scores[0], abs=1e-5))
    assert one.score == pytest.approx(found.box_scores[0] * found.score[0, 0], abs=1e-5) and one.score < 1
    (line,) = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert (
        json.loads(line)["box_source"] == "model"
        and read_predictions(tmp_path / "predictions.jsonl")[0][0].key
    )


def test_nothing_takes_a_found_box_for_a_labelled_one(
    bundled: Localizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [n.replace(" ", "_") for n in load_skeleton("coco17").names]
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "area": 9e4, "iscrowd": 0, "num_keypoints": 17,
              "keypoints": [v for i in range(17) for v in (100 + i, 200 + i, 2)]}  # fmt: skip
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({
        "images": [{"id": 1, "file_name": "camera.png", "width": 512, "height": 512}], "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": names}]}))  # fmt: skip
    jobs = image_jobs(find_images([CAMERA]).images)
    points = load_skeleton("coco17").keypoints
    run_jobs(bundled, jobs, points, tmp_path / "located.jsonl")
    line = json.loads((tmp_path / "located.jsonl").read_text()) | {"image_id": 1}
    (tmp_path / "located.jsonl").write_text(json.dumps(line) + "\n")
    words = ["evaluate", "--annotations", labels, "--images", CAMERA.parent, "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words), "--compare", str(tmp_path / "located.jsonl")])
    assert stop.value.code == 2 and "the model found itself" in capsys.readouterr().err


@pytest.mark.realdata
def test_described_points_score_as_in_the_labelled_box_on_real_photos(bundled: Localizer) -> None:
    from posetalk.formats.dataset import read_people

    data = Path(os.environ["POSETALK_DATA"]) / "coco_people"
    truth = read_people(data / "annotations" / "person_keypoints_val2017.json", data / "val2017")
    single = [i for i in truth.images if len(i.people) == 1 and i.people[0].labelled.sum() > 11]
    large = [i for i in single if max(i.people[0].box.w, i.people[0].box.h) > 0.4 * max(i.width, i.height)]
    assert len(large) > 5
    scores = []
    for image in large[:12]:
        bundled.set_image(image.path)
        found, boxed = (
            bundled.locate(box, DESCRIBED, whole_image=True) for box in (None, [image.people[0].box])
        )
        scores.append((found.score.mean(), boxed.score.mean()))
    without, with_box = np.mean(scores, axis=0)
    assert without > with_box - 0.1
