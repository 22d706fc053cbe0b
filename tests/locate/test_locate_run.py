"""`posetalk locate` with photos of any name: each once, with its own number and drawing, nothing without a word."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posetalk.cli import main
from posetalk.locate.image_files import FIRST_MADE_ID


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person without a box is found by one short keypoint: a letter is a token of the tiny model."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"keypoints": ["nose"]}))
    return folder


def photo(path: Path, seed: int = 0, form: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (40 + seed, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=form)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([os.fspath(w) if isinstance(w, Path) else str(w) for w in words])
    return int(stop.value.code or 0)


def rows(out: Path) -> dict[str, int]:
    found = [(row["file_name"], row["image_id"]) for row in json.loads((out / "keypoints.json").read_text())]
    assert len({name for name, _ in found}) == len({number for _, number in found}) == len(found)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_bytes().splitlines()]
    assert sorted(found) == sorted((line["file_name"], line["image_id"]) for line in lines)
    assert {line["box_source"] for line in lines} == {"model"}
    return dict(found)


NAMES = [
    "7.jpg", "007.png", "07.jpg", "001.jpg", "a.jpg", "a.png", "a.jpg.png", "sub/a/frame1.jpg", "sub/b/frame1.jpg",
    "[/red].jpg", "b.jfif", "c.mpo", os.fsdecode(b"\xe9t\xe9.jpg"), "\\xe9t\\xe9.jpg",
]  # fmt: skip
FORMS = {".jfif": "JPEG", ".mpo": "JPEG"}


def test_photos_of_any_name_are_kept_apart(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out, drawn = (
        tmp_path / "photos",
        tmp_path / "photos" / "out",
        tmp_path / "photos" / "out" / "drawn",
    )
    if (tmp_path / "CASE").touch() or (tmp_path / "case").exists():
        pytest.skip("this file system does not tell all these names apart")
    for seed, name in enumerate(NAMES):
        path = photos / "red" / name if name.startswith("[") else photos / name
        photo(path, seed, FORMS.get(path.suffix))
    (photos / "d.heic").write_bytes(b"heif")
    (photos / "notes.txt").write_text("no picture")
    words = [
        "locate",
        photos,
        "--model",
        model,
        "--whole-image",
        "--ask",
        "chin",
        "--out",
        out,
        "--draw",
        drawn,
    ]
    assert run(*words) == 0
    told, found = capsys.readouterr().out, rows(out)
    assert (
        "2 files passed over: " in told and ".heic 1 (" in told and ".txt 1" in told and "; 0 skipped" in told
    )
    assert len(found) == len(NAMES) and found["001.jpg"] == 1
    assert all(found[name] >= FIRST_MADE_ID for name in ("7.jpg", "007.png", "07.jpg", "\\xe9t\\xe9.jpg"))
    assert len([p for p in drawn.rglob("*") if p.is_file()]) == len(NAMES)
    assert (
        (drawn / "sub/a/frame1.png").is_file()
        and (drawn / "7.png").is_file()
        and (drawn / "a.jpg.png").is_file()
    )
    # one goes, one comes that is called after the same number as another, and what was found is kept
    (photos / "7.jpg").unlink()
    photo(photos / "1.jpg", 30)
    before = (out / "predictions.jsonl").read_bytes()
    assert run(*words) == 0
    assert (out / "predictions.jsonl").read_bytes().startswith(before)
    again = rows(out)
    assert (
        again.keys() - found.keys() == {"1.jpg"}
        and {**again, **found} == again
        and again["1.jpg"] >= FIRST_MADE_ID
    )


def test_a_run_over_folders_with_the_same_names(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, name in enumerate(("a/1.jpg", "b/1.jpg", "b/2.jpg")):
        photo(tmp_path / name, n)
    words = [
        "locate",
        tmp_path / "a",
        "--model",
        model,
        "--whole-image",
        "--ask",
        "chin",
        "--out",
        tmp_path / "out",
    ]
    assert run(*words) == 0 and rows(tmp_path / "out") == {"1.jpg": 1}
    assert run(*words[:2], tmp_path / "b", *words[2:]) == 0
    assert "left out of keypoints.json: 1.jpg of an earlier run" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "keypoints.json").read_text())
    assert [row["file_name"] for row in found] == ["a/1.jpg", "b/1.jpg", "2.jpg"]
    assert len({row["image_id"] for row in found}) == 3


def test_one_photo_of_many_may_fail_but_not_all(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"damaged")
    words = [
        "locate",
        tmp_path / "photos",
        "--model",
        model,
        "--whole-image",
        "--ask",
        "chin",
        "--out",
        tmp_path / "out",
    ]
    assert run(*words) == 2
    assert "nothing could be located; skipped: a.jpg: " in capsys.readouterr().err
    photo(tmp_path / "photos" / "c.jpg")
    assert run(*words) == 0
    assert "skipped: b.jpg: " in capsys.readouterr().out and rows(tmp_path / "out").keys() == {"c.jpg"}
    (tmp_path / "photos" / "c.jpg").unlink()
    assert run(*words) == 2  # what was found of a photo that is gone is no success


def test_an_evaluation_without_a_picture_fails(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 30, 30], "area": 900.0, "iscrowd": 0,
              "num_keypoints": 1, "keypoints": [20, 20, 2]}  # fmt: skip
    categories = [{"id": 1, "name": "person", "keypoints": ["nose"]}]
    images = [{"id": 1, "file_name": "gone.jpg", "width": 50, "height": 40}]
    labels, points = tmp_path / "labels.json", tmp_path / "points.toml"
    labels.write_text(json.dumps({"images": images, "annotations": [person], "categories": categories}))
    points.write_text('[[keypoint]]\nname = "nose"\n')
    out = tmp_path / "out"
    words = [
        "--annotations",
        labels,
        "--images",
        tmp_path,
        "--skeleton",
        points,
        "--model",
        model,
        "--out",
        out,
    ]
    assert run("evaluate", *words) == 2
    assert "nothing could be located; skipped: gone.jpg: there is no image" in capsys.readouterr().err


LONG = "x" * 300


@pytest.mark.parametrize("asked", ["[/red]", "[bold]chin[/]: [/red]", LONG])
def test_names_with_brackets_and_long_ones_are_shown_and_drawn(
    asked: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / os.fsdecode(b"[red]\xff.png")
    photo(path)
    files = ["--json", tmp_path / "a.json", "--draw", tmp_path / "a.jpg"]
    assert run("locate", path, "--model", model, "--whole-image", "--ask", asked, *files) == 0
    said = json.loads((tmp_path / "a.json").read_text())
    assert (
        said["image"] == "[red]\\xff.png" and said["people"][0]["keypoints"][0]["name"] == asked.split(":")[0]
    )
    assert asked.split(":")[0][:6] in capsys.readouterr().out
    assert run("locate", tmp_path / f"{LONG}.jpg", "--model", model, "--ask", "chin") == 2
    assert "File name too long" in capsys.readouterr().err


def test_what_would_be_lost_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "photos" / "1.png")
    before = (tmp_path / "photos" / "1.png").read_bytes()
    one = ["locate", tmp_path / "photos" / "1.png", "--model", model, "--ask", "chin"]
    for words, says in (
        ([*one, "--draw", tmp_path / "photos" / "1.png"], "is the image itself"),
        ([*one, "--json", tmp_path / "photos" / "1.png"], "is the image itself"),
        ([*one, "--out", tmp_path / "out", "--draw", tmp_path / "photos"], "would take an image's place"),
        (
            [
                "locate",
                tmp_path / "photos",
                *one[2:],
                "--out",
                tmp_path / "out",
                "--draw",
                tmp_path / "photos",
            ],
            "next run",
        ),
    ):
        assert run(*words) == 2
        assert says in capsys.readouterr().err
    assert (tmp_path / "photos" / "1.png").read_bytes() == before and not (tmp_path / "out").exists()


def test_what_is_refused_leaves_the_folder_free(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "1.png")
    words = ["locate", tmp_path, "--out", tmp_path / "out", "--whole-image", "--ask"]
    assert run(*words, "chin: " + "far below " * 300, "--model", model) == 2
    assert "describe it in fewer words" in capsys.readouterr().err
    assert run(*words, "chin", "--model", tmp_path / "gone") == 2
    assert run(*words, "chin", "--model", "posellm-7b") == 2
    assert "recipe without weights" in capsys.readouterr().err
    assert run(*words, "chin", "--model", model) == 0


def test_another_photo_of_the_same_name_does_not_get_the_answer_of_the_first(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, moved, out = (tmp_path / name for name in ("first", "second", "moved", "out"))
    photo(first / "1.png", 1)
    (first / "broken.png").write_bytes(b"no picture")
    photo(second / "1.png", 2)
    assert run("locate", first, "--model", model, "--whole-image", "--ask", "nose", "--out", out) == 0
    before = (out / "predictions.jsonl").read_bytes()
    capsys.readouterr()
    assert run("locate", second, "--model", model, "--whole-image", "--ask", "nose", "--out", out) == 2
    said = capsys.readouterr().err
    assert f"{out} has answers of another image called 1.png" in said and "choose another folder" in said
    photo(first / "broken.png", 3)  # it had no answer
    first.rename(moved)  # the same photos
    assert run("locate", moved, "--model", model, "--whole-image", "--ask", "nose", "--out", out) == 0
    assert (out / "predictions.jsonl").read_bytes().startswith(before)
    assert set(rows(out)) == {"1.png", "broken.png"}


def test_a_photo_that_was_changed_in_its_place_is_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    for name in ("1.bmp", "2.bmp", "3.bmp"):
        photos.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(photos / name)
    words = ["locate", photos, "--model", model, "--whole-image", "--ask", "nose", "--out", out]
    assert run(*words) == 0
    before, state, data = (
        (out / "predictions.jsonl").read_bytes(),
        (photos / "2.bmp").stat(),
        (photos / "2.bmp").read_bytes(),
    )
    (photos / "2.bmp").write_bytes(data[:-9] + bytes(9))  # as large, and as old
    os.utime(photos / "2.bmp", ns=(state.st_atime_ns, state.st_mtime_ns))
    Image.fromarray(pixels).save(photos / "4.bmp")
    capsys.readouterr()
    for _ in range(2):
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert "answers of another image called 2.bmp" in said and "put back what was there" in said
        assert (out / "predictions.jsonl").read_bytes() == before
    (photos / "2.bmp").write_bytes(data)
    with (out / "pictures.jsonl").open("ab") as log:
        log.write(b'{"image_id":')  # of a run that was killed
    assert run(*words) == 0 and set(rows(out)) == {"1.bmp", "2.bmp", "3.bmp", "4.bmp"}
    assert len((out / "pictures.jsonl").read_bytes().splitlines()) == 5  # 2.bmp has other times
    (photos / "1.bmp").unlink()  # what is gone keeps its answer
    (out / "pictures.jsonl").unlink()  # of an earlier version's run
    assert run(*words) == 0 and (out / "predictions.jsonl").read_bytes().startswith(before)
    (photos / "2.bmp").write_bytes(data[:-9] + bytes(9))
    assert run(*words) == 2
    (out / "pictures.jsonl").write_text("[]\n")
    capsys.readouterr()
    assert run(*words) == 2 and "pictures.jsonl is damaged" in capsys.readouterr().err


def test_scores_of_other_sigmas_are_another_run(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "1.png")
    points = tmp_path / "points.toml"
    words = [
        "locate",
        tmp_path,
        "--model",
        model,
        "--whole-image",
        "--skeleton",
        points,
        "--out",
        tmp_path / "out",
    ]
    for sigma, ends in ((0.1, 0), (0.2, 2), (0.1, 0)):
        points.write_text(f'[[keypoint]]\nname = "nose"\nsigma = {sigma}\n')
        capsys.readouterr()
        assert run(*words) == ends
        assert ("sigma of the keypoints changed" in capsys.readouterr().err) == bool(ends)
