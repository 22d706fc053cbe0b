"""OKS and AP against pycocotools."""

import contextlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posetalk.errors import PosetalkError
from posetalk.formats.coco import read_coco
from posetalk.locate.predictions import GROUND_TRUTH, Prediction
from posetalk.locate.similarity import similarity
from posetalk.score.evaluate import evaluate
from posetalk.score.oks import COCO_NUMBERS, CROWD_BINS, coco_ap, crowd_ap, oks
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array

BODY = (0.079, 0.072, 0.062, 0.107, 0.087, 0.089)
SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035, *np.repeat(BODY, 2))


def pose_set(data: dict, k: int) -> PoseSet:
    """A COCO file's dict as a PoseSet, nothing checked or mended."""
    people: dict[int, list[Person]] = {image["id"]: [] for image in data["images"]}
    for a in data["annotations"]:
        triples = np.array(a["keypoints"], float).reshape(k, 3)
        people[a["image_id"]].append(
            Person(
                id=a["id"],
                box=Box(*a["bbox"]),
                keypoints=frozen_array(triples[:, :2]),
                visible=frozen_array(triples[:, 2]),
                area=a["area"],
                is_crowd=bool(a["iscrowd"]),
            )
        )
    images = tuple(PoseImage(i, Path(f"{i}.jpg"), None, None, tuple(p)) for i, p in people.items())
    return PoseSet("made", Path("made.json"), tuple(f"point {j}" for j in range(k)), images)


def prediction(image_id: int, person_id: int, keypoints: np.ndarray, box_score: float = 1.0) -> Prediction:
    names = tuple(map(str, range(len(keypoints))))
    rows = frozen_array(keypoints)
    return Prediction(
        image_id, person_id, "a.jpg", Box(0, 0, 1, 1), GROUND_TRUTH, names, rows, None, box_score
    )


def oracle(data: dict, predictions: list[Prediction], sigmas: tuple[float, ...]) -> dict[str, float | None]:
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO()
        labels.dataset = json.loads(json.dumps(data))
        labels.createIndex()
        run = COCOeval(labels, labels.loadRes([p.to_coco() for p in predictions]), "keypoints")
        run.params.kpt_oks_sigmas = np.array(sigmas)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {n: None if v < 0 else v for n, v in zip(COCO_NUMBERS, run.stats, strict=True)}


def jittered(truth: PoseSet, seed: int) -> list[Prediction]:
    """Noisy answers; some people missed, some found twice, some in the wrong place, many scores equal."""
    rng = np.random.default_rng(seed)
    found = []
    for image, person in truth.people():
        for copy in range(rng.choice([0, 1, 2], p=[0.15, 0.7, 0.15])):
            noise = rng.choice([0.005, 0.03, 0.2]) * np.sqrt(person.area)
            rows = np.zeros((len(person.keypoints), 3))
            rows[:, :2] = person.keypoints + rng.normal(0, noise, person.keypoints.shape)
            rows[:, 2] = rng.choice([0.25, 0.5, rng.random()])
            found.append(prediction(image.id, 2 * person.id + copy, rows))
    return found


def same(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == (None if value is None else pytest.approx(value, abs=1e-6)), name


FILES = [
    "coco_people/annotations/person_keypoints_val2017.json",
    "coco_people/annotations/person_keypoints_train2017.json",
    "coco_tiny/annotations/*val2017*",
    "coco_tiny/annotations/*train2017*",
]


@pytest.mark.realdata
@pytest.mark.parametrize("pattern", FILES)
@pytest.mark.parametrize("seed", [0, 1])
def test_ap_equals_pycocotools_on_real_labels(pattern: str, seed: int) -> None:
    root = Path(os.environ["POSETALK_DATA"])
    (path,) = [p for p in root.glob(pattern) if "person_keypoints" in p.name]
    data = json.loads(path.read_text())
    truth = read_coco(path, root / pattern.split("/")[0] / path.stem.split("_")[-1])
    assert len(list(truth.people())) == len(data["annotations"])
    found = jittered(truth, seed)
    theirs = oracle(data, found, SIGMAS)
    assert 0.05 < theirs["AP"] < 0.95
    same(coco_ap(truth, found, SIGMAS), theirs)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict, list[Prediction], tuple[float, ...]]:
    k = draw(st.sampled_from([1, 3, 21]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = draw(st.lists(st.integers(1, 2**40), min_size=1, max_size=4, unique=True))
    annotations, found = [], []
    for number in range(draw(st.integers(1, 8))):
        side = float(draw(st.sampled_from([5, 32, 50, 96, 150, 400])))
        triples = np.zeros((k, 3))
        triples[:, :2] = rng.uniform(0, side, (k, 2)).round(1)
        triples[:, 2] = rng.choice([0, 1, 2], k) if draw(st.booleans()) else draw(st.sampled_from([0, 2]))
        triples[triples[:, 2] == 0] = 0
        annotations.append(
            {
                "id": number + 1,
                "image_id": draw(st.sampled_from(ids)),
                "category_id": 1,
                "bbox": [0.0, 0.0, side, side],
                "area": side * side * draw(st.sampled_from([0.5, 1.0])),
                "iscrowd": draw(st.sampled_from([0, 0, 0, 1])),
                "num_keypoints": int((triples[:, 2] > 0).sum()),
                "keypoints": triples.reshape(-1).tolist(),
            }
        )
        for copy in range(draw(st.integers(0, 2))):
            rows = triples.copy()
            rows[:, :2] += rng.normal(0, side * draw(st.sampled_from([0.0, 0.05, 0.3])), (k, 2))
            rows[:, 2] = draw(st.sampled_from([0.0, 0.5, 0.9]))
            found.append(prediction(draw(st.sampled_from(ids)), 2 * number + copy, rows))
    data = {
        "images": [{"id": i} for i in ids],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    return data, found, tuple(rng.uniform(0.02, 0.12, k))


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_ap_equals_pycocotools_on_made_up_sets(world: tuple) -> None:
    data, found, sigmas = world
    truth = pose_set(data, len(sigmas))
    ours = coco_ap(truth, found, sigmas)
    if found:
        same(ours, oracle(data, found, sigmas))
    else:  # pycocotools cannot load an empty list of results
        assert all(v in (None, 0.0) for v in ours.values())


def one_person(visible: list[int], area: float = 100.0) -> dict:
    triples = [v for j, flag in enumerate(visible) for v in (10.0 * j * bool(flag), 5.0 * bool(flag), flag)]
    person = {
        "id": 1,
        "image_id": 7,
        "bbox": [0, 0, 50, 50],
        "area": area,
        "iscrowd": 0,
        "keypoints": triples,
    }
    return {"images": [{"id": 7}, {"id": 8}], "annotations": [person], "categories": [{"id": 1}]}


def test_nobody_found_is_zero_and_nobody_there_is_none() -> None:
    truth = pose_set(one_person([2, 2, 2], area=40.0**2), 3)
    assert coco_ap(truth, [], (0.05,) * 3) | {"APL": 0, "ARL": 0} == dict.fromkeys(COCO_NUMBERS, 0.0)
    assert coco_ap(truth, [], (0.05,) * 3)["APL"] is None
    empty = replace(truth, images=(replace(truth.images[0], people=()),))
    assert coco_ap(empty, [], (0.05,) * 3) == dict.fromkeys(COCO_NUMBERS)
    assert coco_ap(replace(truth, images=()), [], (0.05,) * 3) == dict.fromkeys(COCO_NUMBERS)


def test_perfect_answers_score_one_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    truth = pose_set(one_person([2, 0, 1]), 3)
    rows = np.concatenate([truth.images[0].people[0].keypoints, np.ones((3, 1))], axis=1)
    assert coco_ap(truth, [prediction(7, 1, rows)], (0.05,) * 3)["AP"] == pytest.approx(1)
    assert capfd.readouterr() == ("", "")


def test_a_box_score_decides_the_order() -> None:
    truth = pose_set(one_person([2, 2, 2]), 3)
    right = np.concatenate([truth.images[0].people[0].keypoints, np.ones((3, 1))], axis=1)
    wrong = right + np.array([500.0, 0, 0])
    for box_score, wanted in ((0.9, 1.0), (0.1, 0.5)):
        found = [prediction(7, 1, wrong, 0.5), prediction(7, 2, right, box_score)]
        assert coco_ap(truth, found, (0.05,) * 3)["AP"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("image_id", "k", "says"),
    [(9, 3, "image 9, which made does not"), (7, 2, "2 keypoints and the skeleton 3")],
)
def test_predictions_that_do_not_belong_are_refused(image_id: int, k: int, says: str) -> None:
    truth = pose_set(one_person([2, 2, 2]), 3)
    with pytest.raises(PosetalkError, match=says):
        coco_ap(truth, [prediction(image_id, 1, np.zeros((k, 3)))], (0.05,) * 3)


def test_oks_by_hand() -> None:
    truth = np.zeros((2, 3, 2))
    pred = np.array([[[3.0, 4], [0, 0], [99, 99]], [[1, 1], [2, 2], [3, 3]]])
    visible = [[2, 1, 0], [0, 0, 0]]
    # d = 5, sigma .05 -> variance .01, area 100: e = 25 / .01 / 100 / 2
    expected = (np.exp(-12.5) + 1) / 2
    values = oks(pred, truth, visible, [100.0, 100.0], (0.05,) * 3)
    assert values[0] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(values[1])
    assert similarity(pred, truth, [0.0, 0.0], (0.05,) * 3)[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_oks_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = one_person([2, 0, 1, 2], area=900.0)
    truth = pose_set(data, 4)
    person = truth.images[0].people[0]
    rows = np.concatenate([person.keypoints + rng.normal(0, 4, (4, 2)), np.ones((4, 1))], axis=1)
    sigmas = (0.03, 0.05, 0.08, 0.1)
    labels = COCO()
    labels.dataset = data
    data["annotations"][0] |= {"category_id": 1, "num_keypoints": 3}
    with contextlib.redirect_stdout(io.StringIO()):
        labels.createIndex()
        run = COCOeval(labels, labels.loadRes([prediction(7, 1, rows).to_coco()]), "keypoints")
        run.params.kpt_oks_sigmas = np.array(sigmas)
        run.evaluate()
    ours = oks(rows[None, :, :2], person.keypoints[None], person.visible[None], [person.area], sigmas)
    assert ours[0] == pytest.approx(run.ious[7, 1][0, 0], abs=1e-12)


@pytest.mark.realdata
@pytest.mark.parametrize("seed", [0, 1])
def test_crowd_bins_equal_pycocotools_on_their_images(seed: int, tmp_path: Path) -> None:
    folder = Path(os.environ["POSETALK_DATA"]) / "coco_people/annotations"
    data = json.loads((folder / "person_keypoints_val2017.json").read_text())
    crowded = {0.0: "easy", 0.1: "easy", 0.2: "medium", 0.5: "medium", 0.8: "hard", 1.0: "hard"}
    kinds = {}
    for number, image in enumerate(data["images"]):
        image["crowdIndex"] = list(crowded)[number % 6]
        kinds[image["id"]] = crowded[image["crowdIndex"]]
    (tmp_path / "crowd.json").write_text(json.dumps(data))
    truth = read_coco(tmp_path / "crowd.json", tmp_path)
    found = jittered(truth, seed)
    numbers = crowd_ap(truth, found, SIGMAS)
    assert numbers.keys() == CROWD_BINS.keys()
    for kind in ("easy", "medium", "hard"):
        ids = {image_id for image_id, other in kinds.items() if other == kind}
        part = data | {
            "images": [i for i in data["images"] if i["id"] in ids],
            "annotations": [a for a in data["annotations"] if a["image_id"] in ids],
        }
        theirs = oracle(part, [p for p in found if p.image_id in ids], SIGMAS)["AP"]
        assert numbers[f"AP_{kind}"] == pytest.approx(theirs, abs=1e-6)


def test_labels_without_a_crowd_index_have_no_crowd_bins() -> None:
    box, point = Box(0, 0, 50, 50), frozen_array([[5.0, 5.0]])
    person = Person(1, box, point, frozen_array([2]), 900.0)
    images = [PoseImage(1, Path("1.jpg"), 60, 60, (person,))]
    answer = [prediction(1, 1, np.array([[5, 5, 1]]))]
    truth = PoseSet("made", Path("made.json"), ("point",), tuple(images))
    assert crowd_ap(truth, answer, (0.1,)) == {}
    crowded = replace(truth, images=(replace(images[0], crowd_index=0.8),))
    numbers = crowd_ap(crowded, answer, (0.1,))
    assert numbers == {"AP_easy": None, "AP_medium": None, "AP_hard": pytest.approx(1)}


def test_crowdpose_is_scored_with_its_own_sigmas() -> None:
    skeleton = load_skeleton("crowdpose14")
    theirs = [0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]
    rng = np.random.default_rng(0)
    points = frozen_array(rng.uniform(0, 200, (14, 2)))
    person = Person(1, Box(0, 0, 200, 200), points, frozen_array([2] * 14), 20000.0)
    image = PoseImage(1, Path("1.jpg"), 200, 200, (person,), crowd_index=0.5)
    truth = PoseSet("made", Path("made.json"), skeleton.names, (image,))
    moved = np.column_stack([points + rng.normal(0, 14, (14, 2)), np.ones(14)])
    answer = replace(prediction(1, 1, moved), names=skeleton.names)
    expected = coco_ap(truth, [answer], [sigma / 10 for sigma in theirs])["AP"]
    numbers = evaluate(truth, [answer], skeleton).numbers
    assert numbers["AP"] == numbers["AP_medium"] == expected and 0 < float(expected or 0) < 1
    plain = replace(truth, images=(replace(image, crowd_index=None),))
    assert "AP_medium" not in evaluate(plain, [answer], skeleton).numbers
