"""Every format of labels: what is written is read again, real files, damaged files, keypoints matched by name."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.exchange.form_names import FormName
from posetalk.exchange.forms import FORMS, Form, convert_labels, form_named, read_labels_of, write_labels
from posetalk.exchange.labels import LabelSet
from posetalk.exchange.matching import by_doubt, fitted
from posetalk.formats.dataset import read_people
from posetalk.formats.names import partners, skeleton_named
from posetalk.skeleton import BUILT_IN, Keypoint, Skeleton, load_skeleton
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array

SIZES = {"12.jpg": (640, 480), "sub/7.jpg": (90, 120)}
OWN = Skeleton(
    "own", tuple(map(Keypoint, ("left ear tip", "right ear tip", "tail", "snout"))), ((0, 2), (1, 2))
)
DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
quick = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size).save(folder / name)
    return folder


def skeleton_of(form: Form) -> Skeleton:
    return load_skeleton(form.skeleton) if form.skeleton else OWN


@st.composite
def label_sets(draw: st.DrawFn, form: Form, folder: Path) -> LabelSet:
    """One or two images with up to two people; keypoints in boxes in images, places to 1/100 px."""
    skeleton, images, number = skeleton_of(form), [], 0
    if form.name == "alphapose":  # which tells a skeleton by its number of keypoints
        skeleton = load_skeleton(draw(st.sampled_from(["coco17", "halpe26", "wholebody133"])))
    k = len(skeleton)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for name in draw(st.permutations(list(SIZES)))[: draw(st.integers(1, 2))]:
        width, height = SIZES[name]
        people = []
        for _ in range(draw(st.integers(not images, 2))):
            number += 1
            w, h = rng.uniform(20, (width, height)).round(2)
            left, top = (rng.uniform(0, (width - w, height - h))).round(2)
            visible = rng.integers(0, 3, k)
            visible[rng.integers(k)] = 2  # somebody is there
            if number > 1 and draw(st.booleans()):
                visible[:] = 0
            scored = draw(st.booleans()) and visible.any()
            scores = rng.uniform(0.01, 1, k).round(4) * (visible > 0)
            if form.name == "mediapipe" and scored:  # where one number is both
                visible = np.where(visible > 0, np.where(scores >= 0.5, 2, 1), 0)
            points = (rng.uniform(0, 1, (k, 2)) * (w, h) + (left, top)).round(2)
            points = np.clip(points, (left, top), (left + w, top + h)) * (visible > 0)[:, None]
            person = Person(
                100 + number,
                Box(float(left), float(top), float(w), float(h)),
                frozen_array(points),
                frozen_array(visible),
                float(w * h / 2),
                is_crowd=not visible.any() and draw(st.booleans()),
                scores=frozen_array(scores) if scored else None,
                score=draw(st.floats(0.1, 1)) if scored else None,
                track_id=draw(st.none() | st.integers(0, 10**6)),
            )
            people.append(person)
        images.append(PoseImage(50 + len(images), folder / name, width, height, tuple(people), name))
    data = PoseSet("coco", folder / "labels", skeleton.names, tuple(images))
    return LabelSet(data, skeleton)


def read_again(out: Path, form: Form, photos: Path, skeleton: Skeleton) -> LabelSet:
    named = skeleton if form.name == "alphapose" else None
    return read_labels_of(out, form.name, images=photos, skeleton=named)


def check_same(given: LabelSet, found: LabelSet, form: Form) -> None:
    """What the format keeps is the same."""
    keeps = form.keeps
    assert found.skeleton.names == given.skeleton.names
    assert found.skeleton.flip_order == given.skeleton.flip_order
    by_name = {image.name: image for image in found.data.images}
    for image in given.data.images:
        people = [
            p
            for p in image.people
            if (not p.is_crowd or "crowd" in keeps) and (p.labelled.any() or "box" in keeps)
        ]
        if image.name not in by_name:  # of formats that list people alone
            assert not people
            continue
        same = by_name[image.name]
        if "size" in keeps:
            assert (same.width, same.height) == (image.width, image.height)
        if "image ids" in keeps:
            assert same.id == image.id
        assert len(same.people) == len(people)
        for a, b in zip(people, same.people, strict=True):
            flags = a.visible.copy()
            if form.name == "wholebody":  # has no hidden keypoints of faces and hands
                flags[23:] = 2 * (flags[23:] > 0)
            np.testing.assert_array_equal(
                b.visible if "hidden" in keeps else b.labelled, flags if "hidden" in keeps else a.labelled
            )
            np.testing.assert_allclose(b.keypoints, a.keypoints, atol=0.006)
            if "box" in keeps:
                np.testing.assert_allclose(b.box.xywh, a.box.xywh, atol=0.011)
            if "keypoint scores" in keeps and a.scores is not None:
                assert b.scores is not None
                np.testing.assert_allclose(b.scores, a.scores)
            if "person score" in keeps and a.score is not None:
                assert b.score == pytest.approx(a.score)
            if "track" in keeps:
                assert b.track_id == a.track_id
            if "crowd" in keeps:
                assert b.is_crowd == a.is_crowd
            if "person ids" in keeps:
                assert b.id == a.id


@each_form
@quick
@given(chance=st.data())
def test_what_is_written_is_read_again(
    form: Form, chance: st.DataObject, photos: Path, tmp_path: Path
) -> None:
    labels = chance.draw(label_sets(form, photos))
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True)
    write_labels(labels, out, form.name)
    check_same(labels, read_again(out, form, photos, labels.skeleton), form)


def example(form: Form, photos: Path) -> LabelSet:
    skeleton = load_skeleton(form.skeleton or "coco17")
    points = np.stack([np.linspace(120, 300, len(skeleton)), np.linspace(100, 400, len(skeleton))], axis=1)
    flags = np.full(len(skeleton), 2)
    person = Person(1, Box(110, 90, 200, 320), frozen_array(points), frozen_array(flags), 30000.0)
    image = PoseImage(1, photos / "12.jpg", 640, 480, (person,), "12.jpg")
    return LabelSet(PoseSet("coco", photos, skeleton.names, (image,)), skeleton)


def main_file(out: Path, form: Form) -> Path:
    """The file of a form that people damage."""
    names = {
        "yolo": "data.yaml",
        "openpose": "12_keypoints.json",
        "mediapipe": "12.json",
        "label-studio": "tasks.json",
        "fiftyone": "samples.json",
    }
    return out / names[form.name] if form.folder else out


@each_form
@pytest.mark.parametrize("damage", ["half", "empty", "other", "noise"])
def test_a_damaged_file_is_one_sentence(
    form: Form, damage: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    write_labels(example(form, photos), out, form.name)
    file = main_file(out, form)
    whole = file.read_bytes()
    damaged = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "other": b'{"a": [1]}',
        "noise": b"\x00\xff\x13<",
    }
    file.write_bytes(damaged[damage])
    if form.name == "yolo" and damage == "half":
        file.write_bytes(whole.replace(b"kpt_shape:", b"kpt_shape: ]"))
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "convert-labels",
                str(out),
                str(tmp_path / "new"),
                "--to",
                "coco",
                "--from",
                form.name,
                "--images",
                str(photos),
            ]
        )
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and file.name.split(".")[0] in said, said
    assert not (tmp_path / "new").exists()


VALUES = st.sampled_from(
    [None, True, -1, 0, 10**30, 1e308, "", "x", [], {}, [[]], [None], {"id": 1}, [1, 2, 3]]
)


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for key, value in keys for place in places(value, (*at, key)))]


def changed(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    tree = dict(tree) if isinstance(tree, dict) else list(tree)
    tree[place[0]] = changed(tree[place[0]], place[1:], value)
    return tree


@each_form
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(chance=st.data())
def test_any_other_value_in_a_file_is_read_or_refused(
    form: Form, chance: st.DataObject, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if not out.exists():
        write_labels(example(form, photos), out, form.name)
        (tmp_path / "whole").write_bytes(main_file(out, form).read_bytes())
    whole, file = (tmp_path / "whole").read_bytes(), main_file(out, form)
    if whole[:1] in (b"{", b"["):
        tree = json.loads(whole)
        place = chance.draw(st.sampled_from(places(tree)))
        file.write_bytes(msgspec.json.encode(changed(tree, place, chance.draw(VALUES))))
    else:
        start = chance.draw(st.integers(0, len(whole)))
        end = start + chance.draw(st.integers(0, 30))
        file.write_bytes(whole[:start] + chance.draw(st.binary(max_size=4)) + whole[end:])
    try:
        read_labels_of(out, form.name, images=photos)
    except PosetalkError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 0.5 0.5 0.2", "line 2: it has 4 numbers"),
        ("0 a b", "line 2: could not convert"),
        ("0 0.5 0.5 nan 0.4" + " 0.5 0.5 2" * 17, "expected float"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(
    line: str, says: str, photos: Path, tmp_path: Path
) -> None:
    form = form_named("yolo")
    write_labels(example(form, photos), tmp_path / "out", "yolo")
    label = tmp_path / "out/labels/train/12.txt"
    label.write_text(label.read_text() + line + "\n")
    data = read_labels_of(tmp_path / "out", "yolo", images=photos).data
    assert len(list(data.people())) == 1
    assert len(data.skipped) == 1 and says in data.skipped[0]


REAL: list[tuple[str, str, FormName, str, int]] = [
    ("coco_sample/test_coco.json", "coco_sample", "coco", "coco17", 14),
    ("wholebody_sample/test_coco_wholebody.json", "coco_sample", "wholebody", "wholebody133", 14),
    ("halpe_sample/test_halpe.json", "coco_sample", "halpe", "halpe26", 14),
    ("crowdpose_sample/test_crowdpose.json", "crowdpose_sample", "crowdpose", "crowdpose14", 5),
    ("crowdpose_sample/test_crowdpose.json", "crowdpose_sample", "coco", "crowdpose14", 5),
    ("ochuman_sample/test_ochuman.json", "ochuman_sample", "coco", "coco17", 5),
    ("aic_sample/test_aic.json", "aic_sample", "coco", "aic14", 9),
    ("posetrack_sample/012834_mpii_test.json", "posetrack_sample", "posetrack", "posetrack17", 11),
    ("humanart_sample/test_humanart.json", "humanart_sample", "coco", "humanart21", 4),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("file", "images", "form", "skeleton", "people"), REAL)
def test_real_files(
    file: str, images: str, form: FormName, skeleton: str, people: int, tmp_path: Path
) -> None:
    labels = read_labels_of(DATA / file, form, images=DATA / images)
    assert labels.data.skipped == () and labels.skeleton.name == skeleton
    assert sum(1 for _ in labels.data.people()) == people
    for other in FORMS:  # each of them can be written as anything, and read again
        target = load_skeleton(other.skeleton) if other.skeleton else labels.skeleton
        fit, _ = fitted(labels, target)
        out = tmp_path / other.name
        if other.name in ("yolo", "mediapipe") and not all(i.path.is_file() for i in labels.data.images):
            continue
        write_labels(fit, out, other.name)
        found = read_again(out, other, DATA / images, target)
        if other.name == "coco":
            check_same(fit, found, other)
            theirs = COCO(str(out))
            assert len(theirs.anns) == people
    own = read_people(tmp_path / "coco", DATA / images)  # as every command reads it
    assert sum(1 for _ in own.people()) == people


def test_keypoints_are_matched_by_name(photos: Path) -> None:
    labels = example(form_named("coco"), photos)
    found, notes = fitted(labels, load_skeleton("crowdpose14"))
    person = found.data.images[0].people[0]
    names, coco = load_skeleton("crowdpose14").names, load_skeleton("coco17").names
    for index, name in enumerate(names):
        expected = labels.data.images[0].people[0].keypoints[coco.index(name)] if name in coco else (0, 0)
        assert tuple(person.keypoints[index]) == tuple(expected)
    assert notes == [
        "crowdpose14 has no nose, left eye, right eye, left ear, right ear; left out (5 of 17)",
        "coco17 has no head top, neck; not labelled (2 of 14)",
    ]
    with pytest.raises(PosetalkError, match="no keypoint of own has the name"):
        fitted(replace(labels, skeleton=OWN), load_skeleton("coco17"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_skeleton_is_known_by_its_names(name: str) -> None:
    skeleton = load_skeleton(name)
    assert partners(skeleton, skeleton) == list(range(len(skeleton)))
    assert skeleton_named([n.replace(" ", "_").title() for n in skeleton.names]) == skeleton


@pytest.mark.parametrize(
    ("names", "skeleton"),
    [
        (("left_shoulder", "right_shoulder"), None),
        (
            [
                *(
                    "nose",
                    "head_bottom",
                    "head_top",
                    "left_ear",
                    "right_ear",
                    "left_shoulder",
                    "right_shoulder",
                ),
                *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
                *("left_knee", "right_knee", "left_ankle", "right_ankle"),
            ],
            "posetrack17",
        ),
    ],
)
def test_names_of_other_programs(names: list[str], skeleton: str | None) -> None:
    assert skeleton_named(names).name == (skeleton or "own")


def test_the_most_doubtful_comes_first(photos: Path, tmp_path: Path) -> None:
    labels = example(form_named("coco"), photos)
    image = labels.data.images[0]
    with pytest.raises(PosetalkError, match="no scores"):
        by_doubt(labels)

    def scored(number: int, *scores: float) -> PoseImage:
        people = [
            replace(image.people[0], id=10 * number + i, scores=frozen_array([s] * 17))
            for i, s in enumerate(scores)
        ]
        return replace(image, id=number, file_name=f"{number}.jpg", people=tuple(people))

    images = (scored(1, 0.9), scored(2, 0.8, 0.1), scored(3, 0.5))
    ordered = by_doubt(replace(labels, data=replace(labels.data, images=images)))
    assert [i.id for i in ordered.data.images] == [2, 3, 1]
    write_labels(ordered, tmp_path / "ls", "label-studio")
    tasks = json.loads((tmp_path / "ls/tasks.json").read_text())
    assert [t["id"] for t in tasks] == [2, 3, 1] and all("predictions" in t for t in tasks)


def test_the_commands(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["formats"])
    listed = capsys.readouterr().out
    assert all(form.name in listed for form in FORMS)
    write_labels(example(form_named("coco"), photos), tmp_path / "labels.json", "coco")
    words = [
        "convert-labels",
        str(tmp_path / "labels.json"),
        str(tmp_path / "op"),
        "--to",
        "openpose",
        "--images",
        str(photos),
    ]
    assert read_labels_of(tmp_path / "labels.json").skeleton == load_skeleton("coco17")
    for code, says in ((0, "1 people of 1 images"), (2, "is there already")):
        with pytest.raises(SystemExit) as stop:
            main(words)
        told = capsys.readouterr()
        assert stop.value.code == code and says in told.out + told.err
    with pytest.raises(PosetalkError, match="holds the keypoints of halpe26 alone"):
        convert_labels(
            tmp_path / "labels.json", tmp_path / "x", to="halpe", to_skeleton=load_skeleton("coco17")
        )
    with pytest.raises(PosetalkError, match="halpe holds the keypoints of halpe26 alone, not coco17's"):
        write_labels(example(form_named("coco"), photos), tmp_path / "x", "halpe")
    with pytest.raises(PosetalkError, match="has a skeleton of its own"):
        read_labels_of(tmp_path / "labels.json", "halpe", skeleton=load_skeleton("coco17"))


def test_two_images_of_one_stem_are_refused(photos: Path, tmp_path: Path) -> None:
    labels = example(form_named("yolo"), photos)
    image = labels.data.images[0]
    both = (image, replace(image, id=2, file_name="12.png"))
    with pytest.raises(PosetalkError, match="several are called 12"):
        write_labels(replace(labels, data=replace(labels.data, images=both)), tmp_path / "out", "yolo")
    assert not (tmp_path / "out").exists()
