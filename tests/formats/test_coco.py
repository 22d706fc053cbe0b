"""COCO-style files: what is read, from which list, at what cost in memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.formats.coco import image_path, read_coco
from posetalk.skeleton import load_skeleton
from posetalk.types import Person

Make = Callable[..., Any]
COCO_NAMES = [name.replace(" ", "_") for name in load_skeleton("coco17").names]


def only(people: Any) -> Person:
    [(_, person)] = people.people()
    return person


def test_a_person_is_read_as_annotated(write: Make, tmp_path: Path, coco_person: Make, coco: Make) -> None:
    people = read_coco(write(coco([coco_person()])), tmp_path)
    assert people.name == "coco"
    assert people.keypoint_names == load_skeleton("coco17").names
    assert people.skipped == ()
    one, two = people.images
    assert (one.id, one.path, one.width, one.height) == (1, tmp_path / "one.jpg", 640, 480)
    assert (two.width, two.height, two.people) == (None, None, ()), "pictures without people stay"
    person = only(people)
    assert (person.id, person.area, person.is_crowd, person.head_size) == (11, 900, False, None)
    assert person.box.xywh == (90, 190, 40, 60)
    assert person.keypoints[3].tolist() == [103, 203]
    assert person.visible.tolist() == [1, 2] * 8 + [0]


def test_records_are_read_only(write: Make, tmp_path: Path, coco_person: Make, coco: Make) -> None:
    person = only(read_coco(write(coco([coco_person()])), tmp_path))
    for array in (person.keypoints, person.visible):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_people_without_labels_and_crowds_are_kept(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    nothing = [0] * 51
    crowd = {"counts": [1, 2], "size": [480, 640]}
    records = [
        coco_person(id=1, keypoints=nothing),
        coco_person(id=2, keypoints=nothing, iscrowd=1, segmentation=crowd),
        coco_person(id=3, keypoints=nothing, iscrowd=True),
    ]
    people = [p for _, p in read_coco(write(coco(records)), tmp_path).people()]
    assert [p.is_crowd for p in people] == [False, True, True]
    assert not any(p.labelled.any() for p in people)


def test_places_of_unlabelled_keypoints_are_zero(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    values = [*coco_person()["keypoints"][:-3], 55, 66, 0]
    person = only(read_coco(write(coco([coco_person(keypoints=values)])), tmp_path))
    assert person.keypoints[16].tolist() == [0, 0]


def test_boxes_that_reach_out_stay_as_annotated(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    person = only(read_coco(write(coco([coco_person(bbox=[-5, 470, 20.5, 30])])), tmp_path))
    assert person.box.xywh == (-5, 470, 20.5, 30)


def test_area_is_composed_where_it_is_missing(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    for missing in (..., None):
        person = only(read_coco(write(coco([coco_person(area=missing)])), tmp_path))
        assert person.area == pytest.approx(0.53 * 40 * 60)


def test_only_people_are_read(write: Make, tmp_path: Path, coco_person: Make, coco: Make) -> None:
    categories = [{"id": 3, "name": "dog"}, {"id": 7, "name": "Person", "keypoints": COCO_NAMES}]
    records = [coco_person(id=1, category_id=3, keypoints=...), coco_person(id=2, category_id=7)]
    people = read_coco(write(coco(records, categories=categories)), tmp_path)
    assert [p.id for _, p in people.people()] == [2]
    assert people.skipped == ()
    unnamed = read_coco(write(coco([coco_person(category_id=...)], categories=...)), tmp_path)
    assert only(unnamed).id == 11


HUMAN_ART = [*COCO_NAMES, "left_finger", "right_finger", "left_toe", "right_toe"]


@pytest.fixture
def human_art(coco: Make, coco_person: Make) -> Make:
    def make(**changes: Any) -> Any:
        person = coco_person()
        more = person["keypoints"] + [1, 2, 2, 3, 4, 2, 0, 0, 0, 7, 8, 2]
        categories = [{"id": 1, "name": "person", "keypoints": HUMAN_ART}]
        return coco([{**person, "keypoints_21": more, **changes}], categories=categories)

    return make


def test_human_art_has_17_keypoints_or_21(write: Make, tmp_path: Path, human_art: Make) -> None:
    path = write(human_art())
    assert only(read_coco(path, tmp_path)).keypoints.shape == (17, 2)
    person = only(read_coco(path, tmp_path, skeleton=load_skeleton("humanart21")))
    assert person.keypoints[17:].tolist() == [[1, 2], [3, 4], [0, 0], [7, 8]]
    assert person.visible[17:].tolist() == [2, 2, 0, 2]


def test_a_longer_list_serves_when_its_first_names_are_the_skeletons(
    write: Make, tmp_path: Path, human_art: Make
) -> None:
    more = human_art()["annotations"][0]["keypoints_21"]
    path = write(human_art(keypoints=more, keypoints_21=[]))
    assert only(read_coco(path, tmp_path)).keypoints.tolist() == np.reshape(more, (21, 3))[:17, :2].tolist()
    assert len(only(read_coco(path, tmp_path, skeleton=load_skeleton("humanart21"))).visible) == 21


def test_other_keypoints_need_their_skeleton(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    other = [{"id": 1, "name": "person", "keypoints": COCO_NAMES[::-1]}]
    path = write(coco([coco_person()], categories=other))
    with pytest.raises(PosetalkError, match=r"labels other keypoints \(right ankle.* than coco17"):
        read_coco(path, tmp_path)
    assert read_coco(path, tmp_path, skeleton=load_skeleton("h36m17")).keypoint_names[0] == "pelvis"


def test_pictures_are_found_below_other_roots(tmp_path: Path) -> None:
    there = tmp_path / "2D_virtual_human" / "digital_art" / "x.jpg"
    there.parent.mkdir(parents=True)
    there.touch()
    assert image_path(tmp_path, "HumanArt/images/2D_virtual_human/digital_art/x.jpg") == there
    assert image_path(tmp_path, "HumanArt\\images\\2D_virtual_human\\digital_art\\x.jpg") == there
    assert image_path(tmp_path, "2D_virtual_human/digital_art/x.jpg") == there
    assert image_path(tmp_path, "train/absent.jpg") == tmp_path / "train/absent.jpg"


def test_one_bad_record_does_not_spoil_the_others(
    write: Make, tmp_path: Path, coco_person: Make, coco: Make
) -> None:
    """NaN and Infinity, which Python's json writes, are found in the record and nowhere else."""
    records = [coco_person(id=i) for i in range(6)]
    records[1]["bbox"] = [float("nan"), 1, 2, 3]
    records[2]["keypoints"] = [float("inf"), *records[2]["keypoints"][1:]]
    records[3]["bbox"] = [1, 2, 3]
    records[4]["note"] = 'NaN, "-Infinity" \\" NaN'
    people = read_coco(write(coco(records)), tmp_path)
    assert [p.id for _, p in people.people()] == [0, 4, 5]
    assert len(people.skipped) == 3
    assert (
        "labels.json: annotation 1: expected float, got nothing (null or NaN) at bbox[0]" in people.skipped[0]
    )
    assert "annotation 2: " in people.skipped[1]
    assert "annotation 3: its bbox has 3 numbers" in people.skipped[2]


def test_text_that_says_nan_stays_text(write: Make, tmp_path: Path, coco_person: Make, coco: Make) -> None:
    file = coco([coco_person(bbox=[float("nan")] * 4), coco_person(id=12)])
    file["images"][0]["file_name"] = 'NaN, [-Infinity] \\ "NaN".jpg'
    people = read_coco(write(file), tmp_path)
    assert people.images[0].path.name.endswith('"NaN".jpg')
    assert [p.id for _, p in people.people()] == [12]


points = st.tuples(
    st.floats(-1e4, 1e4, allow_nan=False), st.floats(-1e4, 1e4, allow_nan=False), st.sampled_from([1, 2])
)


@given(values=st.lists(points, min_size=17, max_size=17))
def test_labels_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], coco_person: Make, coco: Make
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    flat = [float(v) for point in values for v in point]
    (folder / "a.json").write_text(json.dumps(coco([coco_person(keypoints=flat)])))
    person = only(read_coco(folder / "a.json", folder))
    assert np.column_stack([person.keypoints, person.visible]).reshape(-1).tolist() == flat


@given(
    junk=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    key=st.sampled_from(["bbox", "keypoints", "image_id", "id", "area", "iscrowd", "category_id", None]),
)
def test_any_junk_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, junk: Any, key: str | None, coco_person: Make, coco: Make
) -> None:
    """Whatever stands in a record: it is read or skipped with one sentence, and its neighbour is read."""
    folder = tmp_path_factory.mktemp("junk")
    bad = junk if key is None else {**coco_person(id=99), key: junk}
    (folder / "a.json").write_text(json.dumps(coco([bad, coco_person(id=12)])))
    people = read_coco(folder / "a.json", folder)
    assert 12 in {p.id for _, p in people.people()}
    assert len(people.skipped) <= 1
    assert all("\n" not in sentence for sentence in people.skipped)
    for _, person in people.people():
        assert np.isfinite(person.keypoints).all()
        assert person.area > 0


def test_memory_per_annotation_is_small(tmp_path: Path, coco_person: Make, coco: Make) -> None:
    """COCO train2017's 262,465 annotations with polygons must fit in 2 GB; here 2,000, and extrapolated."""
    random.seed(0)
    polygon = [round(random.uniform(0, 640), 2) for _ in range(110)]
    records = [coco_person(id=i, segmentation=[polygon]) for i in range(2_000)]
    path = tmp_path / "big.json"
    path.write_text(json.dumps(coco(records)))
    tracemalloc.start()
    people = read_coco(path, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(1 for _ in people.people()) == 2_000
    assert peak / 2_000 * 262_465 < 1.2e9, f"{peak / 2_000:.0f} bytes an annotation"
