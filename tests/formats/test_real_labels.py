"""The real files under $POSETALK_DATA: as many people as their README counts, no record left out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.formats.detections import read_boxes
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, PoseSet

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
pytestmark = pytest.mark.realdata


def read(labels: str, images: str, **more: object) -> PoseSet:
    people = read_people(DATA / labels, DATA / images, **more)  # type: ignore[arg-type]
    assert people.skipped == ()
    return people


@pytest.mark.parametrize(
    ("folder", "split", "pictures", "people", "labelled", "large", "crowds"),
    [
        ("coco_people", "train2017", 103, 282, 282, 188, 0),
        ("coco_people", "val2017", 79, 225, 225, 157, 0),
        ("coco_tiny", "train2017", 50, 99, 57, 37, 3),
        ("coco_tiny", "val2017", 50, 127, 46, 35, 4),
    ],
)
def test_coco(
    folder: str, split: str, pictures: int, people: int, labelled: int, large: int, crowds: int
) -> None:
    found = read(f"{folder}/annotations/person_keypoints_{split}.json", f"{folder}/{split}")
    everyone = [person for _, person in found.people()]
    assert len(found.images) == pictures
    assert all(image.path.is_file() for image in found.images)
    assert len(everyone) == people
    assert sum(p.labelled.any() for p in everyone) == labelled
    assert sum(p.labelled.sum() >= 8 and max(p.box.w, p.box.h) >= 64 for p in everyone) == large
    assert sum(p.is_crowd for p in everyone) == crowds


def test_coco_val2017_whole() -> None:
    found = read("coco_val2017_text/person_keypoints_val2017.json", "coco_val2017_text")
    assert (len(found.images), sum(1 for _ in found.people())) == (2346, 6352)


def test_average_places_are_those_of_the_people() -> None:
    """The baseline of every report: coco17's places, found on train2017, fit val2017's 6,352 people."""
    found = read("coco_val2017_text/person_keypoints_val2017.json", "coco_val2017_text")
    everyone = [person for _, person in found.people()]
    boxes = np.array([p.box.xywh for p in everyone])[:, None]
    places = (np.stack([p.keypoints for p in everyone]) - boxes[..., :2]) / boxes[..., 2:]
    places[~np.stack([p.labelled for p in everyone])] = np.nan
    ours = np.array([p.place for p in load_skeleton("coco17").keypoints])
    assert np.abs(np.nanmean(places, axis=0) - ours).max() < 0.02


def test_coco_sample_and_its_boxes() -> None:
    found = read("coco_sample/test_coco.json", "coco_sample")
    assert (len(found.images), sum(1 for _ in found.people())) == (4, 14)
    sizes = {image.id: (image.width or 0, image.height or 0) for image in found.images}
    boxes = read_boxes(DATA / "coco_sample/test_coco_det_AP_H_56.json", sizes=sizes)
    assert sum(map(len, boxes.values())) == 118
    assert set(boxes) <= set(sizes)


@pytest.mark.parametrize("name", ["coco17", "humanart21"])
def test_human_art(name: str) -> None:
    found = read("humanart_sample/test_humanart.json", "humanart_sample", skeleton=load_skeleton(name))
    everyone = [person for _, person in found.people()]
    assert all(image.path.is_file() for image in found.images), "file_name has two folders more"
    assert len(found.images) == 3
    counts = [13, 14, 17, 17] if name == "coco17" else [15, 16, 21, 21]
    assert [int(p.labelled.sum()) for p in everyone] == counts


def test_human_art_boxes_are_corners() -> None:
    found = read("humanart_sample/test_humanart.json", "humanart_sample")
    sizes = {image.id: (image.width or 0, image.height or 0) for image in found.images}
    path = DATA / "humanart_sample/test_humanart_det_AP_H_56.json"
    with pytest.raises(PosetalkError, match="8 of 13 boxes reach far out"):
        read_boxes(path, sizes=sizes)
    boxes = read_boxes(path, box_format="xyxy", sizes=sizes)
    assert sum(map(len, boxes.values())) == 13
    for image, person in found.people():
        assert max(overlap(person.box, b.box) for b in boxes[image.id]) > 0.5


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    (ax, ay, ar, ab), (bx, by, br, bb) = a.xyxy, b.xyxy
    both = max(0.0, min(ar, br) - max(ax, bx)) * max(0.0, min(ab, bb) - max(ay, by))
    return both / (a.area + b.area - both)


def test_mpii_sample() -> None:
    found = read("mpii_sample/test_mpii.json", "mpii_sample")
    assert found.images[0].id == 5808361
    assert len(found.images) == 5
    assert all(image.path.is_file() for image in found.images)
    for _, person in found.people():
        x, y, right, bottom = person.box.xyxy
        inside = [x < px < right and y < py < bottom for px, py in person.keypoints[person.labelled]]
        assert np.mean(inside) > 0.9


def test_another_skeletons_file_is_refused() -> None:
    with pytest.raises(PosetalkError, match="labels other keypoints"):
        read("mpii_sample/test_mpii_trb.json", "mpii_sample")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("coco_people/annotations/captions_val2017.json", "none of the records"),
        ("coco_people/annotations/instances_val2017.json", "0 keypoint numbers instead of 51"),
        ("coco_sample/test_coco_det_AP_H_56.json", "holds detections, not labels"),
        ("lspet/README.txt", "none of the forms"),
    ],
)
def test_the_wrong_file_of_the_right_folder(labels: str, says: str) -> None:
    with pytest.raises(PosetalkError, match=says):
        read(labels, "coco_people")


def test_lspet() -> None:
    found = read("lspet/joints.mat", "lspet/images")
    assert len(found.images) == 9000
    test = read("lspet/joints.mat", "lspet/images", first=8501, last=9000)
    assert [image.id for image in test.images] == list(range(8501, 9001))
    assert all(image.path.is_file() for image in test.images)
    heights = [person.box.h for _, person in found.people()]
    assert 60 < np.median(heights) < 180, "people are about 150 px long, and seldom upright"


def test_lspet_average_places() -> None:
    found = read("lspet/joints.mat", "lspet/images", last=8500)
    everyone = [person for _, person in found.people()]
    boxes = np.array([p.box.xywh for p in everyone])[:, None]
    places = (np.stack([p.keypoints for p in everyone]) - boxes[..., :2]) / boxes[..., 2:]
    places[~np.stack([p.labelled for p in everyone])] = np.nan
    ours = np.array([p.place for p in load_skeleton("lsp14").keypoints])
    assert np.abs(np.nanmean(places, axis=0) - ours).max() < 1e-3
