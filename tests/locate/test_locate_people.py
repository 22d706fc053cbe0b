"""Photos without boxes: a detector finds the people, each is answered once, and nobody is an answer too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from posetalk.cli import main
from posetalk.locate.predictions import read_predictions

DATA = Path(skimage.__path__[0]) / "data"
FIND = ["--detector", "bundled", "--min-score", "0.5", "--ask", "nose"]


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
    assert (tmp_path / "drawn" / "2.png").exists() and not (tmp_path / "drawn" / "3.png").exists()
    # a run that lost its last line writes it again
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (out / "predictions.jsonl").write_text("".join(lines[:-1]))
    run(photos, *FIND, "--out", out)
    assert (out / "predictions.jsonl").read_text() == "".join(lines)
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos), *FIND[:2], "--ask", "nose", "--out", str(out)])
    assert end.value.code == 2 and "min_score was 0.5 and is not given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--largest"], "--detector bundled"),
        (["--detector", "bundled", "--box", "0,0,9,9"], "give one"),
        (["--detector", "bundled", "--min-score", "2"], "between 0 and 1"),
        (["--detector", "bundeld"], "bundled"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str], said: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["locate", str(photos / "2.png"), *words])
    assert end.value.code == 2 and said in capsys.readouterr().err
