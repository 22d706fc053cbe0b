"""Answers: all, once, whatever dies in between; by a tiny LLaVA, and by a real server that is sent the photos."""

from __future__ import annotations

import base64
import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from tests.bench.desk import PICTURES, asked_in, bench, settings
from tests.llm.server import Act, Body, error, running, said

from posetalk.bench.answers.answer import (
    CLOSED_MAX_TOKENS,
    OPEN_MAX_TOKENS,
    answer_here,
    file_of,
    known_answers,
)
from posetalk.bench.answers.review import read_answers
from posetalk.bench.answers.run import answer_benchmark_by_server, load_questions
from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.model.fingerprint import weights_fingerprint

ALL = 6 * PICTURES  # three closed and three open questions each


class Voice:
    """A model that answers with what it saw, and is struck dead at some call. said: all that it was asked."""

    def __init__(self, dies_at: int = -1) -> None:
        self.calls: list[list[tuple[Path, str, int]]] = []
        self.dies_at = dies_at

    def __call__(self, some: Sequence[tuple[Path, str]], words: int) -> list[str]:
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append([(photo, text, words) for photo, text in some])
        return [f"{photo.name}: {text} \ud800\n" for photo, text in some]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bench(tmp_path)


def test_every_question_is_answered_in_batches_of_like_length(folder: Path) -> None:
    voice, path = Voice(), folder / "answers/m.jsonl"
    found = answer_here(asked_in(folder), voice, path, "m", batch_size=7)
    assert (found.new, found.known, found.skipped) == (ALL, 0, [])
    kept = read_answers(path)
    assert len(kept) == ALL and len({answer.id for answer in kept.values()}) == ALL
    for one in asked_in(folder):
        assert kept[one.id].text.startswith(f"{one.image.name}: {one.prompt}")
        assert kept[one.id].prompt == one.prompt and kept[one.id].model == "m"
    assert all(len({words for *_, words in call}) == 1 and len(call) <= 7 for call in voice.calls)
    assert Counter(words for call in voice.calls for *_, words in call) == {
        CLOSED_MAX_TOKENS: ALL // 2, OPEN_MAX_TOKENS: ALL // 2
    }  # fmt: skip
    lengths = [len(text) for call in voice.calls for _, text, words in call if words == OPEN_MAX_TOKENS]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("dies_at", [0, 1, 4, 5])
def test_stopped_and_resumed_nothing_is_asked_twice(folder: Path, dies_at: int) -> None:
    path, whole = folder / "answers/m.jsonl", folder / "answers/whole.jsonl"
    answer_here(asked_in(folder), Voice(), whole, "m")
    voice, rest = Voice(dies_at), Voice()
    with pytest.raises(KeyboardInterrupt):
        answer_here(asked_in(folder), voice, path, "m")
    found = answer_here(asked_in(folder), rest, path, "m")
    assert found.new + found.known == ALL and found.known == sum(map(len, voice.calls))
    assert path.read_text() == whole.read_text()
    assert answer_here(asked_in(folder), Voice(0), path, "m").known == ALL


def test_half_a_line_is_cut_off_wherever_it_ends(folder: Path) -> None:
    path = folder / "answers/m.jsonl"
    answer_here(asked_in(folder), Voice(), path, "m")
    whole = path.read_bytes()
    for end in [0, 1, 5, 100, len(whole) // 2, len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:end])
        known = known_answers(path, "m", asked_in(folder))
        assert len(known) == whole[:end].count(b"\n")
        answer_here(asked_in(folder), Voice(), path, "m")
        assert path.read_bytes() == whole


def test_a_spoilt_photo_costs_its_own_questions_alone(folder: Path, llava: Path) -> None:
    from posetalk.tune.chat import Chat

    (folder / "photos/3.jpg").write_bytes(b"no photo")
    chat = Chat.from_pretrained(llava)
    closed = [one for one in asked_in(folder) if one.max_tokens == CLOSED_MAX_TOKENS]
    found = answer_here(closed, chat.answer, folder / "answers/m.jsonl", "m")
    assert found.new == len(closed) - 3 and len(found.skipped) == 3
    assert all(line.startswith("3-") and "3.jpg" in line for line in found.skipped)
    alone = {one.id: chat.answer([(one.image, one.prompt)], CLOSED_MAX_TOKENS)[0] for one in closed[:4]}
    kept = read_answers(folder / "answers/m.jsonl")
    assert all(kept[name].text == text for name, text in alone.items() if name in kept)


def test_answers_are_about_the_photo_that_is_there(folder: Path) -> None:
    path, asked = folder / "answers/m.jsonl", asked_in(folder)
    answer_here(asked, Voice(), path, "m")
    photo = next(one.image for one in asked if one.image.name == "3.jpg")
    before = photo.read_bytes()
    photo.write_bytes(before[:-9] + bytes(9))
    with pytest.raises(PosetalkError, match=r"has answers about another image than .*3\.jpg is now"):
        answer_here(asked, Voice(), path, "m")
    photo.write_bytes(before)
    assert answer_here(asked, Voice(), path, "m").known == ALL


def test_other_answers_are_not_gone_on_with(folder: Path, llava: Path, tmp_path: Path) -> None:
    path, asked = folder / "answers/m.jsonl", asked_in(folder)
    mark = weights_fingerprint(llava)
    assert (
        len(mark) == 16
        and mark == weights_fingerprint(llava)
        and weights_fingerprint(tmp_path / "none") == ""
    )
    answer_here(asked, Voice(), path, "m", weights=mark)
    with pytest.raises(PosetalkError, match="has answers of m, not of n; give the model another name"):
        answer_here(asked, Voice(), path, "n", weights=mark)
    weights = llava / "model.safetensors"
    before = weights.read_bytes()
    try:
        weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert weights_fingerprint(llava) != mark
    finally:
        weights.write_bytes(before)
    with pytest.raises(PosetalkError, match="answers of another model of the name m"):
        answer_here(asked, Voice(), path, "m", weights="other")
    path.write_text(path.read_text().replace("Is arm 0 of 0", "Is leg 0 of 0", 1))
    with pytest.raises(PosetalkError, match="as it read before the benchmark was built anew"):
        answer_here(asked, Voice(), path, "m", weights=mark)


def test_a_limit_takes_whole_pictures_of_open_questions(folder: Path) -> None:
    found, notes = load_questions(folder / "bench", folder / "photos", limit=6)
    assert not notes and Counter(one.max_tokens for one in found) == {
        CLOSED_MAX_TOKENS: 6,
        OPEN_MAX_TOKENS: 6,
    }
    assert len({one.image for one in found if one.max_tokens == OPEN_MAX_TOKENS}) == 2
    more, _ = load_questions(folder / "bench", folder / "photos", limit=12)
    assert {one.id for one in found} < {one.id for one in more}
    (folder / "photos/0.jpg").unlink()
    rest, [said_] = load_questions(folder / "bench", folder / "photos")
    assert len(rest) == ALL - 6 and said_.startswith("6 questions are not asked") and "0.jpg" in said_


def sees(body: Body, came: int) -> Act:
    """The question once more, and the width of the photo that came with it."""
    image, words = body["messages"][0]["content"]
    head, data = image["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64" and "response_format" not in body
    width = Image.open(io.BytesIO(base64.b64decode(data))).width
    name = words["text"].split("\n")[0]
    if "7-" in name and came < 2:
        return error(503)
    if "6-detail" in name:
        return said("", "stop")
    if "6-complex" in name:
        return said(None, refusal="I do not speak of people.")
    if "5-complex" in name:
        return error(400, "too much")
    return said(f"{width} {words['text']}", "length" if "5-" in name else "stop")


def test_a_server_sees_the_photo(folder: Path) -> None:
    asked, path = asked_in(folder), file_of(folder / "bench", "org/model v1")
    assert path.name == "org_model_v1.jsonl"
    with running(sees) as server:
        found, report = answer_benchmark_by_server(
            asked, settings(server.url), folder / "bench", "org/model v1"
        )
        again, _ = answer_benchmark_by_server(asked, settings(server.url), folder / "bench", "org/model v1")
        before = path.read_text()
        path.unlink()
        answer_benchmark_by_server(asked, settings(server.url), folder / "bench", "org/model v1")
    assert path.read_text() == before and (again.known, again.new) == (ALL - 1, 0)
    assert (
        found.new == ALL - 1
        and len(found.skipped) == 1
        and found.skipped[0].startswith("5-complex: refused with 400")
    )
    kept = read_answers(path)
    for one in asked:
        if one.id not in (
            "6-detail",
            "6-complex",
            "5-complex",
        ):  # 5-conv, 5-detail were cut off, and are there
            assert kept[one.id].text == f"{60 + int(one.image.stem)} {one.prompt}"
    assert kept["6-detail"].text == "" and kept["6-complex"].text == "I do not speak of people."
    assert report.totals.answers == ALL - 1 and {body["max_tokens"] for body in server.seen} == {
        CLOSED_MAX_TOKENS,
        OPEN_MAX_TOKENS,
    }


def test_what_a_dying_server_answered_is_in_the_file(folder: Path) -> None:
    def script(body: Body, came: int) -> Act:
        return (
            error(401, "no") if "What of 7" in body["messages"][0]["content"][1]["text"] else sees(body, came)
        )

    with running(script) as server, pytest.raises(PosetalkError, match="refuses the key"):
        asked = sorted(asked_in(folder), key=lambda one: one.image)  # the last ones are refused
        answer_benchmark_by_server(asked, settings(server.url, concurrency=1), folder / "bench", "m")
    kept = read_answers(folder / "bench/answers/m.jsonl")
    assert len(kept) == server.paid.total() and 0 < len(kept) < ALL


def test_another_model_of_a_server_does_not_go_on_under_the_same_name(folder: Path) -> None:
    asked = asked_in(folder)
    with running(sees) as server:
        answer_benchmark_by_server(asked, settings(server.url), folder / "bench", "mine")
        before = (folder / "bench/answers/mine.jsonl").read_bytes()
        with pytest.raises(PosetalkError, match="another model of the name mine"):
            answer_benchmark_by_server(asked, settings(server.url, model="other"), folder / "bench", "mine")
    assert (folder / "bench/answers/mine.jsonl").read_bytes() == before


def test_killed_a_tiny_llava_goes_on_where_it_was(folder: Path, llava: Path, tmp_path: Path) -> None:
    """SIGKILL after some batches; the same command ends like one that was left alone."""

    def words(name: str) -> list[str]:
        return [
            "bench", "answer", str(folder / "bench"), "--images", str(folder / "photos"), "--model", str(llava),
            "--name", name, "--batch-size", "2", "--only", "closed",
        ]  # fmt: skip

    path, whole = (folder / "bench" / "answers" / f"{name}.jsonl" for name in ("killed", "whole"))
    process = subprocess.Popen(
        [sys.executable, "-m", "posetalk", *words("killed")], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 90
    while not (path.exists() and path.read_bytes().count(b"\n") >= 4):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = path.read_bytes().count(b"\n")
    assert 4 <= done < ALL // 2
    with path.open("ab") as file:
        file.write(b'{"question_id": "7-')  # half a line
    for name in ("killed", "whole"):
        with pytest.raises(SystemExit, match="0"):
            main(words(name))

    def texts(path: Path) -> list[tuple[str, str]]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [(row["question_id"], row["text"]) for row in rows]

    assert len(texts(whole)) == ALL // 2 and texts(path) == texts(whole)
