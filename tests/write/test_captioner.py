"""Captions by a model that sees: one a photo, only where people wrote none, and none is paid twice."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from tests.llm.server import Act, Body, error, running, said

from posetalk.errors import PosetalkError
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import is_predicted
from posetalk.llm.client import ServerSettings
from posetalk.llm.pricing import Price
from posetalk.write.captioner import caption_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `label_images` leaves of three photos, of which people wrote about one."""
    rows = []
    for number in (1, 2, 3):
        Image.new("RGB", (1600, 1200), (60 * number, 90, 120)).save(tmp_path / f"{number}.jpg")
        rows.append({"id": number, "file_name": f"{number}.jpg", "width": 1600, "height": 1200})
    (tmp_path / "labels.json").write_text(json.dumps({"images": rows, "annotations": []}))
    people = {"images": rows, "annotations": [{"id": 1, "image_id": 2, "caption": "A man waves."}]}
    (tmp_path / "captions.json").write_text(json.dumps(people))
    return tmp_path


def paths(folder: Path) -> dict[int, Path]:
    return {number: folder / f"{number}.jpg" for number in (1, 2, 3)}


def seen(body: Body) -> int:
    """Which photo a request shows, by its colour."""
    data = body["messages"][0]["content"][0]["image_url"]["url"].split(",")[1]
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert max(image.size) == 1024
    return round(image.getpixel((9, 9))[0] / 60)  # type: ignore[index]


def replies(body: Body, times: int) -> Act:
    if seen(body) == 3 and len(body["messages"]) == 1:
        return said("word " * 90)  # asked anew with the reason
    return said(f' Caption: "A woman rides\n a bike number {seen(body)}." ')


def test_photos_without_captions_are_captioned_once(folder: Path) -> None:
    with running(replies) as server:
        settings = ServerSettings(model="m", base_url=server.url)
        for _ in range(2):
            result = caption_images(folder, paths(folder), settings, Price(1.0, 2.0))
            assert (result.captions, result.written, result.skipped) == (3, 2, ())
            assert len(server.seen) == 3  # one for photo 1, two for photo 3; none in the second run
    assert result.run_report.totals.dollars > 0
    captions, skipped = read_captions(folder / "captions.json")
    assert not skipped and captions == {
        1: ("A woman rides a bike number 1.",),
        2: ("A man waves.",),
        3: ("A woman rides a bike number 3.",),
    }
    records = json.loads((folder / "captions.json").read_text())["annotations"]
    assert {r["image_id"]: r.get("model") for r in records} == {1: "m", 2: None, 3: "m"}
    assert is_predicted(folder / "captions.json")


def test_what_was_answered_is_kept_when_the_server_refuses(folder: Path) -> None:
    def refuses(body: Body, times: int) -> Act:
        return replies(body, times) if seen(body) == 1 else error(401, delay=0.5)

    with running(refuses) as server:
        settings = ServerSettings(model="m", base_url=server.url, concurrency=1)
        with pytest.raises(PosetalkError, match="refuses the key"):
            caption_images(folder, paths(folder), settings)
    assert set(read_captions(folder / "captions.json")[0]) == {1, 2}
    (folder / "captions.sqlite").unlink()
    with pytest.raises(PosetalkError, match=r"captions\.sqlite.*is gone"):
        caption_images(folder, paths(folder), settings)


def test_a_photo_that_is_gone_is_told(folder: Path) -> None:
    (folder / "1.jpg").unlink()
    with running(replies) as server:
        result = caption_images(folder, paths(folder), ServerSettings(model="m", base_url=server.url))
    assert result.written == 1 and "nothing is asked about 1.jpg" in result.skipped[0]
