"""Things that a detector finds in photos become COCO's instances file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.detect.test_pretrained import save

from posetalk.cli import main
from posetalk.detect.coco_categories import COCO_CATEGORIES, category_id
from posetalk.detect.pretrained import PretrainedThings
from posetalk.errors import PosetalkError
from posetalk.formats.objects import read_objects
from posetalk.images.opening import Pixels
from posetalk.locate.things import load_things_detector, write_things
from posetalk.types import Floats, PoseImage

Finds = Callable[[Pixels, float], tuple[Floats, Floats, list[int]]]
CHAIR, KITE = 62, 38


@pytest.fixture
def images(tmp_path: Path) -> list[PoseImage]:
    (tmp_path / "photos").mkdir()
    for number in (1, 2):
        Image.new("RGB", (90, 60), (40 * number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "3.png").write_bytes(b"damaged")
    return [PoseImage(n, tmp_path / "photos" / f"{n}.png", 90, 60, (), f"{n}.png") for n in (1, 2, 3)]


class Network:
    """A network that finds two chairs at one place, a kite, and something outside the image; red ones twice as far."""

    min_score = 0.5

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image: Pixels, min_score: float) -> tuple[Floats, Floats, list[int]]:
        self.asked += 1
        x = image[0, 0, 0] / 4
        boxes = [[x, 5, x + 20, 40], [x, 6, x + 20, 41], [x, 5, x + 20, 40], [200, 5, 220, 40]]
        return np.array(boxes, float), np.array([0.6, 0.9, 0.7, 0.99]), [CHAIR, CHAIR, KITE, CHAIR]


def test_things_are_written_once_and_read_like_instances(images: list[PoseImage], tmp_path: Path) -> None:
    network, rows = Network(), [{"id": n, "file_name": f"{n}.png", "width": 90, "height": 60} for n in (1, 2)]
    for _ in range(2):
        count, faults = write_things(images, rows, network, "net", tmp_path)  # type: ignore[arg-type]
        assert count == 4 and len(faults) == 1 and "3.png" in faults[0]
    assert network.asked == 2  # the second run searches no image again
    things, skipped = read_objects(tmp_path / "objects.json", sizes={1: (90, 60), 2: (90, 60)})
    assert not skipped and {n: sorted(t.name for t in found) for n, found in things.items()} == {
        1: ["chair", "kite"],
        2: ["chair", "kite"],
    }
    assert next(t for t in things[2] if t.name == "chair").box.xywh == (20, 6, 20, 35)  # the surer of two
    content = json.loads((tmp_path / "objects.json").read_text())
    assert content["info"]["model"] == "net" and all(a["predicted"] for a in content["annotations"])
    with pytest.raises(PosetalkError, match="has the things that net found"):
        write_things(images, rows, network, "other", tmp_path)  # type: ignore[arg-type]
    Image.new("RGB", (90, 60), (9, 9, 9)).save(images[0].path)
    with pytest.raises(PosetalkError, match="another image"):
        write_things(images, rows, network, "net", tmp_path)  # type: ignore[arg-type]


def test_a_detector_of_transformers_finds_things_and_no_people(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    save(
        "rt_detr", tmp_path / "a", {0: "sofa", 1: "sofa", 2: "sofa"}
    )  # random weights see one class everywhere
    boxes, scores, ids = load_things_detector(tmp_path / "a")(pixels, 0.0)
    assert len(boxes) == len(scores) == len(ids) > 0 and set(ids) == {category_id("couch")}
    save("rt_detr", tmp_path / "b", {0: "person", 1: "person", 2: "kite"})
    _, _, ids = PretrainedThings(str(tmp_path / "b"))(pixels, 0.0)
    assert set(ids) <= {KITE}
    save("rt_detr", tmp_path / "c", {0: "person", 1: "dragon", 2: "N/A"})
    with pytest.raises(PosetalkError, match="finds no things"):
        load_things_detector(tmp_path / "c")
    with pytest.raises(PosetalkError, match="only finds people"):
        load_things_detector("bundled")


@pytest.mark.parametrize(
    ("name", "found"),
    [("Tennis_racket", "tennis racket"), ("tvmonitor", "tv"), ("hair dryer", "hair drier"), ("N/A", None)],
)
def test_names_of_detectors(name: str, found: str | None) -> None:
    number = category_id(name)
    assert (None if number is None else COCO_CATEGORIES[number]) == found
    assert len(COCO_CATEGORIES) == 80


def test_options_of_a_server_go_with_a_captioner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (
        (["--base-url", "http://localhost:1/v1"], "go with --captioner"),
        (["--objects", "bundled"], "only finds people"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["label", str(tmp_path), "--out", str(tmp_path / "out"), *words])
        assert stop.value.code == 2 and says in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "out").exists()
