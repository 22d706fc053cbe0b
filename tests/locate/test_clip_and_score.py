"""LocLLM's clipped boxes and its confidence, where a model or its user asks for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.images.affine import clip_box
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import read_predictions
from posetalk.model.files import load
from posetalk.score.run import evaluate_model
from posetalk.settings import CropSettings, EvaluateSettings
from posetalk.skeleton import load_skeleton
from posetalk.train.examples import training_examples
from posetalk.types import Box

HEIGHT, WIDTH = 80, 120
NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
BOXES = [Box(10, 10, 40, 60), Box(-10, 30, 60, 40), Box(90, 50, 60, 60)]
CLIPPED = [(10, 10, 39, 59), (0, 30, 59, 39), (90, 50, 29, 29)]
POINTS = load_skeleton("coco17").keypoints[:4]


@pytest.fixture
def clipping(tiny_model: Path) -> Localizer:
    model, tokenizer = load(tiny_model)
    model.config.crop = {**model.config.crop, "clip_box": True}
    return Localizer(model, tokenizer)


def test_boxes_are_clipped_where_the_model_says_so(clipping: Localizer, tiny_model: Path) -> None:
    plain = Localizer.from_pretrained(tiny_model, device="cpu").set_image(NOISE)
    boxes = [clip_box(box, WIDTH, HEIGHT) for box in BOXES]
    assert [box.xywh for box in boxes] == CLIPPED
    expected, found = plain.locate(boxes, POINTS), clipping.set_image(NOISE).locate(BOXES, POINTS)
    np.testing.assert_allclose(found.xy, expected.xy, atol=1e-6)
    assert found.boxes == tuple(BOXES)
    assert np.abs(plain.locate(BOXES, POINTS).xy - expected.xy).max() > 0.1


def test_a_person_is_found_in_the_whole_image(clipping: Localizer) -> None:
    assert len(clipping.set_image(NOISE).locate(None, POINTS, whole_image=True)) == 1


def test_a_sliver_of_the_last_pixel_is_refused(clipping: Localizer) -> None:
    with pytest.raises(PosetalkError, match=r"lies outside its image of 120 x 80 px; give x,y,width"):
        clipping.set_image(NOISE).locate([(119.5, 0, 5, 5)], POINTS)


@pytest.fixture
def labels(tmp_path: Path) -> EvaluateSettings:
    """Three people in COCO's form, in the boxes of `BOXES`, on an image whose size the labels do not say."""
    Image.fromarray(NOISE).save(tmp_path / "1.png")
    people = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": list(box.xywh),
            "area": 900,
            "keypoints": [box.x + 15, box.y + 15, 2] * 17,
            "num_keypoints": 17,
        }
        for number, box in enumerate(BOXES, 1)
    ]
    file = tmp_path / "labels.json"
    image = {"id": 1, "file_name": "1.png"}
    file.write_text(json.dumps({"images": [image], "annotations": people, "categories": [{"id": 1}]}))
    return EvaluateSettings(model="bundled", annotations=str(file), images=str(tmp_path))


def test_training_clips_cocos_boxes(labels: EvaluateSettings, write_mpii: Path) -> None:
    people = read_people(Path(labels.annotations), Path(labels.images))
    coco = load_skeleton("coco17")
    clipped = training_examples(people, coco, crop=CropSettings(clip_box=True))
    assert [example.person.box.xywh for example in clipped] == CLIPPED
    assert [example.person.box for example in training_examples(people, coco)] == BOXES
    mpii, body = read_people(write_mpii, Path(labels.images)), load_skeleton("mpii16")
    both = [training_examples(mpii, body, crop=CropSettings(clip_box=clip)) for clip in (False, True)]
    assert both[0][0].person.box == both[1][0].person.box


@pytest.fixture
def write_mpii(tmp_path: Path) -> Path:
    """A person of MPII in the upper left of the image, whose square leaves it."""
    person = {"joints": [[20 + n, 10 + n] for n in range(16)], "joints_vis": [1] * 16}
    file = tmp_path / "mpii.json"
    file.write_text(json.dumps([{**person, "image": "1.png", "scale": 0.2, "center": [25, 15]}]))
    return file


def test_an_evaluation_clips_cocos_boxes_alone(
    clipping: Localizer,
    labels: EvaluateSettings,
    write_mpii: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Localizer, "from_pretrained", lambda *_, **__: clipping)
    evaluate_model(labels, tmp_path / "coco")
    assert clipping.crop.clip_box
    evaluate_model(labels.model_copy(update={"annotations": str(write_mpii)}), tmp_path / "mpii")
    assert not clipping.crop.clip_box


@pytest.mark.parametrize("decoding", ["greedy", "expected"])
def test_locllms_confidence_is_a_mean_over_five_characters(tiny_model: Path, decoding: str) -> None:
    options = {"device": "cpu", "decoding": decoding}
    greedy = Localizer.from_pretrained(tiny_model, device="cpu", decoding="greedy").set_image(NOISE)
    theirs = Localizer.from_pretrained(tiny_model, **options, score="locllm").set_image(NOISE)
    own = Localizer.from_pretrained(tiny_model, **options).set_image(NOISE)
    found = theirs.locate(BOXES, POINTS)
    np.testing.assert_array_equal(found.xy, own.locate(BOXES, POINTS).xy)
    if decoding == "greedy":
        np.testing.assert_allclose(found.score, 0.4 + 0.6 * greedy.locate(BOXES, POINTS).score, atol=1e-12)
    assert (found.score > 0.4).all() and (found.score != own.locate(BOXES, POINTS).score).all()


def test_an_evaluation_is_ranked_by_it(labels: EvaluateSettings, tiny_model: Path, tmp_path: Path) -> None:
    settings = labels.model_copy(update={"model": str(tiny_model), "score": "locllm"})
    evaluate_model(settings, tmp_path / "out")
    predictions, _ = read_predictions(tmp_path / "out" / "predictions.jsonl")
    poses = Localizer.from_pretrained(tiny_model, score="locllm").set_image(NOISE).locate(BOXES, "coco17")
    found = {one.person_id: one.keypoints[:, 2] for one in predictions}
    np.testing.assert_allclose([found[n] for n in (1, 2, 3)], poses.score, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "the score 'locllm' is of digits, and this readout is 'point'"),
        ({"score": "oks"}, "no score 'oks'"),
    ],
)
def test_scores_that_are_not_there_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(PosetalkError, match=words):
        Localizer.from_pretrained("bundled", **{"score": "locllm", **options})  # type: ignore[arg-type]


def test_the_command_takes_it(
    labels: EvaluateSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--annotations", labels.annotations, "--images", labels.images, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", *words, "--score", "locllm"])
    assert "the score 'locllm' is of digits" in capsys.readouterr().err
