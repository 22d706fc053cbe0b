"""Text of 100,000 characters, whatever it is, is read in well under a second; some of it used to take minutes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.llm.test_runner import accept, jobs
from tests.write.screening.test_screen import scene

import posetalk.llm.batch_files as batch
from posetalk.errors import PosetalkError
from posetalk.facts.claims import find_claims
from posetalk.llm.batch_files import read_batch, write_batch
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.llm.spoken import spoken
from posetalk.write.from_model.reply import parse, schema
from posetalk.write.samples.sample import KINDS, Sample, read_samples
from posetalk.write.screening.published import read_published
from posetalk.write.screening.screen import MOST, MOST_OF_ALL, faults_of

LONG, SECONDS = 100_000, 4.0  # a busy machine takes three times as long as one that is not
BITS = {
    "escaped quotes": '\\"', "single quotes": "'", "spaced quotes": " '", "quotes": '"', "brackets": "[", "braces": "{",
    "objects": '{"a": 1},', "nested": '{"a":', "label signs": "#", "labels": "Q:", "lines of labels": "Q: a\nA: b\n",
    "fences": "```\n", "whole fences": "```a\n{}\n```\n", "blanks": " ", "tabs": "\t", "lines": "\n", "rules": "=== ",
    "no": "no ", "numbers": "1.", "digits": "1", "commas": ", ", "backslashes": "\\", "colons": ":", "stops": ".",
    "clauses": "a;",
    "but": "but ", "given": "given ", "the": "the ", "friends": "not friends ", "standing": "standing ",
    "people": "person 1 stands ", "arms": "left arm is raised ", "his": "his own ", "marks": "</think>", "ends": "</s>",
    "thinking": "<think>", "channels": "<|channel|>final<|message|>", "letters": "a", "numbered": "1. a?\nb\n",
}  # fmt: skip
STARTS = ("", '{"answer": "', "{'answer': '", "[1, ")


def quick(read: Callable[[], Any]) -> None:
    begun = time.process_time()
    with contextlib.suppress(Rejected, PosetalkError):
        read()
    assert time.process_time() - begun < SECONDS


def text(name: str, length: int, start: str = "") -> str:
    return (start + BITS[name] * (length // len(BITS[name]) + 1))[:length]


@pytest.mark.parametrize("name", BITS)
def test_a_reply_is_read(name: str) -> None:
    for start in STARTS:
        reply = text(name, LONG, start)
        quick(lambda reply=reply: spoken(reply))  # type: ignore[misc]
        kind = KINDS[len(start) % 3]
        job = ChatRequest("1", 1, "1.jpg", kind, (), schema(kind, 5, "How?"))
        quick(lambda job=job, reply=reply: parse(job, reply))  # type: ignore[misc]


@pytest.mark.parametrize("name", BITS)
def test_claims_are_found(name: str) -> None:
    quick(lambda: find_claims(text(name, LONG)))


@pytest.mark.parametrize("name", BITS)
def test_a_sample_is_screened(name: str) -> None:
    said = text(name, MOST)  # as long as is looked at at all
    one = Sample("1", 1, "1.jpg", "detail", ((said, said),), "m")
    quick(lambda: faults_of(one, scene({}), "some orders of a prompt", ["A man stands."]))
    longer = Sample("1", 1, "1.jpg", "detail", (("What is there?", said + "x"),), "m")
    assert [fault.reason for fault in faults_of(longer, scene({}))] == ["length"]
    many = Sample("1", 1, "1.jpg", "conversation", (("What is there?", said),) * 9, "m")
    assert len(said) * 9 > MOST_OF_ALL
    assert [fault.reason for fault in faults_of(many, scene({}))] == ["length"]


def test_files_are_read(tmp_path: Path) -> None:
    replies = [text(name, LONG) for name in BITS]
    rows = [
        {"id": f"{n}-detail", "image_id": n, "image": "a", "kind": "detail", "writer": "m", "turns": [["Q?", said]]}
        for n, said in enumerate(replies)
    ]  # fmt: skip
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    quick(lambda: list(read_samples(tmp_path / "samples.jsonl")))
    published = [{"image_id": n, "completion": said} for n, said in enumerate(replies)]
    (tmp_path / "theirs.json").write_text(json.dumps(published))
    begun = time.process_time()
    list(read_published(tmp_path / "theirs.json", []))
    assert time.process_time() - begun < 8 * SECONDS


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "line", [DEEP, '{"id":' + DEEP, "9" * 9000, '{"kind": "detail", "turns": [[1e999, 2]]}']
)
def test_a_line_that_is_no_sample_is_one_sentence(line: str, tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(line + "\n")
    with pytest.raises(PosetalkError, match=r"samples.jsonl, line 1: "):
        list(read_samples(tmp_path / "samples.jsonl"))


def test_an_endless_number_of_a_picture_is_one_sentence(tmp_path: Path) -> None:
    said = [
        {"from": "human", "value": "What is there?"},
        {"from": "gpt", "value": "A man stands."},
    ]
    rows = [{"id": name, "image": "a.jpg", "conversations": said} for name in ("9" * 9000, "12")]
    (tmp_path / "theirs.json").write_text(json.dumps(rows))
    skipped: list[str] = []
    assert [one.image_id for one in read_published(tmp_path / "theirs.json", skipped)] == [12]
    assert len(skipped) == 1 and "has 9,000 digits" in skipped[0]


def test_lines_of_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_BYTES", 100_000)
    given = ServerSettings(model="m", base_url="http://localhost:1/v1")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        [file] = write_batch(jobs(6), ledger, given, accept, tmp_path / "batch.jsonl")
        keys = [json.loads(line)["custom_id"] for line in file.read_text().splitlines()]
        half = f'{{"custom_id": "{keys[0]}", "error": {{"message": "half \\ud800 a [/red] pair"}}}}'
        deep = f'{{"custom_id": "{keys[1]}", "error": ' + '{"message":' * 300 + "1" + "}" * 300 + "}"
        body = {"choices": [{"message": {"content": "fine"}}]}
        whole = json.dumps({"custom_id": keys[2], "response": {"status_code": 200, "body": body}})
        long = json.dumps({"custom_id": keys[3], "response": {"body": "x" * 250_000}})
        stranger = json.dumps({"custom_id": keys[4], "response": {"status_code": {"a": 1}}})
        lines = [half, deep, DEEP, long, stranger, '{"custom_id": "\\ud800"}', "9" * 9000, whole]
        (tmp_path / "back.jsonl").write_text("\n".join(lines))
        report = read_batch(tmp_path / "back.jsonl", ledger)
        assert (report.answered, report.failed) == (1, 2) and report.unreadable == len(lines) - 3
        row = ledger.row(keys[0])
        assert row and row.reason.endswith("half ? a [/red] pair")
