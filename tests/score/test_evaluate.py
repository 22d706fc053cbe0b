"""Reports on small made-up sets whose numbers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.locate.predictions import GROUND_TRUTH, Prediction, scored_people
from posetalk.score.evaluate import average_position, evaluate
from posetalk.score.oks import COCO_NUMBERS, coco_ap
from posetalk.score.report import EvaluationReport
from posetalk.skeleton import Keypoint, Skeleton, load_skeleton
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array

PLACES = ((0.2, 0.1), (0.8, 0.1), (0.5, 0.9))
THREE = Skeleton(
    "three",
    tuple(
        Keypoint(n, sigma=0.08, place=p)
        for n, p in zip(("left hand", "right hand", "seat"), PLACES, strict=True)
    ),
    ((0, 2), (1, 2)),
)


def made(
    points: Skeleton = THREE,
    people: int = 8,
    seed: int = 0,
    folder: Path = Path("photos"),
    head: float | None = None,
) -> PoseSet:
    """Two people a picture, everything labelled, plus a crowd and somebody without labels in the first."""
    rng = np.random.default_rng(seed)
    k = len(points)
    images: dict[int, list[Person]] = {}
    for i in range(people):
        box = Box(10.0 + 5 * i, 20.0, 80.0, 120.0)
        xy = rng.uniform(0, 1, (k, 2)) * (box.w, box.h) + (box.x, box.y)
        person = Person(i, box, frozen_array(xy), frozen_array(np.full(k, 2)), 5000.0, head_size=head)
        images.setdefault(100 + i // 2, []).append(person)
    blank, none = frozen_array(np.zeros((k, 2))), frozen_array(np.zeros(k))
    images[100].append(Person(900, Box(0, 0, 50, 50), blank, none, 900.0, is_crowd=True))
    images[100].append(Person(901, Box(0, 0, 50, 50), blank, none, 900.0))
    return PoseSet(
        "made",
        Path("made.json"),
        points.names,
        tuple(PoseImage(i, folder / f"{i}.png", 200, 200, tuple(p)) for i, p in images.items()),
    )


def answers(truth: PoseSet, error: float = 0.0, box_source: str = GROUND_TRUTH) -> list[Prediction]:
    """The labels, moved right by `error` px."""
    found = []
    for image, person in scored_people(truth):
        rows = np.concatenate(
            [person.keypoints + np.array([error, 0]), np.full((len(person.visible), 1), 0.9)], axis=1
        )
        found.append(
            Prediction(
                image.id,
                person.id,
                image.path.name,
                person.box,
                box_source,
                truth.keypoint_names,
                frozen_array(rows),
            )
        )
    return found


def test_perfect_answers() -> None:
    report = evaluate(made(), answers(made()), THREE)
    assert report.numbers["AP"] == pytest.approx(1) and report.numbers["mean_oks"] == 1
    assert report.numbers["mean_oks_large"] is None  # nobody here has 8 keypoints
    assert report.intervals["mean_oks"] == (1, 1)
    assert (report.people, report.images, report.images_with_people, report.missing) == (8, 4, 4, 0)
    assert all((r.similarity, r.near, r.n) == (1, 1, 8) for r in report.per_keypoint)
    assert report.baseline["mean_oks"] < 0.5
    low, high = report.intervals["mean_oks_over_baseline"]
    assert low < 1 - report.baseline["mean_oks"] < high


def test_a_known_error() -> None:
    report = evaluate(made(), answers(made(), error=10), THREE)
    alike = np.exp(-(10**2) / (2 * 5000 * (2 * 0.08) ** 2))
    assert report.numbers["mean_oks"] == pytest.approx(alike)
    assert report.per_keypoint[0].similarity == pytest.approx(alike)
    assert report.per_keypoint[0].near == 1  # 10 px of 120
    assert evaluate(made(), answers(made(), error=13), THREE).per_keypoint[0].near == 0


def test_who_was_missed_counts_as_nothing() -> None:
    report = evaluate(made(), answers(made())[:6], THREE)
    assert report.missing == 2
    assert report.numbers["mean_oks"] == pytest.approx(6 / 8)
    assert report.per_keypoint[2].near == pytest.approx(6 / 8)
    assert "2 people have no prediction" in report.to_markdown()
    nothing = evaluate(made(), [], THREE)
    assert nothing.numbers["mean_oks"] == nothing.numbers["AP"] == 0


def test_large_people_have_eight_labels_and_a_long_side() -> None:
    nine = Skeleton("nine", tuple(Keypoint(f"point {i}") for i in range(9)))
    truth = made(nine)
    first = truth.images[0]
    small = replace(first.people[0], box=Box(0, 0, 63, 63))
    few = replace(first.people[1], visible=frozen_array([2] * 7 + [0] * 2))
    truth = replace(truth, images=(replace(first, people=(small, few)), *truth.images[1:]))
    found = answers(truth)
    report = evaluate(truth, found[2:], nine)
    assert report.people_large == 6
    assert (report.numbers["mean_oks_large"], report.numbers["mean_oks"]) == (1, pytest.approx(6 / 8))


def test_the_baseline_stands_at_the_average_place_of_the_box() -> None:
    truth = made()
    first = average_position(truth, [], THREE)[0]
    assert first.keypoints[0].tolist() == [10 + 0.2 * 80, 20 + 0.1 * 120, 1]
    at_place = [
        replace(i, people=tuple(replace(p, keypoints=_placed(p.box)) for p in i.people)) for i in truth.images
    ]
    report = evaluate(replace(truth, images=tuple(at_place)), [], THREE)
    assert report.baseline["mean_oks"] == 1 and report.baseline["AP"] == pytest.approx(1)
    unknown = replace(THREE, keypoints=tuple(replace(p, place=None) for p in THREE.keypoints))
    assert average_position(truth, [], unknown)[0].keypoints[0].tolist() == [50, 80, 1]
    assert any("middle of the box" in note for note in evaluate(truth, [], unknown).notes)


def _placed(box: Box) -> np.ndarray:
    return frozen_array(np.array(PLACES) * (box.w, box.h) + (box.x, box.y))


def test_seen_and_unseen_keypoints_apart() -> None:
    truth = made()
    found = []
    for p in answers(truth):
        rows = np.array(p.keypoints)
        rows[2, 0] += 1000
        found.append(replace(p, keypoints=frozen_array(rows)))
    numbers = evaluate(truth, found, THREE, seen={"left hand", "right hand"}).numbers
    assert (numbers["mean_oks_seen"], numbers["mean_oks_unseen"]) == (1, pytest.approx(0, abs=1e-9))
    assert numbers["mean_oks"] == pytest.approx(2 / 3)
    report = evaluate(truth, found, THREE, seen={"left hand", "right hand"})
    assert [r.seen for r in report.per_keypoint] == [True, True, False]
    assert "## Keypoints never trained" in report.to_markdown()
    assert "mean_oks_seen" not in evaluate(truth, found, THREE, seen=set(THREE.names)).numbers


def test_a_detectors_boxes_have_ap_alone() -> None:
    truth = made()
    found = [replace(p, person_id=1000 + p.person_id) for p in answers(truth, 3, "boxes.json")]
    found.append(replace(found[0], person_id=5000, box_score=0.3))
    report = evaluate(truth, found, THREE, box_source="boxes.json")
    assert {n: report.numbers[n] for n in COCO_NUMBERS} == coco_ap(truth, found, THREE.sigmas)
    assert report.numbers["mean_oks"] is None and report.missing is None and not report.qualitative_cases
    assert any("mean_oks" in note for note in report.notes)
    assert report.baseline["AP"] < report.numbers["AP"]
    text = report.to_markdown()
    assert "boxes.json" in text and GROUND_TRUTH not in text.replace("ground-truth", "")


def test_mpii_means(tmp_path: Path) -> None:
    points = load_skeleton("mpii16")
    truth = made(points, head=20.0)
    found = []
    for p in answers(truth):
        rows = np.array(p.keypoints)
        rows[[6, 7], 0] += 1000  # pelvis and thorax: in no mean
        rows[8, 0] += 1000  # upper neck: in the standard mean alone
        rows[0, 0] += 10  # exactly half a head
        rows[1, 0] += 2.1  # a little more than a tenth
        found.append(replace(p, keypoints=frozen_array(rows)))
    numbers = evaluate(truth, found, points).numbers
    assert numbers == pytest.approx(
        {"PCKh@0.5": 13 / 14, "PCKh@0.5_12": 1, "PCKh@0.1": 11 / 14, "PCKh@0.1_12": 10 / 12}
    )
    assert (points.names[6:8], points.names[8:10]) == (("pelvis", "thorax"), ("upper neck", "head top"))
    coco_trained = evaluate(truth, found, points, seen=set(points.names) - {"upper neck", "head top"}).numbers
    assert coco_trained["PCKh@0.5_unseen"] == 0.5
    assert any("does not compare" in n for n in evaluate(made(points), answers(made(points)), points).notes)
    some = replace(truth.images[0], people=tuple(replace(p, head_size=None) for p in truth.images[0].people))
    report = evaluate(replace(truth, images=(some, *truth.images[1:])), found, points)
    assert any(n == "2 of 8 people have no head size and are left out" for n in report.notes)
    with pytest.raises(PosetalkError, match="own boxes"):
        evaluate(truth, [], points, box_source="boxes.json")


def test_lsp_torso() -> None:
    points = load_skeleton("lsp14")
    assert [points.names[j] for j in (9, 2, 8, 3)] == [
        "left shoulder",
        "right hip",
        "right shoulder",
        "left hip",
    ]
    assert points.names[12:] == ("neck", "head top")
    truth = made(points)
    images = []
    for image in truth.images:
        people = []
        for person in image.people:
            xy = np.array(person.keypoints)
            xy[9], xy[2] = (50, 50), (80, 90)  # 50 px apart
            people.append(replace(person, keypoints=frozen_array(xy)))
        images.append(replace(image, people=tuple(people)))
    no_torso = replace(images[0].people[0], visible=frozen_array([0, 0, 0, 0] + [2] * 10))
    images[0] = replace(images[0], people=(no_torso, *images[0].people[1:]))
    truth = replace(truth, images=tuple(images))
    assert evaluate(truth, answers(truth, 9.99), points).numbers["PCK@0.2"] == 1
    found = []
    for p in answers(truth):
        rows = np.array(p.keypoints)
        rows[[12, 13, 0], 0] += 10.01  # neck, head top and one ankle
        found.append(replace(p, keypoints=frozen_array(rows)))
    numbers = evaluate(truth, found, points).numbers
    # seven people with 14 labels (12 of them COCO's), the eighth is left out
    assert numbers == pytest.approx({"PCK@0.2": 11 / 14, "PCK@0.2_12": 11 / 12})
    report = evaluate(truth, answers(truth, 10.01), points)
    assert report.numbers == {"PCK@0.2": 0, "PCK@0.2_12": 0}
    assert report.notes[0] == "1 of 8 people have no labelled torso diagonal and are left out"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t, p: (replace(t, keypoint_names=("a", "b", "c")), p), "labels other keypoints"),
        (lambda t, p: (t, [replace(p[0], names=("a", "b", "c"))]), "other keypoints than made"),
        (lambda t, p: (t, [replace(p[0], box_source="detector")]), "boxes of 'detector', not 'ground truth'"),
        (lambda t, p: (t, [p[0], p[0]]), "person 0 of image 100 is predicted twice"),
        (lambda t, p: (t, [replace(p[0], person_id=77)]), "person 77 of image 100, whom made does not have"),
        (lambda t, p: (t, [replace(p[0], image_id=1)]), "person 0 of image 1, whom made does not have"),
    ],
)
def test_what_does_not_belong_together_is_refused(change, says: str) -> None:
    truth, found = change(made(), answers(made()))
    with pytest.raises(PosetalkError, match=says):
        evaluate(truth, found, THREE)


def test_order_does_not_matter_to_oks() -> None:
    truth = made()
    found = answers(truth, 7.0)[:7]
    a, b = evaluate(truth, found, THREE), evaluate(truth, found[::-1], THREE)
    assert a.to_dict() == b.to_dict()


def saved(tmp_path: Path, photos: bool) -> tuple[EvaluationReport, list[str]]:
    truth = made(folder=tmp_path)
    for image in truth.images if photos else ():
        Image.new("RGB", (200, 200), "grey").save(image.path)
    report = evaluate(truth, answers(truth, 5), THREE)
    return report, report.save(tmp_path / "out")


def test_what_is_saved(tmp_path: Path) -> None:
    report, told = saved(tmp_path, photos=True)
    assert told == []
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data == json.loads(json.dumps(report.to_dict()))
    assert data["box_source"] == "ground truth" and data["people"] == 8
    assert set(COCO_NUMBERS) | {"mean_oks", "mean_oks_large"} == set(data["baseline"])
    assert data["AP"] == pytest.approx(report.numbers["AP"], abs=1e-6)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "8 people of 4 images" in text and "not COCO val AP" in text and "cases.png" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for row in rows:
        assert "ground truth" in row or row.endswith("boxes        |")
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 4  # numbers, keypoints, causes, causes by keypoint
    assert all(len({len(line) for line in block.splitlines()}) == 1 for block in tables)
    with Image.open(tmp_path / "out" / "cases.png") as page:
        assert page.width > 1000 and page.height > 600


def test_pictures_that_are_gone_cost_only_the_pictures(tmp_path: Path) -> None:
    _, told = saved(tmp_path, photos=False)
    assert len(told) == 4 and all("not drawn: there is no image" in line for line in told)
    assert (tmp_path / "out" / "report.json").exists() and (tmp_path / "out" / "cases.png").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PosetalkError, match="cannot write the report into"):
        evaluate(made(), [], THREE).save(tmp_path / "file")


def test_a_set_of_val2017s_size_is_not_denied_its_name() -> None:
    image = made().images[1]
    many = tuple(replace(image, id=i) for i in range(2346))
    truth = replace(made(), images=many)
    assert evaluate(truth, [], THREE).notes == ()
    assert "2 people of 1 images" in evaluate(replace(truth, images=many[:1]), [], THREE).notes[0]


def test_others_are_scored_on_the_same_people(tmp_path: Path) -> None:
    truth = made(people=12)
    near, far = answers(truth, 4.0), answers(truth, 12.0)
    report = evaluate(truth, near, THREE, compare={"theirs": far})
    alone = evaluate(truth, far, THREE)
    assert report.compared["theirs"] == alone.numbers
    assert report.intervals is not None
    low, high = report.intervals["mean_oks_over_theirs"]
    lead = report.numbers["mean_oks"] - alone.numbers["mean_oks"]
    assert 0 < low <= lead <= high
    assert "| theirs |" in report.to_markdown().replace("  ", " ").replace("  ", " ")
    assert report.to_dict()["beside"]["theirs"]["mean_oks"] == pytest.approx(
        alone.numbers["mean_oks"], abs=1e-6
    )
    strangers = [replace(p, person_id=p.person_id + 500) for p in far]
    with pytest.raises(PosetalkError, match="whom made does not have"):
        evaluate(truth, near, THREE, compare={"theirs": strangers})


def test_what_is_said_to_be_seen_is_compared_with_the_flags() -> None:
    whole = made(people=4)
    first = whole.images[0]
    hidden = replace(first.people[0], visible=frozen_array([1, 2, 2]))
    truth = replace(whole, images=(replace(first, people=(hidden, *first.people[1:])), *whole.images[1:]))
    said = [(True, True, False), (True, True, True), (False, False, False), (True, True, True)]
    found = [replace(p, visible=v) for p, v in zip(answers(truth), said, strict=True)]
    assert evaluate(truth, found, THREE).visible == pytest.approx((7 / 12, 11 / 12))
    assert evaluate(truth, answers(truth), THREE).visible is None
    for flag in (1, 2):  # of which none tells what can be seen
        all_alike = [
            replace(i, people=tuple(replace(p, visible=frozen_array([flag] * 3)) for p in i.people))
            for i in whole.images
        ]
        report = evaluate(replace(whole, images=tuple(all_alike)), found, THREE)
        assert report.visible is None and "visible is told rightly is not known" in report.notes[-1]
        assert "Seen or not" not in report.to_markdown() and report.to_dict()["visible"] is None
        assert not evaluate(whole, answers(whole), THREE).notes[1:]  # a model that does not say either
