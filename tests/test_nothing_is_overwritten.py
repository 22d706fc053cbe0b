"""What is there already is not replaced by another command's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.cli import main


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return int(stop.value.code or 0)


def people(path: Path, category: str = "person") -> Path:
    keypoints = [30, 20, 2, 40, 22, 2, *[0] * 45]
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 60], "keypoints": keypoints}
    image = {"id": 1, "file_name": "1.png", "width": 100, "height": 80}
    categories = [{"id": 1, "name": category}]
    path.write_text(json.dumps({"images": [image], "annotations": [person], "categories": categories}))
    return path


def published(path: Path) -> Path:
    said = [{"from": "human", "value": "Who is there?"}, {"from": "gpt", "value": "A man stands there."}]
    path.write_text(json.dumps([{"id": "1", "image": "1.png", "conversations": said}]))
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(tmp_path / "photos" / "1.png")
    (tmp_path / "photos" / "1.jpg").write_bytes(b"somebody's")
    return tmp_path / "photos" / "1.png"


def test_drawings_do_not_lie_among_the_photos(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = photo.read_bytes()
    (tmp_path / "link").symlink_to(photo.parent)
    for drawn in (photo.parent, tmp_path / "link"):
        assert run("locate", photo, "--out", tmp_path / "out", "--draw", drawn) == 2
        assert "among the images" in capsys.readouterr().err
    same = tmp_path / "same.png"
    assert run("locate", photo, "--json", same, "--draw", same) == 2
    assert "choose two places" in capsys.readouterr().err
    assert photo.read_bytes() == before and not same.exists()


def test_a_calibrated_model_takes_nobodys_place(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("precious")
    labels = people(tmp_path / "people.json")
    assert (
        run("calibrate", "bundled", tmp_path / "mine", "--annotations", labels, "--images", photo.parent) == 2
    )
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "mine" / "README.md").read_text() == "precious"


def test_a_screen_replaces_neither_a_run_nor_what_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = published(tmp_path / "given.json")
    (tmp_path / "written").mkdir()
    (tmp_path / "written" / "run.toml").touch()
    assert run("screen", given, tmp_path / "written") == 2
    assert "holds another run" in capsys.readouterr().err
    own = published(tmp_path / "samples.jsonl")
    before = own.read_bytes()
    assert run("screen", own, tmp_path) == 2
    assert "would be replaced" in capsys.readouterr().err and own.read_bytes() == before


def test_an_empty_folder_may_be_called_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("screen", published(tmp_path / "given.json"), tmp_path / "screened") == 0
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("export", tmp_path / "screened", ".") == 0
    assert (tmp_path / "here" / "README.md").is_file()


def test_a_category_of_another_name_holds_no_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("facts", people(tmp_path / "dogs.json", "dog")) == 2
    assert "there are dog (id 1)" in capsys.readouterr().err
