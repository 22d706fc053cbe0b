"""Photos without boxes: a detector finds the people, each is answered once, and nobody is an answer too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from posetalk.cli import main
from posetalk.detect import detector
from posetalk.detect.detector import Detector
from posetalk.detect.nanodet import NanoDet
from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.locate import people_log
from posetalk.locate.localizer import Localizer
from posetalk.locate.people_file import people_of_file
from posetalk.locate.predictions import read_predictions
from posetalk.types import Floats, PoseImage, Poses

DATA = Path(skimage.__path__[0]) / "data"
FIND = ["--min-score", "0.5", "--ask", "nose"]


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        main(["locate", *map(str, words)])
    assert end.value.code == 0


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people in one photo, nobody in another, and a file that is no photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = [np.asarray(Image.open(DATA / name).convert("RGB")) for name in ("astronaut.png", "camera.png")]
    Image.fromarray(np.concatenate(pixels, 1)).save(folder / "2.png")
    Image.new("RGB", (200, 200), "grey").save(folder / "3.png")
    (folder / "4.png").write_bytes(b"no photo")
    return folder


def test_everybody_in_a_photo_is_found(photos: Path, tmp_path: Path) -> None:
    run(photos / "2.png", *FIND, "--json", tmp_path / "a.json", "--draw", tmp_path / "a.png")
    people = json.loads((tmp_path / "a.json").read_text())["people"]
    assert len(people) == 2 and all(person["box_score"] >= 0.5 for person in people)
    noses = sorted(person["keypoints"][0]["x"] for person in people)
    assert noses[0] < 512 < noses[1]
    run(photos / "2.png", *FIND, "--largest", "--json", tmp_path / "b.json")
    (one,) = json.loads((tmp_path / "b.json").read_text())["people"]
    assert one in people
    run(photos / "2.png", *FIND, "--max-people", "1", "--json", tmp_path / "c.json")
    (first,) = json.loads((tmp_path / "c.json").read_text())["people"]
    assert first["box_score"] == max(person["box_score"] for person in people)


def test_nobody_is_said_in_one_sentence(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(photos / "3.png", *FIND, "--json", tmp_path / "a.json")
    assert "nobody was found in" in (said := capsys.readouterr().out) and "--min-score" in said
    assert json.loads((tmp_path / "a.json").read_text())["people"] == []


def test_a_folder_is_answered_and_goes_on(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(photos, *FIND, "--out", out, "--draw", tmp_path / "drawn")
    said = " ".join(capsys.readouterr().out.split())
    assert "nobody was found in 1 of 3 images" in said and "4.png" in said and "2 people in" in said
    rows = json.loads((out / "keypoints.json").read_text())
    assert [row["image_id"] for row in rows] == [2, 2]
    before, _ = read_predictions(out / "predictions.jsonl")
    assert {p.box_source for p in before} == {"detector bundled"} and min(p.box_score for p in before) >= 0.5
    assert (tmp_path / "drawn" / "2.png").exists()
    assert not (tmp_path / "drawn" / "3.png").exists()
    # a run that lost its last line writes it again
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (out / "predictions.jsonl").write_text("".join(lines[:-1]))
    run(photos, *FIND, "--out", out, "--draw")
    assert (out / "predictions.jsonl").read_text() == "".join(lines)
    assert (out / "drawn" / "2.png").read_bytes() == (tmp_path / "drawn" / "2.png").read_bytes()
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos), "--ask", "nose", "--out", str(out)])
    assert end.value.code == 2 and "min_score was 0.5 and is not given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--largest", "--whole-image"], "leave them or --whole-image away"),
        (["--min-score", "0", "--box", "0,0,9,9"], "leave them or --box away"),
        (["--detector", "bundled", "--box", "0,0,9,9"], "--box and --detector are two ways"),
        (["--whole-image", "--boxes", "boxes.json"], "--boxes and --whole-image are two ways"),
        (["--detector", "bundled", "--min-score", "2"], "between 0 and 1"),
        (["--detector", "bundeld"], "bundled"),
        (["--draw"], "--draw needs the name of a file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str], said: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos / "2.png"), *words])
    assert end.value.code == 2 and said in capsys.readouterr().err


class Counting:
    """Finds the same two people in every image, and counts how often it is asked."""

    min_score = 0.5

    def __init__(self, corners: list[list[float]]) -> None:
        self.corners, self.asked = np.array(corners, np.float64), 0

    def __call__(self, image: Pixels, min_score: float, /) -> tuple[Floats, Floats]:
        self.asked += 1
        return self.corners, np.array([0.9, 0.85, 0.8])[: len(self.corners)]


def test_without_boxes_everybody_is_located_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Counting([[30, 20, 420, 512], [518, 60, 857, 512], [520, 58, 850, 438]])
    monkeypatch.setattr(detector, "OVERLAP", 1.0)  # else the boxes tell by themselves
    looking = Localizer.from_pretrained(detector=Detector(network))
    found = looking.set_image(photos / "2.png").locate()
    looking.locate(keypoints="left heel: the back of the left foot")
    assert network.asked == 1  # the image is not searched again
    assert len(found) == 2  # two of the three boxes are of one man
    assert found.box_scores is not None and set(found.box_scores) <= {0.9, 0.85, 0.8}
    given = looking.locate(found.boxes)
    np.testing.assert_allclose(given.xy, found.xy, atol=1e-3)
    assert given.box_scores is None and len(looking.locate(whole_image=True)) == 1
    (one, none, wrong) = looking.locate_all(
        [(photos / "2.png", None), (photos / "3.png", []), (photos / "4.png", None)]
    )
    assert isinstance(one, Poses) and isinstance(none, Poses) and isinstance(wrong, PosetalkError)
    assert one.boxes == found.boxes and len(none) == 0
    nobody = Localizer.from_pretrained(detector=Detector(Counting([[0, 0, 0, 0]])))
    assert len(nobody.set_image(photos / "2.png").locate()) == 0


def test_a_run_that_goes_on_looks_for_nobody_again(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(photos, *FIND, "--out", out)
    written = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").unlink()
    lines = (out / "people.jsonl").read_bytes()
    assert [json.loads(line)["file_name"] for line in lines.splitlines()] == ["2.png", "3.png"]
    with (out / "people.jsonl").open("ab") as file:
        file.write(b'{"image_id":')  # of a run that was killed

    def never(*_: object) -> None:
        raise AssertionError("searched again")

    with monkeypatch.context() as patch:
        patch.setattr(NanoDet, "__call__", never)
        run(photos, *FIND, "--out", out)
    assert (out / "predictions.jsonl").read_bytes() == written and (
        out / "people.jsonl"
    ).read_bytes() == lines
    # neither another detector nor another image is taken for the same
    other = tmp_path / "nanodet.onnx"
    other.write_bytes(people_log.BUNDLED_DETECTOR.read_bytes() + b" ")
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(people_log, "BUNDLED_DETECTOR", other)
        main(["locate", str(photos), *FIND, "--out", str(out)])
    assert end.value.code == 2 and "the bundled detector changed" in capsys.readouterr().err
    Image.new("RGB", (200, 200), "white").save(photos / "3.png")
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos), *FIND, "--out", str(out)])
    assert end.value.code == 2 and "another image called 3.png" in capsys.readouterr().err


def test_a_folder_with_nobody_is_no_failure(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (photos / "2.png").unlink()
    (photos / "4.png").unlink()
    for _ in range(2):
        run(photos, *FIND, "--out", tmp_path / "out", "--draw", tmp_path / "drawn")
        assert "nobody was found in 1 of 1 images" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "out" / "keypoints.json").read_text()) == []


def test_boxes_come_from_a_file(photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    man, woman = [518, 60, 339, 452], [30, 20, 390, 492]
    rows = [{"file_name": "2.png", "bbox": man, "score": 0.9}, {"image_id": 2, "bbox": woman, "score": 0.4}]
    boxes.write_text(json.dumps([*rows, {"image_id": "another", "bbox": man}]))
    asked = ["--boxes", boxes, "--ask", "nose"]
    run(photos / "2.png", *asked, "--json", tmp_path / "a.json")
    people = json.loads((tmp_path / "a.json").read_text())["people"]
    assert [(p["box"], p["box_score"]) for p in people] == [(man, 0.9), (woman, 0.4)]
    run(photos / "2.png", *asked, "--min-score", "0.5", "--json", tmp_path / "a.json")
    assert len(json.loads((tmp_path / "a.json").read_text())["people"]) == 1
    run(photos / "2.png", *asked, "--largest", "--json", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["people"][0]["box"] == woman
    capsys.readouterr()
    run(photos, *asked, "--out", tmp_path / "out")
    said = " ".join(capsys.readouterr().out.split())
    assert "no boxes are given for 3.png, 4.png of 3 images" in said and "2 people in" in said
    before, _ = read_predictions(tmp_path / "out" / "predictions.jsonl")
    assert [(p.box_source, p.box_score) for p in before] == [
        ("boxes boxes.json", 0.9),
        ("boxes boxes.json", 0.4),
    ]
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos / "3.png"), *map(str, asked)])
    assert end.value.code == 2 and "no boxes of people for 3.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rows", "found"),
    [
        ("a/000785.jpg", [{"image_id": 785}], 1),
        ("a/000785.jpg", [{"image_id": 786}], 0),
        ("photo.jpg", [{"image_id": 1}, {"image_id": 1}], 2),  # of which else?
        ("photo.jpg", [{"image_id": 1}, {"image_id": 2}], 0),
        ("a/photo.jpg", [{"file_name": "photo.jpg", "image_id": 9}], 1),
        ("a/photo.jpg", [{"file_name": "val/photo.jpg"}], 1),
        ("a/photo.jpg", [{"file_name": "other.jpg"}], 0),
        ("a/photo.jpg", [{"image_id": "photo"}], 1),  # as ultralytics writes it
        ("a/photo.jpg", [{"image_id": "photo", "category_id": 2}, {"image_id": "photo"}], 1),
    ],
)
def test_what_a_record_says_of_its_image(
    name: str, rows: list[dict[str, object]], found: int, tmp_path: Path
) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps([{"bbox": [1, 2, 30, 40], "score": 0.5, **row} for row in rows]))
    image_id = 785 if "785" in name else 2**52
    people, notes = people_of_file(file, [PoseImage(image_id, Path(name), None, None, (), name)])
    assert len(people[image_id]) == found and not notes


def test_who_is_found_does_not_depend_on_what_is_asked(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foot alone does not tell two boxes of one man, one of which ends at his knees."""
    corners = [[30.0, 20, 420, 512], [518, 60, 857, 512], [520, 58, 850, 438]]
    monkeypatch.setattr(detector, "OVERLAP", 1.0)  # else the boxes tell by themselves
    looking = Localizer.from_pretrained(detector=Detector(Counting(corners))).set_image(photos / "2.png")
    body = looking.locate()
    for asked in ("left ankle", "left heel: the back of the left foot", "nose"):
        found = looking.locate(keypoints=asked)
        assert found.boxes == body.boxes and len(found) == 2
        assert found.names == (asked.partition(":")[0],) and found.xy.shape == (2, 1, 2)
        (many,) = looking.locate_all([(photos / "2.png", None)], asked)
        assert isinstance(many, Poses) and many.boxes == body.boxes
        given = looking.locate(body.boxes, asked)
        np.testing.assert_allclose(given.xy, found.xy, atol=1e-3)
    boxes = tmp_path / "boxes.json"
    rows = [
        {"file_name": "2.png", "bbox": [x, y, right - x, bottom - y], "score": 0.9 - n / 10}
        for n, (x, y, right, bottom) in enumerate(corners)
    ]
    boxes.write_text(json.dumps(rows))
    run(photos / "2.png", "--boxes", boxes, "--ask", "left ankle", "--json", tmp_path / "a.json")
    assert len(json.loads((tmp_path / "a.json").read_text())["people"]) == 2
    run(photos / "2.png", "--boxes", boxes, "--ask", "left ankle", "--out", tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [line.get("double") for line in lines] == [None, None, True]
    assert all(line["names"] == ["left ankle"] for line in lines)
    assert len(json.loads((tmp_path / "out" / "keypoints.json").read_text())) == 2
    digits = Localizer.from_pretrained(readout="digits")
    points = digits.questions("nose")
    assert digits.with_body(points) == points and len(looking.with_body(points)) == 17


def test_a_run_draws_as_a_single_photo_is_drawn(photos: Path, tmp_path: Path) -> None:
    asked = [*FIND, "--ask", "chin: the lowest point of the face"]  # a name that was never trained
    run(photos / "2.png", *asked, "--draw", tmp_path / "one.png")
    run(photos / "2.png", *asked, "--out", tmp_path / "out", "--draw", tmp_path / "drawn")
    one, other = (
        np.asarray(Image.open(path), int) for path in (tmp_path / "one.png", tmp_path / "drawn" / "2.png")
    )
    assert np.abs(one - other).max() < 30  # places in files are rounded
