"""Files outside of the pictures' folder, and files that are no pictures, are neither sent nor shown nor exported."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.bench.desk import settings
from tests.bench.people import question
from tests.llm.server import Act, Body, running, said

from posetalk.bench.answers.answer import asked_questions, file_of
from posetalk.bench.answers.run import answer_benchmark_by_server
from posetalk.bench.questions.build import ClosedSet
from posetalk.bench.report.cards import Thumbnails
from posetalk.bench.report.export import export_lmms, export_vlmeval
from posetalk.errors import PosetalkError
from posetalk.llm.request import ImagePart
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Sample

SECRET = b"the secret of somebody's machine"
BAD = {
    "dots": "../secret.jpg",
    "whole": "",  # put in by the fixture
    "link": "link.jpg",
    "text": "text.jpg",
    "long": "x" * 300,
    "NUL": "a\0b.jpg",
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A photo, text under a picture's name, and a link to a picture that is beside the folder."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (40, 30), (200, 40, 40)).save(folder / "good.jpg")
    (folder / "text.jpg").write_bytes(SECRET)
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg", comment=SECRET)
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    return folder


def names(images: Path) -> dict[str, str]:
    return BAD | {"whole": str(images.parent / "secret.jpg")}


def held(path: Path) -> bytes:
    """All that an export holds, also what stands in it as base64."""
    data = b"".join(file.read_bytes() for file in sorted([path, *path.rglob("*")]) if file.is_file())
    assert SECRET not in data
    for shift in range(3):  # base64 of the secret, wherever it begins
        assert base64.b64encode(b"-" * shift + SECRET)[4:-4] not in data
    return data


def test_a_server_is_sent_pictures_of_the_folder_alone(images: Path, tmp_path: Path) -> None:
    questions = [question(key, image=name) for key, name in names(images).items()]
    asked, [note] = asked_questions([question("good", image="good.jpg"), *questions], None, images)
    assert [one.id for one in asked if one.id != "text"] == ["good"]
    assert note.startswith("5 questions are not asked") and note.isprintable()

    def script(body: Body, came: int) -> Act:
        return said("yes")

    ClosedSet((), {}, ()).save(tmp_path / "bench")
    with running(script) as server:
        found, _ = answer_benchmark_by_server(asked, settings(server.url), tmp_path / "bench", "m")
    [body] = server.seen
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    assert url == "data:image/jpeg;base64," + base64.b64encode((images / "good.jpg").read_bytes()).decode()
    assert found.new == 1 and len(found.skipped) == 1 and "text.jpg" in found.skipped[0]
    assert file_of(tmp_path / "bench", "m").exists()


def test_a_photo_is_a_picture_of_a_form_that_servers_take(images: Path) -> None:
    for name in ("text.jpg", "gone.jpg"):
        with pytest.raises(PosetalkError, match=name):
            ImagePart.of(images / name)
    photo = ImagePart.of(images / "good.jpg")
    (images / "good.jpg").write_bytes(SECRET)  # between the question and its answer
    with pytest.raises(PosetalkError, match="cannot be read as an image"):
        photo.url()
    for form, kind in (("PNG", "png"), ("BMP", "jpeg"), ("WEBP", "webp")):
        Image.new("RGB", (6, 5)).save(images / "any.dat", form)
        assert ImagePart.of(images / "any.dat").url().startswith(f"data:image/{kind};base64,")


def test_benchmarks_that_are_exported(images: Path, tmp_path: Path) -> None:
    bad = [question(key, image=name) for key, name in names(images).items()]
    questions = [question("good", image="good.jpg"), *bad]
    for run, out in ((export_vlmeval, tmp_path / "out.tsv"), (export_lmms, tmp_path / "task")):
        assert run(questions, images, out) == len(bad)
        held(out)
        with pytest.raises(PosetalkError, match="has no image of these questions"):
            run(bad, images, out)


def test_a_page_shows_pictures_of_the_folder_alone(images: Path) -> None:
    photos = Thumbnails(images)
    assert photos("good.jpg").startswith("<img")
    assert [photos(name) for name in names(images).values()] == [""] * len(BAD)
    assert len(photos.faults) == 1 and "text.jpg" in photos.faults[0]


TEXTS, TABLES = ("llava", "llama-factory", "swift"), ("parquet", "finevision")


@pytest.mark.parametrize(
    ("form", "given"), [(form, True) for form in TEXTS + TABLES] + [(form, False) for form in TEXTS]
)
def test_samples_that_are_exported(form: Any, given: bool, images: Path, tmp_path: Path) -> None:
    if form in TABLES:
        pytest.importorskip("pyarrow")
    lines = [
        Sample(key, i, name, "detail", (("What is there?", "A man."),), "facts").line()
        for i, (key, name) in enumerate({"good": "good.jpg", **names(images)}.items())
        if key not in ("text",)
    ]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    found = export_dataset(
        tmp_path / "samples.jsonl", tmp_path / "out", form, images=images if given else None
    )
    data = held(tmp_path / "out")
    assert b"good.jpg" in data and b"secret.jpg" not in data
    told = [sentence.split("sample ")[1].split(":")[0] for sentence in found.skipped]
    assert {"dots", "whole"} | ({"link", "long", "NUL"} if given else set()) == set(told)


def test_a_picture_that_cannot_be_decoded_costs_its_samples_alone(images: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    good = (images / "good.jpg").read_bytes()
    Image.effect_noise((80, 60), 90).save(images / "cut.jpg")
    (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:-900])
    Image.new("RGB", (9, 9)).save(images / "other.jpg", "TIFF")
    lines = [
        Sample(name, i, f"{name}.jpg", "detail", (("What?", "A man."),), "facts").line()
        for i, name in enumerate(("good", "cut", "other"))
    ]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    found = export_dataset(tmp_path / "samples.jsonl", tmp_path / "out", "parquet", images=images)
    assert len(found.skipped) == 1 and "sample cut: " in found.skipped[0]
    import pyarrow.parquet

    rows = [
        row
        for path in sorted((tmp_path / "out/data").iterdir())
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]
    kept = {row["id"]: row["images"][0]["bytes"] for row in rows}
    assert kept["good"] == good and kept["other"].startswith(b"\xff\xd8\xff")


def test_a_label_file_names_no_other_file(images: Path, tmp_path: Path) -> None:
    """`facts --draw` draws on the good picture alone."""
    from posetalk.cli import main

    points = [v for j in range(17) for v in (12 + j % 2, 6 + j, 2)]
    every = {"good": "good.jpg", **names(images)}
    whole = {
        "images": [
            {"id": i, "file_name": name} for i, name in enumerate(every.values()) if name != "text.jpg"
        ],
        "annotations": [
            {"id": i, "image_id": i, "bbox": [10, 4, 6, 22], "keypoints": points} for i in range(len(every))
        ],
    }
    (tmp_path / "labels.json").write_text(json.dumps(whole))
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "facts",
                str(tmp_path / "labels.json"),
                "--images",
                str(images),
                "--draw",
                str(tmp_path / "drawn"),
            ]
        )
    assert not stop.value.code
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["0.png"]
