"""People whose keypoints are wrong in a known way, and what holds of every table of causes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from posetalk.locate.predictions import GROUND_TRUTH, Prediction, scored_people
from posetalk.score.causes import CAUSES, Causes, causes, causes_of
from posetalk.score.evaluate import evaluate
from posetalk.score.metrics import Labels
from posetalk.skeleton import BUILT_IN, Keypoint, Skeleton, load_skeleton
from posetalk.types import Box, Floats, Person, PoseImage, PoseSet, frozen_array

HANDS = Skeleton(
    "hands",
    tuple(Keypoint(name, sigma=0.08) for name in ("left hand", "right hand", "seat")),
    ((0, 2), (1, 2)),
)
AREA = 5000.0
OWN = ((100.0, 100.0), (160.0, 100.0), (130.0, 200.0))  # left hand, right hand, seat
NEIGHBOUR = ((300.0, 100.0), (360.0, 100.0), (330.0, 200.0))
FAR = (130.0, 600.0)


def away(similarity: float) -> float:
    """The distance, px, at which a keypoint of `HANDS` has this similarity."""
    return float(np.sqrt(-2 * np.log(similarity) * AREA) * 2 * 0.08)


def moved(xy: object, right: float) -> Floats:
    return np.asarray(xy, np.float64) + np.array([right, 0.0])


def person(
    number: int, xy: object, visible: object = (2, 2, 2), area: float = AREA, is_crowd: bool = False
) -> Person:
    points = np.array(xy, np.float64)
    flags = np.array(visible)
    return Person(
        number, Box.around(points), frozen_array(points), frozen_array(flags), area, is_crowd=is_crowd
    )


def pose_set(
    *images: tuple[Person, ...], skeleton: Skeleton = HANDS, folder: Path = Path("photos")
) -> PoseSet:
    made = tuple(PoseImage(i, folder / f"{i}.png", 700, 700, people) for i, people in enumerate(images))
    return PoseSet("made", Path("made.json"), skeleton.names, made)


def cause_at(truth: PoseSet, keypoint: int, at: tuple[float, float]) -> str:
    """The cause of one keypoint of the first person, everything else being right."""
    labels = Labels.of(truth, HANDS)
    xy = labels.xy.copy()
    xy[0, keypoint] = at
    found = causes_of(labels, xy)
    rest = found[(labels.labelled > 0) & (np.arange(3) != keypoint)[None]]
    assert (rest == CAUSES.index("good")).all() and (found[labels.labelled == 0] == -1).all()
    return CAUSES[found[0, keypoint]]


TOGETHER = pose_set((person(1, OWN), person(2, NEIGHBOUR)))


@pytest.mark.parametrize(
    ("keypoint", "at", "cause"),
    [
        (0, OWN[0], "good"),
        (0, (100 + away(0.851), 100), "good"),
        (0, (100 + away(0.849), 100), "jitter"),
        (0, (100, 100 - away(0.501)), "jitter"),
        (0, (100, 100 - away(0.499)), "miss"),
        (0, FAR, "miss"),
        (0, OWN[1], "inversion"),
        (1, OWN[0], "inversion"),
        (0, (160 + away(0.501), 100), "inversion"),
        (0, (160 + away(0.499), 100), "miss"),
        (0, OWN[2], "miss"),  # another joint that is no mirror
        (2, OWN[0], "miss"),  # a keypoint without sides has no other side
        (0, NEIGHBOUR[0], "swap"),
        (0, NEIGHBOUR[1], "swap"),  # their other side too
        (2, NEIGHBOUR[2], "swap"),
        (0, NEIGHBOUR[2], "miss"),
    ],
)
def test_the_cause_is_told_by_where_a_keypoint_is(keypoint: int, at: tuple[float, float], cause: str) -> None:
    assert cause_at(TOGETHER, keypoint, at) == cause


@pytest.mark.parametrize(
    ("people", "at"),
    [
        ([(person(1, OWN, (2, 0, 2)),)], OWN[1]),
        ([(person(1, OWN), person(2, NEIGHBOUR, (0, 2, 2)))], NEIGHBOUR[0]),
        ([(person(1, OWN),), (person(2, NEIGHBOUR),)], NEIGHBOUR[0]),
        ([(person(1, OWN), person(2, NEIGHBOUR, is_crowd=True))], NEIGHBOUR[0]),
        ([(person(1, OWN), person(2, NEIGHBOUR, area=AREA / 100))], (300 + away(0.6), 100)),
    ],
    ids=["other side", "neighbour", "other image", "crowd", "small neighbour"],
)
def test_what_is_not_labelled_there_is_missed(
    people: list[tuple[Person, ...]], at: tuple[float, float]
) -> None:
    assert cause_at(pose_set(*people), 0, at) == "miss"


def test_the_more_similar_of_two_wrong_joints_decides() -> None:
    # their left hand 20 px from our right one
    beside = moved(NEIGHBOUR, OWN[1][0] + 20 - NEIGHBOUR[0][0])
    truth = pose_set((person(1, OWN), person(2, beside)))
    assert cause_at(truth, 0, (160 + 9, 100)) == "inversion"
    assert cause_at(truth, 0, (160 + 11, 100)) == "swap"


def test_near_the_own_label_no_other_joint_matters() -> None:
    crossed = ((100.0, 100.0), (104.0, 100.0), (130.0, 200.0))
    assert cause_at(pose_set((person(1, crossed),)), 0, crossed[1]) == "good"
    on_top = pose_set((person(1, OWN), person(2, moved(OWN, away(0.7)))))
    assert cause_at(on_top, 0, (100 + away(0.7), 100)) == "jitter"


def test_without_a_prediction_everything_is_missed() -> None:
    labels = Labels.of(TOGETHER, HANDS)
    xy = labels.xy.copy()
    xy[0] = np.nan
    assert causes_of(labels, xy).tolist() == [[CAUSES.index("miss")] * 3, [CAUSES.index("good")] * 3]


def spread_out(skeleton: Skeleton, seed: int = 0) -> PoseSet:
    """Two people of two images whose joints are far apart."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(400)[: 2 * len(skeleton)]
    grid = np.stack([cells % 20, cells // 20], axis=1) * 1000.0
    people = [person(i, xy, [2] * len(skeleton)) for i, xy in enumerate(grid.reshape(2, -1, 2))]
    return pose_set((people[0],), (people[1],), skeleton=skeleton)


@pytest.mark.parametrize("name", BUILT_IN)
def test_swapped_sides_are_inversions_in_every_skeleton(name: str) -> None:
    skeleton = load_skeleton(name)
    labels = Labels.of(spread_out(skeleton), skeleton)
    order = list(skeleton.flip_order)
    expected = ["good" if i == j else "inversion" for i, j in enumerate(order)]
    assert "inversion" in expected
    found = causes_of(labels, labels.xy[:, order])
    assert [CAUSES[i] for i in found[0]] == [CAUSES[i] for i in found[1]] == expected


def tables(labels: Labels, xy: Floats) -> Causes:
    found = causes(labels, xy)
    assert found is not None
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_labels_themselves_are_good(name: str) -> None:
    skeleton = load_skeleton(name)
    labels = Labels.of(spread_out(skeleton), skeleton)
    table = tables(labels, labels.xy)
    for part in (table.everybody, *filter(None, [table.large])):
        assert part.mean_oks == 1 and [row.share for row in part.rows] == [1, 0, 0, 0, 0]
        assert {row.lost for row in part.rows} == {None} and {row.without for row in part.rows} == {1.0}
    assert table.large is not None and all(row.shares["good"] == 1 for row in table.per_keypoint)


def test_nobody_is_no_table() -> None:
    assert causes(Labels.of(pose_set(()), HANDS), np.zeros((0, 3, 2))) is None


@st.composite
def sets(draw: st.DrawFn) -> tuple[PoseSet, list[Prediction], Skeleton]:
    """Labels of a few people in a few images, some keypoints not labelled, and predictions near, far, mixed up."""
    skeleton = draw(st.sampled_from([HANDS, load_skeleton("coco17"), load_skeleton("humanart21")]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = len(skeleton)
    images = []
    number = 0
    for count in draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)):
        people = []
        for _ in range(count):
            number += 1
            visible = rng.integers(0, 3, k)
            visible[rng.integers(k)] = 2
            corner = rng.uniform(0, 200, 2)
            xy = rng.uniform(0, 120, (k, 2)) + corner
            area = float(rng.uniform(200, 20000))
            people.append(person(number, np.where(visible[:, None] > 0, xy, 0), visible, area))
        images.append(tuple(people))
    truth = pose_set(*images, skeleton=skeleton)
    spread = draw(st.sampled_from([0.0, 2.0, 20.0, 200.0]))
    mixed = draw(st.booleans())
    found = []
    for image, one in scored_people(truth):
        if rng.random() < 0.1:
            continue
        order = rng.permutation(k) if mixed else np.arange(k)
        xy = one.keypoints[order] + rng.normal(0, 1, (k, 2)) * spread
        rows = frozen_array(np.concatenate([xy, np.ones((k, 1))], axis=1))
        found.append(Prediction(image.id, one.id, "a", one.box, GROUND_TRUTH, skeleton.names, rows))
    return truth, found, skeleton


@settings(max_examples=60, deadline=None)
@given(sets())
def test_what_holds_of_every_table(made: tuple[PoseSet, list[Prediction], Skeleton]) -> None:
    truth, found, skeleton = made
    report = evaluate(truth, found, skeleton)
    table = report.causes
    assert table is not None
    for part, mean, people in (
        (table.everybody, report.numbers["mean_oks"], report.people),
        (table.large, report.numbers["mean_oks_large"], report.people_large),
    ):
        if part is None:
            assert mean is None and not people
            continue
        assert part.mean_oks == pytest.approx(mean) and part.people == people
        assert [row.cause for row in part.rows] == list(CAUSES)
        assert sum(row.share for row in part.rows) == pytest.approx(1)
        lost = [row.lost for row in part.rows]
        assert lost == [None] * 5 or sum(x or 0 for x in lost) == pytest.approx(1)
        # each cause's keypoints put right in turn: in the end nothing is wrong
        assert all(part.mean_oks <= row.without + 1e-12 <= 1 + 1e-9 for row in part.rows)
        assert sum(row.without - part.mean_oks for row in part.rows) == pytest.approx(1 - part.mean_oks)
    labels = sum(row.n for row in table.per_keypoint)
    assert labels == table.everybody.keypoints
    for row in table.everybody.rows:
        assert sum(k.n * k.shares[row.cause] for k in table.per_keypoint) == pytest.approx(row.share * labels)
    alone = max(len(image.people) for image in truth.images) == 1
    assert not alone or table.everybody.rows[CAUSES.index("swap")].share == 0
    assert any("a neighbour's joint counts as miss" in note for note in report.notes) == alone


@settings(max_examples=30, deadline=None)
@given(sets(), st.sampled_from(CAUSES))
def test_without_is_what_putting_right_gives(
    made: tuple[PoseSet, list[Prediction], Skeleton], cause: str
) -> None:
    truth, found, skeleton = made
    labels = Labels.of(truth, skeleton)
    xy = labels.predicted_xy(found)
    put_right = np.where((causes_of(labels, xy) == CAUSES.index(cause))[..., None], labels.xy, xy)
    row = tables(labels, xy).everybody.rows[CAUSES.index(cause)]
    assert tables(labels, put_right).everybody.mean_oks == pytest.approx(row.without)


def wrong_in_every_way() -> tuple[PoseSet, list[Prediction]]:
    truth = pose_set((person(1, OWN), person(2, NEIGHBOUR)), (person(3, OWN),))
    at = {
        1: (OWN[1], NEIGHBOUR[1], (130 + away(0.6), 200)),  # inversion, swap, jitter
        2: (NEIGHBOUR[0], FAR, NEIGHBOUR[2]),  # good, miss, good
        3: (OWN[0], OWN[1], (130 + away(0.9), 200)),  # all good
    }
    found = [
        Prediction(image.id, one.id, image.name, one.box, GROUND_TRUTH, HANDS.names, _rows(at[one.id]))
        for image, one in scored_people(truth)
    ]
    return truth, found


def _rows(xy: object) -> Floats:
    return frozen_array(np.concatenate([np.array(xy), np.ones((3, 1))], axis=1))


def test_the_report_has_the_table_and_pictures_of_each_kind(tmp_path: Path) -> None:
    truth, found = wrong_in_every_way()
    truth = replace(truth, images=tuple(replace(i, path=tmp_path / f"{i.id}.png") for i in truth.images))
    for image in truth.images:
        Image.new("RGB", (700, 700), "grey").save(image.path)
    report = evaluate(truth, found, HANDS)
    assert {name: [case.person.id for case in cases] for name, cases in report.cause_cases.items()} == {
        "good": [3],
        "jitter": [1],
        "inversion": [1],
        "swap": [1],
        "miss": [2],
    }
    (inverted,) = report.cause_cases["inversion"]
    assert [j for j, _ in inverted.about] == [0]
    assert report.save(tmp_path / "out") == []
    told = json.loads((tmp_path / "out" / "report.json").read_text())["causes"]
    shares = {row["cause"]: row["share"] for row in told["everybody"]["rows"]}
    assert shares == pytest.approx(dict(zip(CAUSES, np.array([5, 1, 1, 1, 1]) / 9, strict=True)), abs=1e-6)
    assert told["large"] is None and [row["name"] for row in told["per_keypoint"]] == list(HANDS.names)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## Causes" in text
    for cause in CAUSES:
        assert f"(cause_{cause}.png)" in text
        with Image.open(tmp_path / "out" / f"cause_{cause}.png") as page:
            assert page.width > 1000 and page.height > 300


def test_a_perfect_answer_has_no_pictures_of_faults(tmp_path: Path) -> None:
    truth, found = wrong_in_every_way()
    right = [
        replace(p, keypoints=_rows(one.keypoints))
        for p, (_, one) in zip(found, scored_people(truth), strict=True)
    ]
    assert evaluate(truth, right, HANDS).cause_cases == {}


def test_on_a_detectors_boxes_causes_are_not_known() -> None:
    truth, found = wrong_in_every_way()
    report = evaluate(
        truth, [replace(p, box_source="boxes.json") for p in found], HANDS, box_source="boxes.json"
    )
    assert (
        report.causes is None and report.to_dict()["causes"] is None and "Causes" not in report.to_markdown()
    )
