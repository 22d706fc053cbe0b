"""Batches: what is written is the interface's, and whatever comes back is counted and lost on nobody."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm.server import Body, asked, echo, running, said
from tests.llm.test_runner import accept, jobs, settings

import posetalk.llm.batch_files as batch
from posetalk.errors import PosetalkError
from posetalk.llm.batch_files import read_batch, write_batch
from posetalk.llm.client import ServerSettings, request_key
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request_state import results
from posetalk.llm.runner import generate

SETTINGS = ServerSettings(model="m", base_url="http://localhost:1/v1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as found:
        yield found


def lines(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def result(row: dict[str, Any], n: int = 0, script: Any = echo) -> dict[str, Any]:
    """What a batch gives back for a line."""
    body = json.loads(script(row["body"], n).body)
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": row["custom_id"], "response": response, "error": None}


def put(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_line_is_what_a_server_is_asked(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "batch.jsonl"
    assert write_batch(jobs(5), ledger, SETTINGS, accept, out) == [out]
    assert not list(tmp_path.glob("*.part"))
    with running(echo) as server, Ledger(tmp_path / "other.sqlite") as other:
        generate(jobs(5), other, settings(server), accept)
        bodies = sorted(server.seen, key=asked)
    for row, body, job in zip(lines(out), bodies, jobs(5), strict=True):
        given = {"method": "POST", "url": "/v1/chat/completions", "body": body}
        assert row == {"custom_id": request_key(job, SETTINGS), **given}


def test_results_in_any_order_with_all_that_may_go_wrong(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "batch.jsonl"
    write_batch(jobs(12), ledger, SETTINGS, accept, out)
    rows = lines(out)
    back: list[Any] = [result(row) for row in rows[:7]]
    back.append(result(rows[0], script=lambda *_: said("another answer")))  # twice
    bad = {"status_code": 429, "body": {"error": {"message": "too many"}}}
    back.append({"custom_id": rows[7]["custom_id"], "response": bad, "error": None})
    expired = {"code": "batch_expired", "message": "This request could not be executed in time"}
    back.append({"custom_id": rows[8]["custom_id"], "response": None, "error": expired})
    back.append(
        {"custom_id": rows[9]["custom_id"], "response": {"status_code": 200, "body": {"choices": []}}}
    )
    back.append(result({"custom_id": "f" * 64, "body": rows[0]["body"]}))  # another ledger's
    back += ["half a li", "[]", '{"custom_id": 3}', '{"custom_id": "x", "response": 5}', "17", ""]
    first, rest = back[:1], back[1:]
    random.Random(0).shuffle(rest)
    report = read_batch(put(tmp_path / "out.jsonl", first + rest), ledger, Price(10_000, 0))
    assert (report.answered, report.known, report.failed, report.foreign) == (7, 1, 3, 1)
    assert report.unreadable == 5 and report.waiting == 2  # 10 and 11 are missing
    assert ledger.totals().dollars == pytest.approx(7)
    found = [outcome for _, outcome in results(jobs(12), ledger, SETTINGS, accept)]
    assert [o.reply for o in found[:7]] == [f"on picture {n}" for n in range(7)]
    assert [o.failure for o in found[7:]] == [
        "failed in the batch: the server answered 429: too many",
        "failed in the batch: the server answered 200: This request could not be executed in time",
        "unusable answer: what the server sent is no chat completion",
        "not asked yet",
        "not asked yet",
    ]
    # the same file again changes nothing
    again = read_batch(tmp_path / "out.jsonl", ledger)
    assert again.answered == 0 and again.known == 8 and ledger.totals().answers == 7
    for words in ("7 new answers", "1 known before", "3 errors", "1 of other ledgers", "5 unreadable lines"):
        assert words in str(report)


def test_a_batch_is_asked_anew_until_all_is_accepted(ledger: Ledger, tmp_path: Path) -> None:
    def script(body: Body, _: int) -> Any:
        return said("bad") if len(body["messages"]) == 2 and asked(body) % 2 else echo(body, 0)

    out, sizes = tmp_path / "batch.jsonl", []
    while write_batch(jobs(10), ledger, SETTINGS, accept, out):
        sizes.append(len(lines(out)))
        read_batch(put(tmp_path / "back.jsonl", [result(r, script=script) for r in lines(out)]), ledger)
    assert sizes == [10, 5]
    assert all(outcome.turns for _, outcome in results(jobs(10), ledger, SETTINGS, accept))


def test_a_run_is_continued_with_either_writer(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "batch.jsonl"
    with running(echo) as server:
        given = settings(server)
        generate(jobs(4), ledger, given, accept)
        write_batch(jobs(10), ledger, given, accept, out)
        assert len(lines(out)) == 6
        read_batch(put(tmp_path / "back.jsonl", [result(row) for row in lines(out)[:3]]), ledger)
        assert generate(jobs(10), ledger, given, accept).done == 10
        assert len(server.seen) == 4 + 3
    assert write_batch(jobs(10), ledger, given, accept, tmp_path / "none.jsonl") == []
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILE_LINES", 4), ("MAX_FILE_BYTES", 1700)])
def test_no_file_is_larger_than_a_batch_may_be(
    limit: str, value: int, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, limit, value)
    files = write_batch(jobs(11), ledger, SETTINGS, accept, tmp_path / "batch.jsonl")
    assert [file.name for file in files] == ["batch.jsonl", "batch-2.jsonl", "batch-3.jsonl"]
    assert [len(lines(file)) for file in files] == [4, 4, 3]
    assert [row["custom_id"] for row in lines(*files)] == [request_key(job, SETTINGS) for job in jobs(11)]
    assert max(file.stat().st_size for file in files) <= 1700


def test_jobs_with_the_same_words_are_one_line(ledger: Ledger, tmp_path: Path) -> None:
    twins = [*jobs(2), *jobs(2)]
    assert len(lines(*write_batch(twins, ledger, SETTINGS, accept, tmp_path / "batch.jsonl"))) == 2


def test_files_that_cannot_be_opened_are_one_sentence(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PosetalkError, match="cannot write"):
        write_batch(jobs(2), ledger, SETTINGS, accept, tmp_path / "file" / "batch.jsonl")
    with pytest.raises(PosetalkError, match="cannot read"):
        read_batch(tmp_path / "none.jsonl", ledger)
    (tmp_path / "picture").write_bytes(bytes(range(256)) * 9)
    assert read_batch(tmp_path / "picture", ledger).unreadable > 0


NAMES = [
    *("custom_id", "response", "body", "status_code", "error", "choices", "message", "content", "usage"),
    *("prompt_tokens", "completion_tokens", "finish_reason", "refusal"),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@hypothesis.settings(max_examples=50, deadline=None)  # each opens a ledger
@given(st.lists(values | st.fixed_dictionaries({"custom_id": st.just("k"), "response": values}), max_size=5))
def test_no_line_ends_a_reading(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("batch")
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.set_state([("k", "j")], "waiting")
        report = read_batch(put(folder / "back.jsonl", [json.dumps(row) for row in rows]), ledger)
        counted = report.answered + report.known + report.failed + report.foreign + report.unreadable
        assert counted == len(rows)
        assert ledger.totals().answers == report.answered


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, {"error": {"code": 402, "message": "no credit"}}, "402: no credit"),
        (200, {"error": "odd"}, "with an error: odd"),
        (200, {"choices": [{"error": {"code": 502, "message": "died"}}]}, "502: died"),
        (
            200,
            {"choices": [{"finish_reason": "error", "message": {"content": "half"}}]},
            "with an error: the model's server failed",
        ),
        (401, {"error": {"message": "no: sk-ab*****yz12."}}, "401: no: ***"),
        (403, {"error": {"message": "not here"}}, "403: not here"),
    ],
)  # fmt: skip
def test_an_error_in_a_result_is_said(
    status: int, body: Any, words: str, ledger: Ledger, tmp_path: Path
) -> None:
    [row] = lines(*write_batch(jobs(1), ledger, SETTINGS, accept, tmp_path / "batch.jsonl"))
    line = {"custom_id": row["custom_id"], "response": {"status_code": status, "body": body}}
    report = read_batch(put(tmp_path / "back.jsonl", [line]), ledger)
    assert report.failed == 1 and report.first == f"line 1: the server answered {words}"
    [(_, outcome)] = results(jobs(1), ledger, SETTINGS, accept)
    assert outcome.failure == f"failed in the batch: the server answered {words}"
