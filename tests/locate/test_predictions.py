"""predictions.jsonl: what is written is what is read, whatever happened to the run."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.locate.predictions import (
    GROUND_TRUTH,
    Prediction,
    PredictionLog,
    predictions_of,
    read_predictions,
    scored_people,
)
from posetalk.types import Box, Person, PoseImage, Poses, PoseSet, frozen_array

finite = st.floats(-1e6, 1e6)


@st.composite
def records(draw: st.DrawFn) -> Prediction:
    k = draw(st.integers(1, 5))
    numbers = st.lists(finite, min_size=3 * k, max_size=3 * k)
    std = draw(st.none() | st.lists(st.floats(0, 1e4), min_size=2 * k, max_size=2 * k))
    return Prediction(
        image_id=draw(st.integers(-(2**62), 2**62)),
        person_id=draw(st.integers(0, 2**62)),
        file_name=draw(st.text(max_size=20)),
        box=Box(draw(finite), draw(finite), draw(st.floats(0.1, 1e5)), draw(st.floats(0.1, 1e5))),
        box_source=draw(st.sampled_from([GROUND_TRUTH, "detector é\n"])),
        names=tuple(draw(st.lists(st.text(max_size=12), min_size=k, max_size=k))),
        keypoints=frozen_array(draw(numbers), (k, 3)),
        std=None if std is None else frozen_array(std, (k, 2)),
        box_score=draw(st.floats(0, 1)),
    )


def same(a: Prediction, b: Prediction) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name != "std"
    ) and ((a.std is None) == (b.std is None) and (a.std is None or np.array_equal(a.std, b.std)))


@settings(max_examples=60, deadline=None)
@given(found=st.lists(records(), max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, found: list[Prediction]) -> None:
    path = tmp_path_factory.mktemp("run") / "predictions.jsonl"
    with PredictionLog(path) as log:
        log.add(found)
    again, note = read_predictions(path)
    assert note is None
    assert len(again) == len(found)
    assert all(map(same, again, found))


def one(person_id: int) -> Prediction:
    rows = frozen_array([[1.5, 2, 0.5], [3, 4, 1]])
    return Prediction(7, person_id, "a.jpg", Box(0, 0, 9, 9), GROUND_TRUTH, ("nose", "chin"), rows)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "new folder" / "predictions.jsonl"
    with PredictionLog(path) as log:
        log.add([one(1), one(2)])
    return path


def test_a_run_cut_anywhere_goes_on_to_the_same_file(written: Path) -> None:
    whole = written.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        written.write_bytes(whole[:cut])
        with PredictionLog(written) as log:
            assert log.done == {(7, i + 1) for i in range((cut >= first) + (cut == len(whole)))}
            assert (log.note is None) == (cut in (0, first, len(whole)))
            log.add(p for p in (one(1), one(2)) if p.key not in log.done)
        assert written.read_bytes() == whole, cut


def test_reading_a_cut_file_says_so_and_leaves_it_as_it_is(written: Path) -> None:
    written.write_bytes(cut := written.read_bytes()[:-5])
    found, note = read_predictions(written)
    assert [p.person_id for p in found] == [1]
    assert note is not None and "cut off" in note and str(written) in note
    assert written.read_bytes() == cut


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "truncated"),
        (b"{}", "missing required field"),
        (b"[1]", "Expected `object`"),
        (b"\xff\xfe", "malformed"),
        (b'{"image_id": "a"}', "Expected `int`"),
        (b"SHORT", "keypoints of shape"),
        (b"BOX", "no area"),
        (b"HUGE", "out of range"),
    ],
)
def test_a_damaged_line_is_named(written: Path, line: bytes, says: str) -> None:
    good = written.read_bytes().splitlines()
    line = line.replace(b"SHORT", good[0].replace(b"[3.0,4.0,1.0]", b"[3.0,4.0,1.0],[1.0,1.0,1.0]"))
    line = line.replace(b"BOX", good[0].replace(b"0,0,9,9", b"0,0,9,0"))
    line = line.replace(b"HUGE", good[0].replace(b"0,0,9,9", b"0,0,9,1e999"))
    written.write_bytes(b"\n".join([good[0], line, good[1], b""]))
    for read in (read_predictions, PredictionLog):
        with pytest.raises(PosetalkError, match=f"line 2 is not a prediction: .*{says}") as caught:
            read(written)
        assert "\n" not in str(caught.value)
    assert written.read_bytes().count(b"\n") == 3


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "predictions.jsonl"
    path.write_bytes(data)
    try:
        found, note = read_predictions(path)
    except PosetalkError as error:
        assert str(path) in str(error)
    else:
        assert found == [] and (note is None) == (data == b"")


def test_no_file_and_no_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match=r"cannot read the predictions .*No such file"):
        read_predictions(tmp_path / "no.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(PosetalkError, match="cannot write the predictions"):
        PredictionLog(tmp_path / "file" / "predictions.jsonl")


@pytest.mark.parametrize(
    ("rows", "std", "box_score", "says"),
    [
        ([[0, 0, 1]], None, 1, "shape"),
        ([[0, 0, 1], [0, np.nan, 1]], None, 1, "not finite"),
        ([[0, 0, 1], [0, 0, 1]], [[1, 1]], 1, "std of shape"),
        ([[0, 0, 1], [0, 0, 1]], [[1, 1], [np.inf, 1]], 1, "not finite"),
        ([[0, 0, 1], [0, 0, 1]], None, np.nan, "not finite"),
    ],
)
def test_a_wrong_record_is_refused(rows: list, std: list | None, box_score: float, says: str) -> None:
    with pytest.raises(PosetalkError, match=f"person 3 of image 7.*{says}"):
        Prediction(
            7,
            3,
            "a.jpg",
            Box(0, 0, 1, 1),
            GROUND_TRUTH,
            ("a", "b"),
            np.array(rows, float),
            None if std is None else np.array(std, float),
            box_score,
        )


def test_records_of_what_was_found() -> None:
    image = PoseImage(5, Path("deep/folder/a.jpg"), None, None, ())
    found = Poses(
        xy=np.array([[[1.23456, 2]], [[3, 4]]]),
        score=np.array([[0.5], [0.25]]),
        names=("nose",),
        boxes=(Box(0, 0, 1, 1), Box(1, 1, 2, 2)),
        std=np.array([[[0.126, 1]], [[2, 2]]]),
    )
    a, b = predictions_of(image, [8, 9], found, "detector", box_scores=[0.5, 1.0])
    assert (a.key, b.key, a.file_name, a.box_source) == ((5, 8), (5, 9), "a.jpg", "detector")
    assert a.keypoints.tolist() == [[1.23, 2, 0.5]] and a.std.tolist() == [[0.13, 1]]
    assert (a.score, b.score) == (0.25, 0.25)
    assert a.to_coco() == {"image_id": 5, "category_id": 1, "keypoints": [1.23, 2, 0.5], "score": 0.25}
    with pytest.raises(PosetalkError, match="2 people found, 1 ids"):
        predictions_of(image, [8], found)


def test_who_is_scored() -> None:
    def person(i: int, flags: list[int], crowd: bool = False) -> Person:
        return Person(i, Box(0, 0, 1, 1), frozen_array(np.zeros((2, 2))), frozen_array(flags), 1.0, crowd)

    people = (person(1, [0, 1]), person(2, [0, 0]), person(3, [2, 2], crowd=True), person(4, [2, 0]))
    truth = PoseSet("t", Path("t"), ("a", "b"), (PoseImage(1, Path("a"), None, None, people),))
    assert [p.id for _, p in scored_people(truth)] == [1, 4]
