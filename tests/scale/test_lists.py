"""Lists and archives of images: what they name, and one sentence for those that name nothing."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.locate.image_files import find_images
from posetalk.locate.image_lists import ListedImage, list_line, read_list
from posetalk.locate.jobs import image_jobs
from posetalk.scale.archives import find_archives, unpacked


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "images"),
    [
        ("a.txt", "x/1.png\n\n2.png\n", [("x/1.png", 1), ("2.png", 2)]),
        (
            "a.jsonl",
            '{"path": "1.png", "file_name": "one", "image_id": 7}\n{"path": "2.png"}\n',
            [("one", 7), ("2.png", 2)],
        ),
        ("a.json", '{"images": [{"id": 9, "file_name": "1.png", "width": 8}]}', [("1.png", 9)]),
    ],
)  # fmt: skip
def test_a_list_names_images_and_their_ids(
    name: str, text: str, images: list[tuple[str, int]], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    jobs = image_jobs(find_images([tmp_path / name]).images)
    assert [(job.image.name, job.image.id) for job in jobs] == images
    assert all(job.image.path.parent in (tmp_path, tmp_path / "x") for job in jobs)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "\n", "names no image"),
        ("a.jsonl", '{"file_name": "x"}\n', "line 1: it names no image"),
        ("a.jsonl", '{"path": "x", "image_id": "7"}\n', "line 1: it names no image"),
        ("a.jsonl", '{"path": "x", "file_name": "a\\nb"}\n', "line 1: it names no image"),
        ("a.jsonl", '{"path": "a", "image_id": 1}\n{"path": "b", "image_id": 1}\n', "have the id 1"),
        ("a.json", '{"images": []}', "names no image"),
        ("a.json", '{"images": [{"id": 1, "file_name": "../x.png"}]}', "leads out of"),
    ],
)
def test_a_damaged_list_is_told_in_a_sentence(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PosetalkError, match=says):
        image_jobs(find_images([tmp_path / name]).images)


@given(key=st.text(min_size=1).filter(lambda text: len(text.splitlines()) == 1 and text.isprintable()))
def test_a_line_of_ours_comes_back(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "images.jsonl"
    image = ListedImage(Path("/somewhere/1.png"), key, 3)
    file.write_text(list_line(image))
    assert list(read_list(file)) == [image]
    assert [(found.key, found.id) for found in find_images([file]).images] == [(key, 3)]


def test_a_tar_and_a_parquet_file_become_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "part.tar", "w") as tar:
        for name in ("b/1.png", "1.png", "1.json"):
            info = tarfile.TarInfo(name)
            info.size = len(picture())
            tar.addfile(info, io.BytesIO(picture()))
    columns: list[dict[str, Any]] = [
        {"image": [picture()] * 2, "file_name": ["x.png", "y.png"], "image_id": [4, 5]},
        {"image": [{"bytes": picture(), "path": "z.png"}, None]},
    ]
    for number, table in enumerate(columns):
        pq.write_table(pa.table(table), tmp_path / f"{number}.parquet")
    found = {}
    for name in ("part.tar", "0.parquet", "1.parquet"):
        with unpacked(tmp_path / name) as images:
            assert all(image.path.read_bytes() == picture() for image in images)
            found[name] = [(image.key, image.id) for image in images]
        assert not images[0].path.exists()
    (first, one), (second, other) = found["part.tar"]
    assert (first, second) == ("part/b/1.png", "part/1.png") and one != other
    assert found["0.parquet"] == [("0/x.png", 4), ("0/y.png", 5)]
    assert [key for key, _ in found["1.parquet"]] == ["1/z.png"]


def test_archives_are_found_by_name_and_pattern(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar", "c.parquet"):
        (tmp_path / name).touch()
    found = find_archives([tmp_path / "b.tar", tmp_path / "*.tar", tmp_path / "c.parquet"])
    assert [Path(path).name for path in found] == ["b.tar", "a.tar", "c.parquet"]
    for missing in ("d.tar", "*.tar.tar"):
        with pytest.raises(PosetalkError, match="there is no archive"):
            find_archives([tmp_path / missing])


@pytest.mark.parametrize("name", ["a.tar", "a.parquet", "b.parquet", "c.tar"])
def test_a_damaged_archive_is_told_in_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no archive")
    (tmp_path / "a.parquet").write_bytes(b"no table")
    pq.write_table(pa.table({"pixels": [1]}), tmp_path / "b.parquet")
    tarfile.open(tmp_path / "c.tar", "w").close()
    with pytest.raises(PosetalkError, match=name), unpacked(tmp_path / name):
        pass


def test_a_list_of_names_that_clash_tells_them_apart(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"path": f"{d}/1.png"}) + "\n" for d in "ab"))
    assert {image.key for image in find_images([tmp_path / "a.jsonl"]).images} == {"a/1.png", "b/1.png"}
