"""Labels that are odd: harmless ones are read, others left out with a sentence, and both ways of reading agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.coco import image_path, read_coco
from posetalk.formats.dataset import read_people
from posetalk.formats.paths import find_image
from posetalk.types import Person

Make = Callable[..., Any]
NAN = float("nan")


def both(path: Path, images: Path) -> tuple[list[Person], set[str], list[str]]:
    """The people, sentences and notes of a file, which must be the same read whole and image by image."""
    whole, one_by_one = read_coco(path, images), AnnotatedImages(path, images=images)
    people = [person for _, person in whole.people()]
    again = [person for picture in one_by_one for person in picture.image.people]
    assert [p.id for p in people] == [p.id for p in again]
    for person, other in zip(people, again, strict=True):
        assert (person.box, person.area, person.is_crowd) == (other.box, other.area, other.is_crowd)
        assert (person.keypoints == other.keypoints).all() and (person.visible == other.visible).all()
    assert set(whole.skipped) == set(one_by_one.skipped)
    assert list(whole.notes) == one_by_one.notes
    return people, set(whole.skipped), list(whole.notes)


def nested(depth: int) -> Any:
    """Brackets in brackets."""
    return "[" * depth + "]" * depth


HARMLESS: dict[str, dict[str, Any]] = {
    "iscrowd null": {"iscrowd": None},
    "iscrowd 0.0": {"iscrowd": 0.0},
    "ids 1.0": {"id": 11.0, "image_id": 1.0, "category_id": 1.0},
    "area null": {"area": None},
    "half a character in what is not read": {"note": "\ud800"},
}


@pytest.mark.parametrize("changes", HARMLESS.values(), ids=HARMLESS)
def test_harmless_records_are_read(
    changes: dict[str, Any], write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    people, skipped, notes = both(write(coco([coco_person(**changes)])), tmp_path)
    assert [(p.id, p.is_crowd, p.box.xywh) for p in people] == [(11, False, (90, 190, 40, 60))]
    assert people[0].labelled.sum() == 16
    assert (skipped, notes) == (set(), [])


def test_numbers_of_unlabelled_keypoints_do_not_matter(
    write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    values = [*coco_person()["keypoints"][:-3], NAN, None, 0]
    people, skipped, _ = both(write(coco([coco_person(keypoints=values)])), tmp_path)
    assert people[0].keypoints[16].tolist() == [0, 0] and skipped == set()


@pytest.mark.parametrize("missing", [..., None])
def test_a_box_that_is_missing_is_made_and_told(
    missing: Any, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    path = write(coco([coco_person(bbox=missing, area=...), coco_person(id=12)]))
    people, skipped, [note] = both(path, tmp_path)
    assert people[0].box.xywh == pytest.approx(
        (98.5, 198.5, 18, 18)
    )  # of keypoints 100..115 and 200..215, x 1.2
    assert people[0].area == pytest.approx(0.53 * 18 * 18) and skipped == set()
    assert note == f"{path}: 1 person has no bbox; the box is made from the keypoints, each side x 1.2"


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {  # how image 2 is changed, what is said
    "300 letters": ({"file_name": "x" * 300 + ".jpg"}, "cannot be looked for: File name too long"),
    "half a character": (
        {"file_name": "\ud800.jpg"},
        "cannot be looked for: it holds NUL or half a character",
    ),
    "NUL": ({"file_name": "a\0.jpg"}, "cannot be looked for: it holds NUL or half a character"),
    "dots": ({"file_name": "../secret.jpg"}, "leads out of"),
    "dots within": ({"file_name": "a/../../secret.jpg"}, "leads out of"),
    "dots of Windows": ({"file_name": "..\\secret.jpg"}, "leads out of"),
    "a whole path": ({"file_name": "/etc/hostname"}, "leads out of"),
    "a link out": ({"file_name": "link.jpg"}, "leads out of"),
    "a linked folder": ({"file_name": "out/secret.jpg"}, "leads out of"),
    "id 2^63": ({"id": 2**63}, "beyond 64 bits"),
    "id 2^70": ({"id": 2**70}, "beyond 64 bits"),
    "id of brackets": ({"id": [[[[1]]]]}, "expected int, got array"),
}


@pytest.mark.parametrize(("changes", "says"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_an_image_that_cannot_be_is_left_out_and_the_next_goes_on(
    changes: dict[str, Any], says: str, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "secret.jpg").touch()
    (images / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (images / "out").symlink_to(tmp_path)
    file = coco([coco_person(), coco_person(id=12, image_id=changes.get("id", 2))])
    file["images"][1] |= changes
    people, skipped, _ = both(write(file), images)
    assert [p.id for p in people] == [11]
    assert any(says in sentence and ": image" in sentence for sentence in skipped), skipped
    assert all(sentence.isprintable() for sentence in skipped)
    file["annotations"] = file["annotations"][1:]
    for read in (lambda: read_coco(write(file), images), lambda: AnnotatedImages(write(file), images=images)):
        with pytest.raises(PosetalkError, match="none of the records"):
            read()


def test_a_record_nested_too_deep_spoils_itself_alone(
    write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    text = json.dumps(coco([coco_person(), coco_person(id=12, note="HERE")]))
    path = write(text.replace('"HERE"', nested(100_000)).encode())
    people, [skipped], _ = both(path, tmp_path)
    assert [p.id for p in people] == [11] and "annotation number 2: maximum recursion" in skipped


def test_bad_lists_agree(write: Make, coco: Make, coco_person: Make, tmp_path: Path) -> None:
    """An image id used twice, a person of no image, a category that is none."""
    file = coco([coco_person(), coco_person(id=12, image_id=99)])
    file["images"].append({"id": 1, "file_name": "again.jpg"})
    file["categories"].append({"id": "dog"})
    people, skipped, _ = both(write(file), tmp_path)
    assert [p.id for p in people] == [11] and len(skipped) == 3


def test_where_nobody_is_called_person_the_categories_are_named(
    write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    categories = [{"id": 5, "name": "human"}, {"id": 6, "name": "dog"}]
    path = write(coco([coco_person(category_id=5)], categories=categories))
    for read in (lambda: read_coco(path, tmp_path), lambda: AnnotatedImages(path)):
        with pytest.raises(PosetalkError, match=r"called person; there are human \(id 5\), dog \(id 6\)"):
            read()


def test_names_stay_in_the_folder(tmp_path: Path) -> None:
    real, images = tmp_path / "real", tmp_path / "images"
    (real / "sub").mkdir(parents=True)
    images.symlink_to(real)  # the folder itself may be a link
    for name in ("a.jpg", "sub/b.jpg"):
        (real / name).touch()
    (images / "c.jpg").symlink_to("sub/b.jpg")
    for name, where in (
        ("a.jpg", "a.jpg"),
        ("sub/../a.jpg", "sub/../a.jpg"),
        ("c.jpg", "c.jpg"),
        ("train/sub/b.jpg", "sub/b.jpg"),
        ("gone.jpg", "gone.jpg"),
        ("a.jpg/x.jpg", "a.jpg/x.jpg"),
    ):
        assert image_path(images, name) == images / where
    assert image_path(images, str(images / "a.jpg")) == images / "a.jpg"
    assert find_image(images, "a.jpg") == images / "a.jpg"
    for name in ("gone.jpg", "sub", "../x.jpg", "/etc/hostname", "x" * 300, "\0", "\ud800", "a.jpg/x.jpg"):
        assert find_image(images, name) is None


def test_the_other_forms_stay_in_the_folder_too(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "secret.jpg").touch()
    rows = [mpii_person(image=name) for name in ("7.jpg", "../secret.jpg", "x" * 300, "\ud800")]
    found = read_people(write(rows), images)
    assert [image.path for image in found.images] == [images / "7.jpg"] and len(found.skipped) == 3
    joints = np.random.default_rng(0).uniform(1, 100, (3, 14, 2))
    joints[2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    (images / "im0001.jpg").symlink_to(tmp_path / "secret.jpg")
    found = read_people(tmp_path / "joints.mat", images)
    assert [image.id for image in found.images] == [2] and "leads out of" in found.skipped[0]


# --- labels that do not fit themselves ---


def crowd(coco: Make, coco_person: Make, count: int, change: Callable[[dict[str, Any], int], object]) -> Any:
    """People in an image of 640 x 480, standing upright from the left to the right."""
    people = []
    for i in range(count):
        x, y = 20 + 50 * i, 120 + 10 * i
        points = [v for j in range(17) for v in (x + 2 + 16 * (j % 2), y + 4 + 11 * j, 2)]
        people.append(coco_person(id=i + 1, bbox=[x, y, 24, 190], area=2400, keypoints=points))
        change(people[-1], i)
    return coco(people)


def normalised(person: dict[str, Any], _: int) -> None:
    person["bbox"] = [v / side for v, side in zip(person["bbox"], (640, 480) * 2, strict=True)]
    sides = (640, 480, 1)
    person["keypoints"] = [v / sides[j % 3] for j, v in enumerate(person["keypoints"])]


def corners(person: dict[str, Any], _: int) -> None:
    x, y, w, h = person["bbox"]
    person["bbox"] = [x, y, x + w, y + h]


def elsewhere(person: dict[str, Any], _: int) -> None:
    person["keypoints"] = [v + (300 if j % 3 == 0 else 0) for j, v in enumerate(person["keypoints"])]


def boxless(person: dict[str, Any], i: int) -> None:
    normalised(person, i)
    del person["bbox"]


def points_only(person: dict[str, Any], i: int) -> None:
    box = person["bbox"]
    normalised(person, i)
    person["bbox"] = box


REFUSED: dict[str, tuple[int, Callable[[dict[str, Any], int], object], str]] = {
    "normalised": (8, normalised, "8 of 8 boxes are 1 px or smaller; normalised coordinates?"),
    "one normalised person": (1, normalised, "1 of 1 boxes are 1 px or smaller; normalised coordinates?"),
    "normalised, without boxes": (8, boxless, "normalised coordinates?"),
    "corners": (
        8,
        corners,
        "of 8 boxes reach far out of their images, and read as left, top, right, bottom 8 of 8",
    ),
    "normalised keypoints": (8, points_only, "0 of 136 labelled keypoints lie in their people's boxes"),
    "keypoints elsewhere": (8, elsewhere, "0 of 136 labelled keypoints lie in their people's boxes"),
}


@pytest.mark.parametrize(("count", "change", "says"), REFUSED.values(), ids=REFUSED)
def test_labels_that_mean_nothing_are_refused(
    count: int, change: Any, says: str, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    path = write(crowd(coco, coco_person, count, change))
    for read in (lambda: read_people(path, tmp_path), lambda: AnnotatedImages(path)):
        with pytest.raises(PosetalkError) as caught:
            read()
        assert says in str(caught.value) and str(path) in str(caught.value)


def only(i: int, change: Any) -> Any:
    return lambda person, number: change(person, number) if number == i else None


def some(last: int, change: Any) -> Any:
    return lambda person, number: change(person, number) if number < last else None


TOLD: dict[str, tuple[int, Any, str | None]] = {
    "good": (8, lambda person, i: None, None),
    "one of ten with corners": (10, only(9, corners), None),
    "one of nine elsewhere": (
        9,
        only(0, elsewhere),
        "136 of 153 labelled keypoints lie in their people's boxes",
    ),
    "a third elsewhere": (9, some(3, elsewhere), "102 of 153 labelled keypoints lie in their people's boxes"),
    "one normalised": (10, only(9, normalised), "1 of 10 boxes are about 1 px in size"),
    "nobody labelled": (3, lambda person, i: person.update(keypoints=[0] * 51), None),
    "crowds do not count": (3, lambda person, i: person.update(iscrowd=1, bbox=[1, 1, 1, 1]), None),
}


@pytest.mark.parametrize(("count", "change", "says"), TOLD.values(), ids=TOLD)
def test_a_few_bad_people_are_told_and_read(
    count: int, change: Any, says: str | None, write: Make, coco: Make, coco_person: Make, tmp_path: Path
) -> None:
    path = write(crowd(coco, coco_person, count, change))
    people, skipped, notes = both(path, tmp_path)
    assert len(people) == count and skipped == set()
    assert len(notes) == (says is not None)
    assert all(note.startswith(f"{path}: {says}") for note in notes)


def test_the_other_forms_are_looked_at_too(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    small = [[(x + 1) / 1000 for x in xy] for xy in mpii_person()["joints"]]
    rows = [mpii_person(joints=small, image=f"{i}.jpg") for i in range(3)]
    with pytest.raises(PosetalkError, match="0 of 45 labelled keypoints lie in their people's boxes"):
        read_people(write(rows), tmp_path)
    joints = np.random.default_rng(0).uniform(0, 1, (3, 14, 3))
    joints[2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    with pytest.raises(PosetalkError, match="3 of 3 boxes are 1 px or smaller"):
        read_people(tmp_path / "joints.mat", tmp_path)
