"""Damaged label files: each fault is one sentence that names the file and, where it can, the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.formats.detections import read_boxes

Make = Callable[..., Any]

NAN = float("nan")
NUMBERS = [100.0, 200.0, 2.0] * 17

# A COCO annotation's faults: what is changed, and what the sentence says of annotation 11.
BAD_COCO_RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "no bbox, one keypoint": (
        {"bbox": ..., "keypoints": [9, 9, 2] + [0] * 48},
        "it has no bbox, and fewer than 2 labelled keypoints",
    ),
    "no image_id": ({"image_id": ...}, "missing required field image_id"),
    "no keypoints": ({"keypoints": ...}, "0 keypoint numbers instead of 51"),
    "too few keypoints": ({"keypoints": NUMBERS[:-1]}, "50 keypoint numbers instead of 51"),
    "too many keypoints": ({"keypoints": [*NUMBERS, 1, 2, 2]}, "54 keypoint numbers instead of 51"),
    "nested keypoints": ({"keypoints": [[1, 2, 2]] * 17}, "expected float, got array at keypoints[0]"),
    "keypoint NaN": ({"keypoints": [NAN, *NUMBERS[1:]]}, "got nothing (null or NaN) at keypoints[0]"),
    "keypoint text": ({"keypoints": ["1", *NUMBERS[1:]]}, "expected float, got str at keypoints[0]"),
    "unknown flag": ({"keypoints": [1, 2, 3] * 17}, "visibility flags [3.0] are not all 0, 1 or 2"),
    "unknown image": ({"image_id": 99}, "its image 99 is not among the images"),
    "box of three": ({"bbox": [1, 2, 3]}, "its bbox has 3 numbers instead of 4"),
    "box without width": ({"bbox": [1, 2, 0, 4]}, "has no area"),
    "box negative": ({"bbox": [1, 2, 3, -4]}, "has no area"),
    "box NaN": ({"bbox": [1, 2, NAN, 4]}, "got nothing (null or NaN) at bbox[2]"),
    "box infinite": ({"bbox": [1, 2, -float("inf"), 4]}, "got nothing (null or NaN) at bbox[2]"),
    "box right of the picture": ({"bbox": [640, 2, 3, 4]}, "lies outside its image of 640 x 480 px"),
    "box above the picture": ({"bbox": [1, -50, 30, 40]}, "lies outside its image of 640 x 480 px"),
    "area zero": ({"area": 0}, "its area is 0"),
    "iscrowd text": ({"iscrowd": "no"}, "at iscrowd"),
}


@pytest.mark.parametrize(("changes", "says"), BAD_COCO_RECORDS.values(), ids=BAD_COCO_RECORDS)
def test_a_bad_annotation_is_skipped_and_said(
    changes: dict[str, Any], says: str, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    """Beside a good one it is skipped; alone it is the end of the file."""
    path = write(coco([coco_person(**changes), coco_person(id=12)]))
    people = read_people(path, tmp_path)
    assert [p.id for _, p in people.people()] == [12]
    [sentence] = people.skipped
    assert sentence.startswith(f"{path}: annotation 11: ")
    assert says in sentence
    path = write(coco([coco_person(**changes)]))
    with pytest.raises(PosetalkError, match="none of the records") as caught:
        read_people(path, tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("text", "annotation number 1: expected object, got str"),
        (None, "annotation number 1: expected object, got nothing"),
        ({}, "annotation number 1: missing required field id"),
        ({"id": "seven"}, "annotation seven: expected int, got str at id"),
        ({"id": 12, "again": True}, "annotation 12: missing required field image_id"),
    ],
)
def test_records_without_an_id_go_by_number(
    bad: Any, says: str, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    people = read_people(write(coco([bad, coco_person()])), tmp_path)
    assert says in people.skipped[0]


def test_ids_are_used_once(write: Make, coco: Make, coco_person: Make, tmp_path: Path) -> None:
    file = coco([coco_person(), coco_person(bbox=[1, 2, 30, 40])])
    file["images"].append({"id": 1, "file_name": "again.jpg"})
    people = read_people(write(file), tmp_path)
    assert [p.box.x for _, p in people.people()] == [90]
    assert "image 1: an earlier image has the same id" in people.skipped[0]
    assert "annotation 11: an earlier annotation has the same id" in people.skipped[1]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ({"id": 1}, "image 1: missing required field file_name"),
        ({"id": 1, "file_name": " "}, "image 1: its file_name is empty"),
        ({"id": 1, "file_name": "a.jpg", "width": 0, "height": 9}, "image 1: its size is 0 x 9"),
        ({"id": 1, "file_name": "a.jpg", "width": "640"}, "image 1: expected int | null, got str at width"),
        (7, "image number 1: expected object, got int"),
    ],
)
def test_a_bad_image_takes_its_people_with_it(
    image: Any, says: str, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    images = [image, {"id": 2, "file_name": "two.jpg"}]
    path = write(coco([coco_person(), coco_person(id=12, image_id=2)], images=images))
    people = read_people(path, tmp_path)
    assert [p.id for _, p in people.people()] == [12]
    assert people.skipped[0] == f"{path}: {says}"
    assert people.skipped[1] == f"{path}: annotation 11: its image 1 is not among the images that were read"


BAD_MPII_RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "no joints": ({"joints": ...}, "missing required field joints"),
    "15 joints": ({"joints": [[1.0, 2.0]] * 15}, "15 joints instead of 16"),
    "triples": ({"joints": [[1.0, 2.0, 3.0]] * 16}, "joints instead of 16 pairs"),
    "15 flags": ({"joints_vis": [1] * 15}, "joints_vis is not 16 times 0 or 1"),
    "flag 2": ({"joints_vis": [2] * 16}, "joints_vis is not 16 times 0 or 1"),
    "none labelled": ({"joints_vis": [0] * 16}, "none of its joints is labelled"),
    "no centre": ({"center": [-1.0, -1.0]}, "it has no centre"),
    "scale": ({"scale": -1.0}, "its scale is -1.0"),
    "scale NaN": ({"scale": NAN}, "got nothing (null or NaN) at scale"),
    "no image": ({"image": ""}, "it names no image"),
}


@pytest.mark.parametrize(("changes", "says"), BAD_MPII_RECORDS.values(), ids=BAD_MPII_RECORDS)
def test_a_bad_mpii_record_is_skipped_and_said(
    changes: dict[str, Any], says: str, write: Make, mpii_person: Make, tmp_path: Path
) -> None:
    path = write([mpii_person(), mpii_person(**changes)])
    people = read_people(path, tmp_path)
    assert [p.id for _, p in people.people()] == [1]
    [sentence] = people.skipped
    assert sentence.startswith(f"{path}: record number 2: ")
    assert says in sentence


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def raw(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def mat(**arrays: Any) -> Callable[[Path], object]:
    return lambda path: savemat(path, arrays)


def truncated(path: Path) -> None:
    savemat(path, {"joints": np.random.default_rng(0).random((14, 3, 50))}, do_compression=True)
    path.write_bytes(path.read_bytes()[:-200])


CAPTIONS = (
    '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"id": 5, "image_id": 1, "caption": "A"}]}'
)
NEWER_MATLAB = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400)

# A JSON file's faults and a MATLAB file's: how it is made, what the sentence says.
BAD_JSON: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "there is no file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "empty": (text(""), "is empty"),
    "blank": (text(" \n\n"), "is empty"),
    "truncated": (text('{"images": [], "annot'), "not whole JSON"),
    "text after it": (text('{"images": [], "annotations": []} x'), "not whole JSON"),
    "too deep": (text('{"images": ' + "[" * 100_000), "not whole JSON"),
    "not UTF-8": (raw(b'{"images": [\xff]}'), "not whole JSON"),
    "no annotations": (text('{"images": []}'), "missing required field annotations"),
    "no images": (text('{"annotations": []}'), "missing required field images"),
    "null": (
        text('{"images": [], "annotations": null}'),
        "expected array, got nothing (null or NaN) at annot",
    ),
    "nobody": (text('{"images": [], "annotations": []}'), "holds no people"),
    "captions": (text(CAPTIONS), "none of the records"),
    "a number": (text("12"), "none of the forms"),
    "an empty list": (text("[]"), "none of the forms"),
    "a picture": (raw(b"\xff\xd8\xff\xe0"), "none of the forms"),
}
BAD_MAT: dict[str, tuple[Callable[[Path], object], str]] = {
    "not MATLAB": (raw(b"joints" * 100), "is not a MATLAB file"),
    "version 7.3": (raw(NEWER_MATLAB), "is not a MATLAB file"),
    "truncated": (truncated, "is not a MATLAB file"),
    "no joints": (mat(annotations=np.ones(3)), "no array called joints"),
    "joints of 15": (mat(joints=np.ones((15, 3, 4))), "has the shape (15, 3, 4)"),
    "joints of text": (mat(joints=np.array(["a", "b"])), "joints has the shape"),
    "joints NaN": (mat(joints=np.full((14, 3, 2), np.nan)), "image 1: a joint is not a number"),
    "unlabelled": (mat(joints=np.zeros((14, 3, 2))), "image 1: 0 of its joints"),
}
BAD_FILES = [
    *(pytest.param("a.json", *case, id=name) for name, case in BAD_JSON.items()),
    *(pytest.param("joints.mat", *case, id=f"mat {name}") for name, case in BAD_MAT.items()),
]


@pytest.mark.parametrize(("name", "make", "says"), BAD_FILES)
def test_a_bad_file_is_refused_by_name(
    name: str, make: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(PosetalkError) as caught:
        read_people(path, tmp_path)
    message = str(caught.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


def test_the_folder_of_images_must_be_one(write: Make, coco: Make, coco_person: Make, tmp_path: Path) -> None:
    path = write(coco([coco_person()]))
    for images in (tmp_path / "absent", path):
        with pytest.raises(PosetalkError, match="is not a folder; give the folder that holds the images"):
            read_people(path, images)


@pytest.mark.parametrize(("first", "last"), [(0, None), (3, 2), (1, 6), (6, None)])
def test_ranges_outside_the_file(first: int, last: int | None, tmp_path: Path) -> None:
    savemat(tmp_path / "joints.mat", {"joints": np.random.default_rng(0).random((14, 3, 5))})
    with pytest.raises(PosetalkError, match="holds images 1 to 5"):
        read_people(tmp_path / "joints.mat", tmp_path, first=first, last=last)


BOX = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
BAD_BOXES: dict[str, tuple[Any, str]] = {
    "no score": ({**BOX, "score": None}, "at score"),
    "three numbers": ({**BOX, "bbox": [1, 2, 3]}, "its bbox has 3 numbers"),
    "no area": ({**BOX, "bbox": [1, 2, 3, 0]}, "has no area"),
    "NaN": ({**BOX, "bbox": [1, 2, NAN, 4]}, "got nothing (null or NaN) at bbox[2]"),
    "a string": ("box", "expected object, got str"),
}


@pytest.mark.parametrize(("bad", "says"), BAD_BOXES.values(), ids=BAD_BOXES)
def test_a_bad_box_is_skipped_and_said(bad: Any, says: str, write: Make) -> None:
    path = write([BOX, bad])
    boxes = read_boxes(path)
    assert len(boxes[1]) == 1
    [sentence] = boxes.skipped
    assert sentence.startswith(f"{path}: record number 2: ")
    assert says in sentence
    with pytest.raises(PosetalkError, match="none of the records"):
        read_boxes(write([bad]))


def test_labels_are_no_detections(write: Make, coco: Make, coco_person: Make) -> None:
    with pytest.raises(PosetalkError, match=r"is not a list of detections \(COCO results\)"):
        read_boxes(write(coco([coco_person()])))
