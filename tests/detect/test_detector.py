"""The detector of people: the bundled one finds them, in any form of image; others are loaded by their name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from benchmarks.detect import at_score, recall
from PIL import Image

from posetalk.detect.detector import Detector
from posetalk.detect.nanodet import letterbox
from posetalk.detect.people import People
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.images.opening import read_image
from posetalk.resources import BUNDLED_DETECTOR
from posetalk.types import Floats

PHOTO = Path(skimage.__path__[0]) / "data" / "astronaut.png"
CAMERA = Path(skimage.__path__[0]) / "data" / "camera.png"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(threads=1)


def test_the_bundled_file_is_the_one_that_was_made_and_has_its_licence() -> None:
    digest = hashlib.sha256(BUNDLED_DETECTOR.read_bytes()).hexdigest()
    assert digest == "1ade64d82a98a9894bb8900128e7f908689ac0521e2f29745de285efe253fedb"
    folder = BUNDLED_DETECTOR.parent
    assert sorted(file.name for file in folder.iterdir()) == ["LICENSE", "README.md", "nanodet.onnx"]
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "RangiLyu" in (folder / "README.md").read_text()


def test_one_person_is_found_where_they_are(detector: Detector) -> None:
    for photo, (left, top, right, bottom) in ((PHOTO, (15, 0, 370, 512)), (CAMERA, (0, 65, 320, 512))):
        people = detector(photo)
        assert len(people) >= 1 and people.scores[0] > 0.5
        np.testing.assert_allclose(people.boxes[0].xyxy, (left, top, right, bottom), atol=25)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image, folder: image, id="pillow"),
        pytest.param(lambda image, folder: np.asarray(image), id="array"),
        pytest.param(
            lambda image, folder: np.dstack([np.asarray(image), np.full((512, 512), 255)]).astype(np.uint8),
            id="rgba",
        ),
        pytest.param(lambda image, folder: saved(image, folder / "a.png"), id="path"),
        pytest.param(lambda image, folder: str(saved(image, folder / "a.webp", lossless=True)), id="text"),
        pytest.param(lambda image, folder: turned(image, folder / "a.png"), id="exif"),
    ],
)
def test_every_form_of_an_image_gives_the_same(
    detector: Detector, change: Callable[[Image.Image, Path], object], tmp_path: Path
) -> None:
    expected = detector(PHOTO)
    found = detector(change(Image.open(PHOTO), tmp_path))
    assert found.boxes == expected.boxes and (found.scores == expected.scores).all()


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def turned(image: Image.Image, path: Path) -> Path:
    """The file on its side, with the EXIF orientation that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image.transpose(Image.Transpose.ROTATE_90), path, exif=exif)


def test_boxes_grow_and_move_with_the_image(detector: Detector) -> None:
    photo = read_image(PHOTO)
    box = detector(photo).boxes[0]
    twice = detector(np.repeat(np.repeat(photo, 2, 0), 2, 1)).boxes[0]
    np.testing.assert_allclose(twice.xyxy, 2 * np.array(box.xyxy), atol=16)
    wide = np.concatenate([np.zeros((512, 256, 3), np.uint8), photo], 1)
    moved = detector(wide).boxes[0]
    np.testing.assert_allclose(moved.xyxy, np.add(box.xyxy, [256, 0, 256, 0]), atol=40)


def test_nobody_is_found_where_nobody_is(detector: Detector) -> None:
    people = detector(np.full((300, 400, 3), 128, np.uint8))
    assert len(people) == 0 and people.boxes == () and people.scores.shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (2000, 3), (31, 33), (416, 416)])
def test_images_of_any_shape_fit(detector: Detector, shape: tuple[int, int]) -> None:
    small, scale = letterbox(np.full((*shape, 3), 200, np.uint8))
    assert small.shape[0] % 32 == small.shape[1] % 32 == 0 and max(small.shape) == 416
    filled = small.any(2)
    size = filled[:, 0].sum(), filled[0].sum()
    np.testing.assert_allclose(scale[:2], [size[1] / shape[1], size[0] / shape[0]])
    assert filled.sum() == size[0] * size[1]
    for box in detector(np.full((*shape, 3), 200, np.uint8)).boxes:
        assert 0 <= box.x < box.x + box.w <= shape[1] and 0 <= box.y < box.y + box.h <= shape[0]


class Fixed:
    """A network that finds the same people everywhere."""

    min_score = 0.4
    corners = np.array(
        [[0, 0, 50, 90], [10, 10, 20, 20], [2, 0, 52, 88], [60, 0, 140, 99], [70, 0, 70, 50]], float
    )
    scores = np.array([0.5, 0.9, 0.6, 0.45, 0.99])

    def __call__(self, image: np.ndarray, min_score: float) -> tuple[Floats, Floats]:
        keep = self.scores >= min_score
        return self.corners[keep], self.scores[keep]


@pytest.mark.parametrize(
    ("options", "boxes"),
    [
        ({}, [(10, 10, 20, 20), (2, 0, 52, 88), (60, 0, 100, 99)]),  # one of a pair; cut at the edge; no area
        ({"min_score": 0.55}, [(10, 10, 20, 20), (2, 0, 52, 88)]),
        ({"max_people": 1}, [(10, 10, 20, 20)]),
        ({"largest": True}, [(2, 0, 52, 88)]),
        ({"min_score": 1.0}, []),
        ({"min_score": 1.0, "largest": True}, []),
    ],
)
def test_options(options: dict[str, object], boxes: list[tuple[float, ...]]) -> None:
    people = Detector(Fixed(), **options)(np.zeros((100, 100, 3), np.uint8))
    assert [box.xyxy for box in people.boxes] == boxes
    assert (np.diff(people.scores) <= 0).all() and len(people) == len(boxes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_score": 1.5}, "between 0 and 1"),
        ({"min_score": float("nan")}, "between 0 and 1"),
        ({"max_people": 0}, "max_people"),
        ({"max_people": 1.5}, "max_people"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(PosetalkError, match=words):
        Detector(Fixed(), **options)


def test_bad_images_are_refused(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="no image"):
        detector(tmp_path / "none.jpg")
    with pytest.raises(PosetalkError, match="shape"):
        detector(np.zeros((4, 4, 7), np.uint8))


def test_scores_without_boxes_are_refused() -> None:
    with pytest.raises(PosetalkError, match="one for each box"):
        People((), np.ones(2))


@pytest.mark.realdata
def test_most_large_people_of_photos_it_has_not_seen_are_found(detector: Detector) -> None:
    data = Path(os.environ["POSETALK_DATA"]) / "coco_tiny"
    truth = read_people(data / "annotations" / "person_keypoints_val2017.json", data / "val2017")
    found = [at_score(detector(image.path), detector.min_score) for image in truth.images]
    everybody, large, false = recall(truth.images, found)
    assert everybody > 0.5 and large > 0.9 and false < 2
