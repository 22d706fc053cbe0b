"""Labels, objects and detections that are not in pixels of their images, and real ones, of which nothing is said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.coco import read_coco
from posetalk.formats.detections import read_boxes
from posetalk.formats.fit import check_labels
from posetalk.formats.objects import read_objects
from posetalk.formats.scale import OF_POINTS, Reach
from posetalk.locate.jobs import without_match

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
Make = Callable[..., Any]
SIZES = ((640, 480), (480, 640), (500, 375), (1280, 720), (1920, 1080), (640, 427))
LARGE = ((1600, 1200), (1920, 1080), (2560, 1440), (4000, 3000))


def labels(coco: Make, coco_person: Make, count: int, sizes: Any = SIZES) -> Any:
    """An image each, of these sizes in turn, with a small person anywhere in it, and one in its lower right."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        images.append({"id": i, "file_name": f"{i}.jpg", "width": width, "height": height})
        for place in (rng.uniform(0, 0.6, 2), np.array([0.6, 0.58])):
            x, y = place * (width, height)
            w, h = 0.39 * width, 0.41 * height
            across, down = rng.permuted(np.linspace(0.05, 0.95, 17)), np.linspace(0.05, 0.97, 17)
            points = [v for a, d in zip(across, down, strict=True) for v in (x + a * w, y + d * h, 2)]
            people.append(
                coco_person(id=len(people), image_id=i, bbox=[x, y, w, h], area=w * h / 2, keypoints=points)
            )
    return coco(people, images=images)


def scaled(file: Any, factor: Callable[[int, int], tuple[float, float]] | float, what: str = "both") -> Any:
    """The labels as somebody would have them whose images are larger or smaller, or have sides of 100 or 1000."""
    sides = {image["id"]: (image["width"], image["height"]) for image in file["images"]}
    for person in file["annotations"]:
        x, y = factor(*sides[person["image_id"]]) if callable(factor) else (factor, factor)
        if what != "keypoints":
            person["bbox"] = [v * f for v, f in zip(person["bbox"], (x, y, x, y), strict=True)]
        person["keypoints"] = [v * (x, y, 1)[j % 3] for j, v in enumerate(person["keypoints"])]
    return file


def to(end: int) -> Callable[[int, int], tuple[float, float]]:
    return lambda width, height: (end / width, end / height)


# of so many images of such sizes: what is done to the labels, what is said, whether they are refused
SCALES: dict[str, tuple[int, Any, Any, str | None, bool]] = {
    "good": (12, SIZES, 1.0, None, False),
    "good, one picture": (1, SIZES, 1.0, None, False),
    "x 1.1": (12, SIZES, 1.1, "lie outside their images; made for larger ones?", False),
    "x 1.5": (12, SIZES, 1.5, "lie outside their images; made for larger ones?", True),
    "x 2": (12, SIZES, 2.0, "lie outside their images; made for larger ones?", True),
    "x 2, three pictures": (3, SIZES, 2.0, "lie outside their images; made for larger ones?", True),
    "x 10, all boxes outside": (3, SIZES, 10.0, "lie outside their images; made for larger ones?", True),
    "x 2, one picture": (1, SIZES, 2.0, "lie outside their images; made for larger ones?", False),
    "x 0.5": (
        30,
        SIZES,
        0.5,
        "of their images; made for smaller ones? give them in px of these images",
        True,
    ),
    "x 0.5, a dozen pictures": (
        12,
        SIZES,
        0.5,
        "of their images; made for smaller ones? give them in px of these images",
        False,
    ),
    "x 0.5, three pictures": (
        3,
        SIZES,
        0.5,
        "of their images; made for smaller ones? give them in px of these images",
        False,
    ),
    "x 0.5, frames of one size": (
        30,
        SIZES[:1],
        0.5,
        "of their images; made for smaller ones? give them in px of these images",
        False,
    ),
    "x 0.5, one picture": (1, SIZES, 0.5, None, False),
    "x 0.7": (
        24,
        SIZES,
        0.7,
        "of their images; made for smaller ones? give them in px of these images",
        False,
    ),
    "0 to 100": (12, SIZES, to(100), "their images; numbers from 0 to 100 for each side?", True),
    "0 to 100, three pictures": (3, SIZES, to(100), "numbers from 0 to 100 for each side?", True),
    "0 to 1000": (12, SIZES, to(1000), "lie outside their images; numbers from 0 to 1000 for each", True),
    "0 to 1000, large pictures": (12, LARGE, to(1000), "numbers from 0 to 1000 for each side?", False),
    "0 to 1000, larger pictures": (12, LARGE[3:], to(1000), "numbers from 0 to 1000 for each side?", False),
}


@pytest.mark.parametrize(("count", "sizes", "factor", "says", "refused"), SCALES.values(), ids=SCALES)
def test_labels_of_another_scale(
    count: int,
    sizes: Any,
    factor: Any,
    says: str | None,
    refused: bool,
    write: Make,
    coco: Make,
    coco_person: Make,
    tmp_path: Path,
) -> None:
    path = write(scaled(labels(coco, coco_person, count, sizes), factor))
    for read in (lambda: read_coco(path, tmp_path).notes, lambda: AnnotatedImages(path).notes):
        if refused:
            with pytest.raises(PosetalkError) as caught:
                read()
            assert says and says in str(caught.value) and str(caught.value).startswith(f"{path}: ")
        else:
            found = read()
            assert len(found) == (says is not None)
            assert all(says in note and note.startswith(f"{path}: ") for note in found if says)


def test_those_whose_box_lies_outside_are_counted(
    write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    file = labels(coco, coco_person, 4)
    for person in file["annotations"][1::2]:  # in the lower right: all of their 17 keypoints
        person["bbox"][0] += 2000
    path = write(file)
    for read in (lambda: read_coco(path, tmp_path), lambda: AnnotatedImages(path)):
        with pytest.raises(PosetalkError, match="68 of 136 labelled keypoints lie outside their images"):
            read()


def test_one_person_reads_as_corners_by_chance(write: Make, coco: Make, coco_person: Make) -> None:
    """A box that fills most of an image, with the person in its middle."""
    points = [v for j in range(17) for v in (150 + 12 * (j % 5), 110 + 15 * j, 2)]
    for box, said in (([30, 70, 365, 357], 0), ([140, 100, 210, 360], 1)):
        person = coco_person(bbox=box, keypoints=points)
        assert len(AnnotatedImages(write(coco([person]))).notes) == said


def test_a_low_share_of_one_persons_few_keypoints_says_nothing(
    write: Make, coco: Make, coco_person: Make
) -> None:
    keypoints = [110, 210, 2, 80, 210, 2, 111, 211, 2] + [0] * 42
    for count, said in ((1, 0), (3, 1)):
        people = [coco_person(id=i, keypoints=keypoints) for i in range(count)]
        assert len(AnnotatedImages(write(coco(people))).notes) == said


# --- boxes without keypoints ---


def boxes(count: int = 8) -> list[tuple[int, list[float]]]:
    """Two in each image of 640 x 480, in the middle and at the right."""
    return [
        (i // 2, [300.0, 200.0, 100.0, 90.0] if i % 2 else [520.0, 330.0, 118.0, 140.0]) for i in range(count)
    ]


def times(factor: float) -> Callable[[list[float]], list[float]]:
    return lambda box: [factor * v for v in box]


BOXES: dict[str, tuple[Any, int, str | None, bool]] = {  # a box's change, what is added to ids
    "good": (lambda b: b, 0, None, False),
    "0 to 1": (
        lambda b: [v / s for v, s in zip(b, (640, 480) * 2, strict=True)],
        0,
        "8 of 8 boxes are 1 px",
        True,
    ),
    "corners": (
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]],
        0,
        "4 of 8 boxes reach far out of their images, so they seem to be left, top, right, bottom; ",
        True,
    ),
    "other ids": (lambda b: b, 90, "none of its 8 boxes lies on a labelled image; their image ids", True),
    "x 2": (times(2), 0, "8 of 8 boxes lie outside their images; made for larger ones?", True),
    "x 0.5": (times(0.5), 0, "no boxes lie beyond 50% of the width and 49% of the height of their", False),
    "0 to 100": (
        lambda b: [v * 100 / s for v, s in zip(b, (640, 480) * 2, strict=True)],
        0,
        "of their images; numbers from 0 to 100 for each side? give them in px of these images",
        True,
    ),
}


@pytest.mark.parametrize(("change", "shift", "says", "refused"), BOXES.values(), ids=BOXES)
def test_boxes_that_do_not_fit(
    change: Any, shift: int, says: str | None, refused: bool, write: Make, coco: Make, coco_person: Make
) -> None:
    rows = [
        {"id": n, "image_id": i + shift, "category_id": 62, "bbox": change(box)}
        for n, (i, box) in enumerate(boxes())
    ]
    objects = write(
        {"annotations": rows, "categories": [{"id": 1, "name": "person"}, {"id": 62, "name": "chair"}]},
        "o.json",
    )
    detections = write([row | {"category_id": 1, "score": 0.5} for row in rows], "d.json")
    people = write(labels(coco, coco_person, 4, SIZES[:1]), "people.json")
    captions = write({"annotations": [{"image_id": i, "caption": "A man."} for i in range(4)]}, "c.json")
    sizes = dict.fromkeys(range(4), (640, 480))
    reads: list[tuple[Path, Callable[[], Any]]] = [
        (objects, lambda: read_objects(objects, sizes=sizes)[0].notes),
        (objects, lambda: AnnotatedImages(people, captions, objects).notes),
        (detections, lambda: read_boxes(detections, sizes=sizes).notes),
    ]
    for path, read in reads:
        if refused:
            with pytest.raises(PosetalkError) as caught:
                read()
            assert str(caught.value).startswith(f"{path}: ") and says and says in str(caught.value)
        else:
            found = read()
            assert len(found) == (says is not None) and all(says in note for note in found if says)


def test_boxes_of_images_without_sizes_are_held_against_ids_alone(write: Make) -> None:
    rows = [{"image_id": i, "category_id": 1, "bbox": times(5)(box), "score": 1} for i, box in boxes()]
    assert read_boxes(write(rows), sizes=dict.fromkeys(range(4))).notes == ()
    with pytest.raises(PosetalkError, match="lies on a labelled image"):
        read_boxes(write(rows), sizes=dict.fromkeys(range(50, 60)))
    assert len(read_boxes(write(rows))) == 4  # nothing to hold them against


def test_corners_of_another_scale_are_found_out_in_either_form(write: Make) -> None:
    rows = [
        {"image_id": i, "category_id": 1, "score": 1, "bbox": [2 * x, 2 * y, 2 * (x + w), 2 * (y + h)]}
        for i, (x, y, w, h) in boxes()
    ]
    with pytest.raises(PosetalkError, match="8 of 8 boxes lie outside their images; made for larger ones"):
        read_boxes(write(rows), box_format="xyxy", sizes=dict.fromkeys(range(4), (640, 480)))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([0, 1, 2, 3], []),
        ([0, 1, 8, 9], []),
        ([0, 1, 7, 8, 9], ["3 of 5 boxes lie on images that are not in "]),
        ([0, 0], ["3 of 4 images with people of "]),
        ([0, 8, 9], ["2 of 3 boxes lie on", "3 of 4 images with people"]),
    ],
)
def test_boxes_and_labels_of_different_images_are_told(
    ids: list[int], says: list[str], write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    truth = read_coco(write(labels(coco, coco_person, 4), "people.json"), tmp_path)
    rows = [{"image_id": i, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 1} for i in ids]
    found = without_match(truth, read_boxes(write(rows)))
    assert len(found) == len(says) and all(
        note.startswith(start) for note, start in zip(found, says, strict=True)
    )


def test_whatever_holds_of_one_scene_is_not_sure() -> None:
    """Ten thousand frames of a camera whose people keep to a corner are told, not refused."""
    reach = Reach(OF_POINTS)
    for frame in range(10_000):
        reach.add(frame, np.array([[300.0 + frame % 7, 200.0]]), (1920, 1080))
    fault = reach.fault("keypoints")
    assert fault and not fault.certain
    assert Reach(OF_POINTS).fault("keypoints") is None


# --- real labels ---

REAL = {
    "coco people, train": "coco_people/annotations/person_keypoints_train2017.json",
    "coco people, val": "coco_people/annotations/person_keypoints_val2017.json",
    "coco sample": "coco_sample/test_coco.json",
    "coco tiny": "coco_tiny/annotations/person_keypoints_val2017.json",
    "val2017": "coco_val2017_text/person_keypoints_val2017.json",
}
LOOSE = {110, 113, 5001}  # crowded images of which a tenth or more of the keypoints lie beside their boxes


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_nothing_is_said_of_real_labels(name: str, tmp_path: Path) -> None:
    path = DATA / REAL[name]
    data = read_coco(path, tmp_path)
    assert data.notes == ()
    for image in [image for image in data.images if image.people][:300]:
        notes = check_labels([image], path)
        assert not [note for note in notes if "lie in their people's boxes" not in note], image.file_name
        if name.startswith("coco people"):
            assert bool(notes) == (image.id in LOOSE), image.file_name


@pytest.mark.realdata
@pytest.mark.parametrize(("factor", "refused"), [(1.5, True), (2.0, True), (0.5, True), (0.7, False)])
def test_real_labels_of_another_scale(factor: float, refused: bool, write: Make, tmp_path: Path) -> None:
    for name in ("coco people, train", "coco people, val"):
        path = write(scaled(json.loads((DATA / REAL[name]).read_text()), factor))
        if refused:
            with pytest.raises(PosetalkError, match=r"made for (larger|smaller) ones"):
                read_coco(path, tmp_path)
        else:
            assert "made for smaller ones" in read_coco(path, tmp_path).notes[0]


@pytest.mark.realdata
@pytest.mark.parametrize("part", ["train2017", "val2017"])
def test_nothing_is_said_of_real_objects_and_boxes(part: str, tmp_path: Path) -> None:
    folder = DATA / "coco_people/annotations"
    truth = read_coco(folder / f"person_keypoints_{part}.json", tmp_path)
    sizes = {image.id: (image.width or 0, image.height or 0) for image in truth.images}
    assert read_objects(folder / f"instances_{part}.json", sizes=sizes)[0].notes == ()
    sample = read_coco(DATA / "coco_sample/test_coco.json", tmp_path)
    known = {image.id: (image.width or 0, image.height or 0) for image in sample.images}
    found = read_boxes(DATA / "coco_sample/test_coco_det_AP_H_56.json", sizes=known)
    assert found.notes == () and without_match(sample, found) == []
