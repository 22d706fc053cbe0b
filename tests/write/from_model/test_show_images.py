"""Writers that see: the photo goes with the last question, is made small, and is part of what an answer hangs on."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.llm.server import Body, running
from tests.write.test_run import details_from, ends, rejected, reply, samples

from posetalk.llm.client import ServerSettings, prompt_tokens, request_key
from posetalk.llm.request import ChatRequest, ImagePart
from posetalk.write.from_model.recipe import seeing


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of the four labelled pictures, twice as large as the labels say."""
    folder = tmp_path / "photos"
    (folder / "part").mkdir(parents=True)
    for number in range(1, 5):
        Image.new("RGB", (1600, 1200), (60 * number, 90, 120)).save(folder / "part" / f"{number}.jpg")
    return folder


def asking(words: list[str], url: str, photos: Path, *more: str) -> list[str]:
    return [*words, *details_from(url), "--images", str(photos), *more]


def pictures(body: Body) -> list[tuple[int, Any]]:
    """Numbers of the messages that hold an image, and the image."""
    found = []
    for number, message in enumerate(body["messages"]):
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                head, data = part["image_url"]["url"].split(",")
                assert head == "data:image/jpeg;base64"
                found.append((number, Image.open(io.BytesIO(base64.b64decode(data)))))
    return found


def test_the_photo_goes_with_the_real_question_and_is_made_small(
    words: list[str], photos: Path, tmp_path: Path
) -> None:
    with running(reply) as server:
        assert ends(asking(words, server.url, photos, "--show-images", "--image-side", "320")) == 0
        seen = list(server.seen)
        assert ends(asking(words, server.url, photos, "--show-images", "--image-side", "320")) == 0
        assert len(server.seen) == len(seen)  # answers are found again
    assert {sample.image_id for sample in samples(tmp_path / "out")} == {1, 3, 4}
    for body in seen:
        ((at, image),) = pictures(body)
        first = [n for n, message in enumerate(body["messages"]) if message["role"] == "user"]
        assert first[0] < at and image.size == (320, 240)  # the example before it has no photo
        text = str(body["messages"][at]["content"][1]["text"])
        number = next(n for n in range(1, 5) if f"number {n}" in text)
        assert abs(image.getpixel((9, 9))[0] - 60 * number) < 4
        assert body["messages"][0]["content"].endswith(seeing())
    feedback = [body for body in seen if "That cannot be used" in str(body["messages"][-1])]
    assert feedback and all(pictures(body)[0][0] < len(body["messages"]) - 2 for body in feedback)


def test_without_the_option_nothing_is_sent(words: list[str], photos: Path) -> None:
    with running(reply) as server:
        assert ends(asking(words, server.url, photos)) == 0
        assert not any(pictures(body) for body in server.seen)
        assert seeing() not in str(server.seen[0]["messages"][0]["content"])


def test_a_missing_photo_is_told_and_a_damaged_one_fails_alone(
    words: list[str], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "part" / "1.jpg").unlink()
    whole = (photos / "part" / "3.jpg").read_bytes()
    (photos / "part" / "3.jpg").write_bytes(whole[: len(whole) // 2])
    with running(reply) as server:
        assert ends(asking(words, server.url, photos, "--show-images")) == 0
    assert {sample.image_id for sample in samples(tmp_path / "out")} == {4}
    assert rejected(tmp_path / "out")["3-detail"] == ["failed"]
    told = " ".join(capsys.readouterr().err.split())
    assert "nothing is asked about part/1.jpg: there is no image" in told


def test_batch_files_hold_the_photos(words: list[str], photos: Path, tmp_path: Path) -> None:
    (photos / "part" / "2.jpg").write_bytes((photos / "part" / "2.jpg").read_bytes()[:3000])
    batch = [
        "--writer",
        "batch",
        "--model",
        "m",
        "--kinds",
        "detail",
        "--images",
        str(photos),
        "--show-images",
    ]
    assert ends([*words, *batch]) == 0
    lines = (tmp_path / "out" / "requests.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert all(pictures(json.loads(line)["body"])[0][1].size == (1024, 768) for line in lines)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--writer", "openai", "--model", "m", "--show-images"], "give --images"),
        (["--images", "{photos}", "--show-images"], "--writer openai or batch"),
        (["--images", "{photos}", "--writer", "openai", "--model", "m", "--base-url", "http://127.0.0.1:9/v1",
          "--show-images", "--recipe", "paper"], "the recipe grounded"),
        (["--images", "{photos}", "--writer", "openai", "--model", "m", "--show-images", "--image-side", "9"],
         "greater than or equal to 64"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_told(
    words: list[str], photos: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends([*words, *(word.format(photos=photos) for word in more)]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def request(part: ImagePart | None) -> ChatRequest:
    return ChatRequest("1", 1, "a", "detail", ({"role": "user", "content": "x" * 400},), {}, image_part=part)


def test_what_an_answer_hangs_on_and_what_it_costs(photos: Path) -> None:
    settings, photo = ServerSettings(model="m"), photos / "part" / "1.jpg"
    parts = [
        None,
        *(ImagePart.of(photo, side) for side in (None, 1600, 560)),
        ImagePart.of(photos / "part" / "2.jpg"),
    ]
    assert len({request_key(request(part), settings) for part in parts}) == len(parts)
    tokens = [prompt_tokens(request(part)) - 100 for part in parts]
    assert tokens == [0, 58 * 43, 58 * 43, 20 * 15, 58 * 43]  # squares of 28 px of what is sent
