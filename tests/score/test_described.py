"""Described points: what is asked and measured, on a small made set; what the bundled model finds on the real one."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.skeleton import load_skeleton, swap_sides
from posetalk.types import Box

RUNS = Path(__file__).parents[2] / "runs"
sys.path.insert(0, str(RUNS))  # they import their neighbours
try:
    import described_labels as labels
    import described_points as points
    import described_scores as scores
    import free_phrases
finally:
    sys.path.remove(str(RUNS))

SETTINGS = tomllib.loads((RUNS / "described_points.toml").read_text())
WORDINGS = RUNS / "described_wordings.toml"
JOINTS = {name: (float(i), 10.0 * i) for i, name in enumerate(load_skeleton("coco17").names)}
BOX = Box(0, 0, 100, 200)


def person(**places: tuple[float, float]) -> labels.DescribedPerson:
    return labels.DescribedPerson(
        Path("a.png"), BOX, {name.replace("_", " "): xy for name, xy in places.items()}
    )


@pytest.mark.parametrize("kind", SETTINGS["arithmetic"])
def test_every_point_that_can_be_labelled_is_worded_and_has_arithmetic(kind: str) -> None:
    weights, wordings = SETTINGS["arithmetic"][kind], labels.read_wordings(WORDINGS)
    assert list(wordings) == ["everyday", "anatomical", "relative", labels.NAMES]
    assert {labels.part_of(name) for name in SETTINGS["wholebody"]} <= set(weights)
    assert all(set(texts) == set(weights) for texts in wordings.values())
    for part, sums in weights.items():
        for name in (f"left {part}", f"right {part}"):
            x, y = labels.arithmetic(sums, name, JOINTS)
            assert y == pytest.approx(10 * x)  # as the joints: the weights sum to 1


def test_both_sides_of_a_point_are_mirrors() -> None:
    mirrored = {swap_sides(name): xy for name, xy in JOINTS.items()}
    for sums in SETTINGS["arithmetic"].values():
        for part, weights in sums.items():
            left, right = f"left {part}", f"right {part}"
            assert labels.arithmetic(weights, left, JOINTS) == pytest.approx(
                labels.arithmetic(weights, right, mirrored)
            )


def test_wordings_were_never_trained() -> None:
    """No sentence that the wordings ask with is in a file that says what is trained or asked by default."""
    texts = [*RUNS.glob("*.toml"), *(RUNS.parent / "src" / "posetalk" / "skeletons").glob("*.toml")]
    trained = "\n".join(f.read_text().lower() for f in texts if not f.stem.startswith(("described", "free_")))
    for texts_of in tomllib.loads(WORDINGS.read_text()).values():
        for text in texts_of.values():
            _, _, sentence = text.partition(": ")
            assert sentence
            for side in ("left", "right"):
                assert sentence.replace("{side}", side).lower() not in trained


@pytest.mark.parametrize(
    ("text", "name", "asked", "sentence"),
    [
        ("{side} heel: behind the {side} toes", "left heel", "left heel", "behind the left toes"),
        ("{side} navel", "navel", "navel", ""),
        ("belly: where {side} it is", "navel", "belly", "where it is"),
    ],
)
def test_a_wording_takes_the_side_of_the_point(text: str, name: str, asked: str, sentence: str) -> None:
    point = labels.keypoint(text, name)
    assert (point.name, point.sentence) == (asked, sentence)


def test_arithmetic_may_use_the_other_side() -> None:
    weights = {"{side} ear": 1.5, "{other side} ear": -0.5}
    left, right = JOINTS["left ear"][0], JOINTS["right ear"][0]
    assert labels.arithmetic(weights, "right earring", JOINTS)[0] == pytest.approx(1.5 * right - 0.5 * left)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nose": 0.5}, "sum to 0.5, not 1"),
        ({"{side} nose": 1.0}, "uses 'left nose', which is no joint"),
    ],
)
def test_arithmetic_that_cannot_be_done_is_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(PosetalkError, match=says):
        labels.arithmetic(change, "left heel", JOINTS)


def test_a_wording_that_lacks_a_point_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('[a]\n"heel" = "heel"\n"chin" = "chin"\n[b]\n"chin" = "face: low"\n')
    with pytest.raises(PosetalkError, match=r"\[b\] does not word heel"):
        labels.read_wordings(tmp_path / "w.toml")
    (tmp_path / "own.py").write_text("OTHER = 1\n")
    with pytest.raises(PosetalkError, match="has no dictionary SENTENCES"):
        labels.read_wordings(WORDINGS, tmp_path / "own.py")


def test_wholebodys_labels_are_read_where_they_are_valid(tmp_path: Path) -> None:
    body = {"image_id": 5, "id": 1, "bbox": [0, 0, 50, 80]}
    foot, face = [0.0] * 18, [0.0] * 204
    foot[6:9], face[186:189], face[198:201] = [10, 70, 2], [20, 8, 1], [20, 12, 1]
    left = {**body, "foot_kpts": foot, "foot_valid": True, "face_kpts": face, "face_valid": True}
    left |= {
        f"{side}hand_{key}": value
        for side in ("left", "right")
        for key, value in (("kpts", [9] * 63), ("valid", 0))
    }
    nobody = {**left, "id": 2, "foot_valid": False, "face_valid": False}
    data = {"images": [{"id": 5, "file_name": "5.jpg"}], "annotations": [left, nobody]}
    (tmp_path / "w.json").write_text(json.dumps(data))
    (found,) = labels.read_wholebody(tmp_path / "w.json", Path("photos"), SETTINGS["wholebody"])
    assert found.image == Path("photos/5.jpg") and found.box == Box(0, 0, 50, 80)
    assert found.points == {"left heel": (10, 70), "mouth": (20, 10)}
    (tmp_path / "w.json").write_text('{"images": []}')
    with pytest.raises(PosetalkError, match="cannot read COCO-WholeBody's labels"):
        labels.read_wholebody(tmp_path / "w.json", Path("photos"), SETTINGS["wholebody"])
    with pytest.raises(PosetalkError, match="cannot read described points"):
        labels.read_described(tmp_path / "w.json", Path("photos"))


def test_an_answer_is_measured_in_the_box_and_against_the_other_side() -> None:
    people = [person(left_heel=(10, 190), right_heel=(60, 190), navel=(50, 100)), person(left_heel=(10, 190))]
    near = scores.answer(people, 0, "left heel", (30, 190))
    assert (near.error, near.found, near.wrong_side) == (pytest.approx(0.1), True, False)
    far = scores.answer(people, 0, "left heel", (59, 190))
    assert not far.found and far.wrong_side
    assert scores.answer(people, 0, "navel", (0, 0)).wrong_side is None
    assert scores.answer(people, 1, "left heel", (0, 0)).wrong_side is None  # the other one is not labelled


def test_the_average_place_is_that_of_the_others() -> None:
    people = [person(navel=(10, 20)), person(navel=(30, 20)), person(navel=(50, 80), chin=(1, 1))]
    found = points.average_places(people)
    assert [(a.person, a.x, a.y) for a in found] == [(0, 40, 50), (1, 30, 50), (2, 20, 20)]


def answers(found: list[bool], score: list[float]) -> list[scores.PointAnswer]:
    return [
        scores.PointAnswer(i, "chin", 0, 0, 0.0 if f else 1.0, s, None)
        for i, (f, s) in enumerate(zip(found, score, strict=True))
    ]


@pytest.mark.parametrize(
    ("found", "score", "area"),
    [
        ([True, False], [0.9, 0.1], 1.0),
        ([True, False], [0.1, 0.9], 0.0),
        ([True, False], [0.5, 0.5], 0.5),
        ([True, True, False, False], [0.9, 0.4, 0.5, 0.4], (1 + 1 + 0 + 0.5) / 4),
        ([True, True], [0.9, 0.4], None),
        ([], [], None),
    ],
)
def test_the_area_under_the_curve_is_the_chance_of_the_right_order(
    found: list[bool], score: list[float], area: float | None
) -> None:
    assert scores.auroc(answers(found, score)) == area


def test_a_wording_is_compared_with_arithmetic_on_the_points_it_was_asked_for() -> None:
    ours = answers([True, True, True], [0.9, 0.8, 0.7])
    more = [*answers([False] * 3, [0] * 3), scores.PointAnswer(0, "navel", 0, 0, 0.0, None, None)]
    made = scores.wording_score(ours, {"joints": more}, people=3)
    assert made.found == 1 and made.score == pytest.approx(0.8)
    assert made.leads["joints"] == (1, 1) and made.labels == 3


def test_wrong_sides_are_counted_for_feet_and_hands() -> None:
    def told(name: str, wrong: bool | None) -> scores.PointAnswer:
        return scores.PointAnswer(0, name, 0, 0, 0.0, 0.5, wrong)

    some = [told("left heel", True), told("left big toe", False), told("navel", None)]
    some += [told("left thumb tip", True), told("right hand", None), told("left shin", True)]
    made = scores.wording_score(some, {}, people=1)
    assert made.wrong_sides == {"feet": (1, 2), "hands": (1, 1)}


def run(monkeypatch: pytest.MonkeyPatch, script: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    script.main()  # type: ignore[attr-defined]


def test_models_are_asked_in_every_wording_and_stand_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (120, 100, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    places = [{"name": n, "x": 40, "y": 60, "visible": 2} for n in ("navel", "left heel", "right heel")]
    people = [{"image": "a.png", "bbox": [10, 10, 80, 100], "points": places}] * 2
    (tmp_path / "points.json").write_text(json.dumps({"people": people}))
    (tmp_path / "own.py").write_text('SENTENCES = {"navel": "on the belly", "heel": "behind the {} toes"}\n')
    given = ("--points", tmp_path / "points.json", "--images", tmp_path, "--own", tmp_path / "own.py")
    run(monkeypatch, points, "bundled", tiny_model, *given, "--out", tmp_path / "out")
    data = json.loads((tmp_path / "out" / "described.json").read_text())["Described points"]
    ways = ["joints", "proportions", labels.OWN, "everyday", "anatomical", "relative", labels.NAMES]
    assert {model: list(made) for model, made in data["scores"].items()} == {
        "bundled": ways,
        tiny_model.name: ways,
    }
    assert {len(some) for some in data["answers"].values()} == {6}
    text = (tmp_path / "out" / "described.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split()[1] for line in table[1:4]] == ["navel", "heel", "all"]
    assert all(f"{model}: {way}" in table[0] for model in ("bundled", tiny_model.name) for way in ways)
    assert "average place" in table[0] and "6 points of 2 people on 1 photos" in text
    with pytest.raises(PosetalkError, match="two models have the same name"):
        run(monkeypatch, points, tiny_model, tiny_model, *given, "--out", tmp_path / "out")


def test_free_phrases_are_drawn_for_everybody_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images, people = [], []
    for i in range(1, 4):
        Image.fromarray(rng.integers(0, 255, (120, 100, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 100, "height": 120})
        labelled = 17 if i < 3 else 5
        spots = [v for k in range(17) for v in ((20 + 3 * k, 20 + 4 * k, 2) if k < labelled else (0, 0, 0))]
        one = {"image_id": i, "category_id": 1, "area": 4000, "iscrowd": 0, "num_keypoints": labelled}
        people += [
            {**one, "id": 10 * i, "bbox": [10, 10, 70, 90], "keypoints": spots},
            {**one, "id": 10 * i + 1, "bbox": [15, 15, 60, 80], "keypoints": spots},
        ]
    data = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "labels.json").write_text(json.dumps(data))
    truth = free_phrases.read_people(tmp_path / "labels.json", tmp_path)
    assert [(image.id, box.w) for image, box in free_phrases.chosen(truth)] == [(1, 70), (2, 70)]
    assert len(free_phrases.chosen(truth, 1)) == 1
    (tmp_path / "p.toml").write_text(
        'phrases = ["belly", "RIGHT KNEE", "left ear lobe", "toes", "nose ring"]\n'
    )
    given = (
        "--annotations",
        tmp_path / "labels.json",
        "--images",
        tmp_path,
        "--phrases",
        tmp_path / "p.toml",
    )
    run(monkeypatch, free_phrases, "bundled", *given, "--out", tmp_path / "sheets")
    pages = sorted((tmp_path / "sheets").iterdir())
    assert [page.name for page in pages] == ["phrases_01.png", "phrases_02.png"]
    with Image.open(pages[0]) as first, Image.open(pages[1]) as last:
        assert first.width == last.width and first.height > 3 * last.height / 2


def test_forty_free_phrases_are_of_every_kind() -> None:
    phrases = tomllib.loads((RUNS / "free_phrases.toml").read_text())["phrases"]
    assert len(set(phrases)) == 40 and any(p.isupper() for p in phrases)


@pytest.mark.realdata
def test_the_bundled_model_finds_described_points_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(os.environ["POSETALK_DATA"])
    described = data / "described_points"
    given = ("--points", described / "described_points.json", "--images", data / "coco_people" / "val2017")
    given += ("--own", described / "score_described.py")
    given += ("--wholebody", data / "wholebody_sample" / "test_coco_wholebody.json")
    given += ("--wholebody-images", data / "coco_sample")
    run(monkeypatch, points, "bundled", *given, "--out", tmp_path)
    found = json.loads((tmp_path / "described.json").read_text())
    made, whole = (found[title]["scores"]["bundled"] for title in ("Described points", "COCO-WholeBody"))
    assert made[labels.OWN]["labels"] == 391 and whole[labels.NAMES]["labels"] == 134
    assert made["joints"]["found"] > 0.75 and made["proportions"]["found"] > 0.9
    assert made[labels.OWN]["found"] > 0.63 and whole["joints"]["found"] > 0.8
