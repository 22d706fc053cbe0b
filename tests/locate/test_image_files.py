"""Which photos a run has, what they are called, and what is said of the others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import features

from posetalk.errors import PosetalkError
from posetalk.locate import image_files
from posetalk.locate.image_files import FIRST_MADE_ID, find_images, image_ids, image_suffixes
from posetalk.locate.jobs import _remaining, image_jobs
from posetalk.locate.predictions import readable


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


KEYS = {
    "a folder with folders": (["."], ["2.jpg", "a/1.jpg", "a/b/1.jpg", "b.PNG"]),
    "its own folders": (["a", "a/b"], ["1.jpg", "b/1.jpg"]),
    "files": (["2.jpg", "a/1.jpg"], ["2.jpg", "1.jpg"]),
    "files of one name": (["a/1.jpg", "a/b/1.jpg"], ["1.jpg", "b/1.jpg"]),
    "folders with one name in both": (["a/b", "c"], ["a/b/1.jpg", "c/1.jpg", "3.jpg"]),
    "given twice": (["2.jpg", "./2.jpg", "2.jpg"], ["2.jpg"]),
    "a pattern": (["a/*"], ["1.jpg"]),
    "a deep pattern": (["**/1.*"], ["a/1.jpg", "a/b/1.jpg", "c/1.jpg"]),
    "what is not there": (["gone.jpg", "2.jpg"], ["gone.jpg", "2.jpg"]),
}


@pytest.mark.parametrize(("given", "keys"), KEYS.values(), ids=KEYS)
def test_keys(given: list[str], keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "2.jpg", "b.PNG", "a/1.jpg", "a/b/1.jpg", "a/.hidden/3.jpg", ".x.jpg")
    if given != ["."]:
        touched(tmp_path, "c/1.jpg", "c/3.jpg")
    monkeypatch.chdir(tmp_path)
    found = find_images(Path(path) for path in given)
    assert [photo.key for photo in found.images] == keys
    assert all(photo.path.name == photo.key.rpartition("/")[2] for photo in found.images)


def test_names_too_short_for_a_key_are_told(tmp_path: Path) -> None:
    touched(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg")
    found = find_images([tmp_path / "a", tmp_path / "b"])
    assert found.ambiguous_names == {"1.jpg"}
    assert find_images([tmp_path]).ambiguous_names == set()


def test_what_is_passed_over_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "1.jpg", "a.txt", "b.TXT", "c", "d.heic", "e.avif", "f.cr2", ".DS_Store", "sub/g.txt")
    touched(tmp_path, "old/run.toml", "old/1.png", "out/drawn/2.png", "circle/3.jpg")
    (tmp_path / "circle" / "again").symlink_to(tmp_path)
    monkeypatch.setattr(image_files, "image_suffixes", lambda: frozenset({".jpg", ".png"}))
    found = find_images([tmp_path], exclude=[tmp_path / "out"])
    assert [photo.key for photo in found.images] == ["1.jpg", "circle/3.jpg"]
    assert found.passed_over is not None and found.passed_over.startswith("7 files passed over: .txt 3, ")
    for part in (
        ".heic 1 (this Pillow does not read HEIF",
        ".cr2 1 (camera raw is not read)",
        "without a suffix 1",
    ):
        assert part in found.passed_over
    assert found.passed_over.endswith("; folders passed over: old (a run's own)")
    assert find_images([tmp_path / "1.jpg"]).passed_over is None


def test_nothing_to_look_at_is_one_sentence(tmp_path: Path) -> None:
    touched(tmp_path, "a.txt", "b/c.heic")
    with pytest.raises(
        PosetalkError, match=r"no image in the folder .*2 files passed over: \.txt 1, \.heic 1"
    ):
        find_images([tmp_path])
    with pytest.raises(PosetalkError, match=r"no image matches .*\.txt 1"):
        find_images([tmp_path / "*.txt"])
    with pytest.raises(PosetalkError, match="no file matches"):
        find_images([tmp_path / "*.jpg"])


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "1.jpg", "shut/2.jpg")

    def scandir(path: str) -> object:
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    found = find_images([tmp_path])
    assert [photo.key for photo in found.images] == ["1.jpg"]
    assert found.passed_over == "folders passed over: shut (Permission denied)"
    with pytest.raises(PosetalkError, match=r"cannot look into the folder .*shut: Permission denied"):
        find_images([tmp_path / "shut"])


def test_names_that_are_no_text_and_names_that_are_too_long(tmp_path: Path) -> None:
    for name in (b"a\xff.jpg", b"a\\xff.jpg", b"[/red].jpg", b"a\nb.jpg"):
        touched(tmp_path, os.fsdecode(name))
    found = find_images([tmp_path, tmp_path / ("x" * 300 + ".jpg")])
    keys = [photo.key for photo in found.images]
    short = ["[/red].jpg", r"a\\xff.jpg", r"a\u000ab.jpg", r"a\xff.jpg"]
    assert sorted(keys)[:4] == short and len(keys[4]) == 304
    assert [readable(key) for key in keys] == keys
    for photo, number in zip(found.images, image_ids(keys, {}), strict=True):
        assert photo.key.encode() and FIRST_MADE_ID <= number < 2 * FIRST_MADE_ID
        assert photo.path.exists() if len(photo.key) < 300 else True


def test_suffixes() -> None:
    known = image_suffixes()
    assert {".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".bmp", ".tif", ".tiff", ".gif"} <= known
    assert (".webp" in known) == bool(features.check("webp"))
    assert (".avif" in known) == bool(features.check("avif"))
    assert not {".pdf", ".eps", ".mpg", ".h5", ".txt", ".json", ""} & known


IDS = {
    "COCO's": (["000000000785.jpg", "000000040083.jpg"], {}, [785, 40083]),
    "in folders": (["a/000000000785.jpg", "b/9.png"], {}, [785, 9]),
    "one number, three names": (["7.jpg", "007.png", "07.jpg", "8.jpg"], {}, [None, None, None, 8]),
    "one number, two folders": (["a/7.jpg", "b/7.jpg"], {}, [None, None]),
    "no numbers": (["a.jpg", "٣.jpg", "-1.jpg", "1.5.jpg", "9" * 300 + ".jpg"], {}, [None] * 5),
    "added beside one of before": (["001.jpg", "1.jpg"], {"001.jpg": 1}, [1, None]),
    "added to a number of before": (["2.jpg"], {"gone/002.jpg": 2}, [None]),
    "made before": (
        ["7.jpg"],
        {"7.jpg": FIRST_MADE_ID + 5, "007.jpg": FIRST_MADE_ID + 6},
        [FIRST_MADE_ID + 5],
    ),
}


@pytest.mark.parametrize(("keys", "before", "ids"), IDS.values(), ids=IDS)
def test_ids(keys: list[str], before: dict[str, int], ids: list[int | None]) -> None:
    found = image_ids(keys, before)
    assert [n if n < FIRST_MADE_ID or n in ids else None for n in found] == ids
    others = [n for key, n in before.items() if key not in keys]
    assert len({*found, *others}) == len(found) + len(others)
    assert image_ids(keys, dict(zip(keys, found, strict=True))) == found


def test_a_made_id_is_the_same_whatever_lies_beside() -> None:
    alone = image_ids(["sub/a.jpg"], {})
    assert image_ids(["0.jpg", "b.jpg", "sub/a.jpg"], {})[2:] == alone != image_ids(["a.jpg"], {})


def test_many_photos_are_told_apart_in_linear_time() -> None:
    given = [Path(f"{n % 7}/{n}.jpg") for n in range(20_000)]
    begun = time.perf_counter()
    jobs = image_jobs(find_images(given).images)
    assert [job.image.id for job in jobs] == list(range(20_000))
    tasks = _remaining(jobs, frozenset((n, 1) for n in range(15_000)), 8)
    assert [task.job.image.id for task in tasks] == list(range(15_000, 20_000))
    assert time.perf_counter() - begun < 20  # comparing each name with all others took minutes
