"""What is in the ledger stays there, is asked by one process, and is keyed by what shapes an answer."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.llm.answer import Completion
from posetalk.llm.client import ServerSettings, request_key
from posetalk.llm.fault import Fault
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest

ANSWER = Completion("a reply", "whole", 10, 5, True)


def job(number: int = 0, **more: Any) -> ChatRequest:
    found = ChatRequest(
        f"{number}-detail",
        number,
        f"{number}.jpg",
        "detail",
        ({"role": "user", "content": f"ask {number}"},),
        {},
    )
    return dataclasses.replace(found, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_an_answer_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.set_state([("k", "1-detail")], "asked")
        assert ledger.answer([("k", "1-detail", ANSWER, 0.25)]) == 1
        ledger.judge("k", (("Question?", "Answer."),))
    with Ledger(path) as ledger:
        row = ledger.row("k")
        assert row and (row.request_id, row.state, row.answer) == ("1-detail", "answered", ANSWER)
        assert row.verdict == (("Question?", "Answer."),) and ledger.in_flight == 0
        assert dataclasses.astuple(ledger.totals()) == (1, 10, 5, 0, 0.25)
        assert ledger.row("other") is None


def test_the_first_answer_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        second = dataclasses.replace(ANSWER, reply="another")
        assert ledger.answer([("k", "j", ANSWER, 1), ("k", "j", second, 1)]) == 1
        ledger.set_state([("k", "j")], "asked")
        ledger.fail("k", "late")
        row = ledger.row("k")
        assert row and row.state == "answered" and row.answer == ANSWER


def test_failed_requests_keep_their_reason_until_they_are_asked_again(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.set_state([("k", "j")], "asked")
        ledger.fail("k", "error 500: no")
        row = ledger.row("k")
        assert row and (row.state, row.reason) == ("failed", "error 500: no")
        ledger.set_state([("k", "j")], "asked")
        row = ledger.row("k")
        assert row and (row.state, row.reason) == ("asked", "")


def test_what_was_in_flight_at_a_death_waits(path: Path) -> None:
    code = (
        "import sys, os, signal; from posetalk.llm.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1]); ledger.set_state([('a', 'j'), ('b', 'j')], 'asked')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    with Ledger(path) as ledger:
        assert ledger.in_flight == 2
        assert [row.state for row in map(ledger.row, "ab") if row] == ["waiting", "waiting"]


def test_faults_come_back_as_they_were_and_verdicts_of_other_rules_are_forgotten(path: Path) -> None:
    with Ledger(path) as ledger:
        faults = (Fault("leak", 'it says "keypoint"'), Fault("length", "too short"))
        ledger.judge_by("old")
        ledger.answer([("k", "j", ANSWER, 0)])
        ledger.judge("k", faults)
    with Ledger(path) as ledger:
        ledger.judge_by("old")
        row = ledger.row("k")
        assert row and row.verdict == faults
        ledger.judge_by("new")
        row = ledger.row("k")
        assert row and row.verdict is None and row.answer == ANSWER


def test_an_answer_is_synced_to_the_disk_and_a_verdict_need_not_be(path: Path) -> None:
    with Ledger(path) as ledger:
        synchronous = lambda: ledger._db.execute("PRAGMA synchronous").fetchone()[0]  # noqa: E731
        during = []
        ledger._db.set_trace_callback(lambda sql: during.append(sql.split()[0]))
        ledger.answer([("k", "j", ANSWER, 0)])
        assert synchronous() == 2 and "COMMIT" in during  # FULL: the log is synced at each commit
        ledger.judge("k", (("q", "a"),))
        assert synchronous() == 1
        assert ledger._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_many_at_once_are_one_transaction(path: Path) -> None:
    with Ledger(path) as ledger:
        seen: list[str] = []
        ledger.answer([(str(n), "j", ANSWER, 0) for n in range(9)])
        ledger._db.set_trace_callback(seen.append)
        with ledger.transaction():
            for n in range(9):
                ledger.judge(str(n), (("q", "a"),))
        assert seen.count("COMMIT") == 1


def test_a_second_process_is_told_and_the_first_is_not_disturbed(path: Path) -> None:
    code = (
        "import sys; from posetalk.errors import PosetalkError; from posetalk.llm.ledger import Ledger\n"
        "try: Ledger(sys.argv[1])\nexcept PosetalkError as error: print(error)"
    )
    with Ledger(path) as ledger:
        ledger.set_state([("a", "j")], "asked")
        found = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        assert (
            found.stdout
            == f"{path} is in use by another run; wait until it has ended, or choose another ledger\n"
        )
        ledger.answer([("a", "j", ANSWER, 0)])
    with Ledger(path) as ledger:
        assert ledger.totals().answers == 1


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as sql:
        sql.execute("CREATE TABLE requests (a)")
    sql.close()


def _newer(path: Path) -> None:
    Ledger(path).__exit__()
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA user_version = 99")
    sql.close()


def _torn(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.answer([(f"{n}", "j", dataclasses.replace(ANSWER, reply="x" * 3000), 0) for n in range(200)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\x55" * 20_000
    path.write_bytes(content)


BAD = [
    (lambda path: path.write_text("a diary, and no database at all\n" * 99), "is damaged, or no ledger"),
    (_foreign, "is another program's database"),
    (_newer, "is a ledger of another version"),
    (_torn, "is damaged"),
    (lambda path: path.mkdir(), "cannot be used"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD, ids=[words for _, words in BAD])
def test_a_file_that_is_no_sound_ledger_is_one_sentence(path: Path, spoil: Any, words: str) -> None:
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(PosetalkError, match=words) as caught:
        Ledger(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not path.is_file() or path.read_bytes() == before  # another's file is left as it is


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="cannot be used"):
        Ledger(tmp_path / "none" / "ledger.sqlite")


def test_a_full_disk_is_one_sentence_and_loses_nothing(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.answer([("first", "j", ANSWER, 0)])
        (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(PosetalkError, match="the disk is full"):
            ledger.answer([("second", "j", dataclasses.replace(ANSWER, reply="x" * 100_000), 0)])
        with pytest.raises(PosetalkError, match="the disk is full"), ledger.transaction():
            ledger.set_state([("third", "x" * 100_000)], "asked")
    with Ledger(path) as ledger:
        assert [ledger.row(key) is None for key in ("first", "second", "third")] == [False, True, True]


# The key.

SETTINGS = ServerSettings(model="m", base_url="http://localhost:1/v1")
texts = st.text(max_size=20)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}),
    max_size=4,
).map(tuple)
schemas = st.dictionaries(
    texts, st.one_of(texts, st.booleans(), st.dictionaries(texts, texts, max_size=2)), max_size=3
)
jobs = st.builds(
    ChatRequest,
    id=texts,
    image_id=st.integers(0, 9),
    image=texts,
    kind=st.sampled_from(["conversation", "detail", "reasoning"]),
    messages=messages,
    schema=schemas,
    max_tokens=st.integers(1, 4096),
)
shapes = st.builds(
    ServerSettings,
    model=st.sampled_from(["m", "n"]),
    base_url=st.sampled_from([None, "http://a:1/v1", "https://b/v1"]),
    temperature=st.one_of(st.none(), st.sampled_from([0, 0.5, 1])),
    seed=st.one_of(st.none(), st.integers(0, 3)),
    structured_output=st.booleans(),
    concurrency=st.integers(1, 99),
    timeout=st.floats(1, 99),
    max_retries=st.integers(0, 9),
    max_revisions=st.integers(0, 9),
    max_cost_usd=st.one_of(st.none(), st.floats(0, 9)),
)


def shaping(job: ChatRequest, settings: ServerSettings) -> str:
    """What shapes an answer, and that alone."""
    schema = job.schema if settings.structured_output else None
    told = [[m["role"], m["content"]] for m in job.messages]
    return json.dumps([settings.model, told, schema, job.max_tokens, settings.temperature, settings.seed])


@given(jobs, shapes, jobs, shapes, st.data())
def test_the_key_is_another_where_what_shapes_the_answer_is_and_only_then(
    job: ChatRequest,
    settings: ServerSettings,
    other: ChatRequest,
    others: ServerSettings,
    data: st.DataObject,
) -> None:
    # of two wholly random pairs none are alike, so most fields are taken from the first
    kept = data.draw(st.sets(st.sampled_from([f.name for f in dataclasses.fields(ChatRequest)])))
    other = dataclasses.replace(other, **{name: getattr(job, name) for name in kept})
    kept = data.draw(st.sets(st.sampled_from(sorted(ServerSettings.model_fields))))
    others = others.model_copy(update={name: getattr(settings, name) for name in kept})
    same = shaping(job, settings) == shaping(other, others)
    assert (request_key(job, settings) == request_key(other, others)) is same
    assert len(request_key(job, settings)) == 64


@given(jobs, st.text(max_size=9), st.text(max_size=9))
def test_asking_again_is_another_request(job: ChatRequest, reply: str, reason: str) -> None:
    again = job.with_feedback(reply, reason)
    assert request_key(again, SETTINGS) not in (
        request_key(job, SETTINGS),
        request_key(again.with_feedback(reply, reason), SETTINGS),
    )


def test_the_order_in_a_message_is_nothing_and_in_a_schema_something() -> None:
    turned = ({"content": "ask 0", "role": "user"},)
    assert request_key(job(0), SETTINGS) == request_key(job(0, messages=turned), SETTINGS)
    # servers that write by a schema write its properties in its order
    one, two = ({"properties": {name: {} for name in names}} for names in ("ab", "ba"))
    assert request_key(job(0, schema=one), SETTINGS) != request_key(job(0, schema=two), SETTINGS)


# Rows that somebody has edited.

EDITS = [
    ("verdict = 'no JSON'", {}, ""),
    ("verdict = '{\"turns\": [[1, 2]]}'", {}, ""),
    ("verdict = '{\"turns\": []}'", {}, ""),
    ('verdict = \'{"faults": [["leak"]]}\'', {}, ""),
    ("verdict = '[' || replace(hex(zeroblob(50000)), '0', '[')", {}, ""),
    ("verdict = 7", {}, ""),
    ("reply = NULL", None, "has no reply; it is asked again"),
    ("state = 'eaten', reply = NULL", None, "has no reply; it is asked again"),
    ("state = 'eaten'", {}, "has the state 'eaten'; it has a reply and counts as answered"),
    ("ended = 'badly'", {}, "says that the reply ended as 'badly'; it counts as whole"),
    ("ended = NULL", {}, "says that the reply ended as None; it counts as whole"),
    ("tokens_in = -5", {"tokens_in": 0, "tokens_out": 2, "counted": False}, "has no numbers of tokens"),
    ("tokens_in = 'many'", {"tokens_in": 0, "tokens_out": 2, "counted": False}, "has no numbers of tokens"),
    ("tokens_out = NULL", {"tokens_out": 2, "counted": False}, "has no numbers of tokens"),
    ("tokens_out = 1.5", {"tokens_out": 2, "counted": False}, "has no numbers of tokens"),
    ("counted = 'yes'", {"tokens_out": 2, "counted": False}, "has no numbers of tokens"),
    ("dollars = -100", {}, "has no price; it counts as free"),
    ("dollars = 'a lot'", {}, "has no price; it counts as free"),
    ("reply = CAST(x'ff41' AS TEXT)", {"reply": "\ufffdA"}, ""),
]


@pytest.mark.parametrize(("edit", "changed", "note"), EDITS, ids=[edit[:24] for edit, *_ in EDITS])
def test_an_edited_row_is_told_and_the_others_go_on(
    edit: str, changed: dict[str, Any] | None, note: str, path: Path
) -> None:
    with Ledger(path) as ledger:
        ledger.answer([("k", "1-detail", ANSWER, 0.25), ("other", "2-detail", ANSWER, 0.25)])
        ledger.judge("k", (("Question?", "Answer."),))
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA ignore_check_constraints = ON")
        sql.execute(f"UPDATE requests SET {edit} WHERE key = 'k'")
    sql.close()
    with Ledger(path) as ledger:
        assert len(ledger.notes) == bool(note) and note in "".join(ledger.notes)
        row, other = ledger.row("k"), ledger.row("other")
        assert row and other and other.answer == ANSWER
        if changed is None:
            assert (row.state, row.answer, row.reason) == (
                "failed",
                None,
                "its row in the ledger has no reply",
            )
            assert ledger.answer([("k", "1-detail", ANSWER, 0.25)]) == 1  # it may be asked again
        else:
            assert row.state == "answered" and row.answer == dataclasses.replace(ANSWER, **changed)
        if "verdict" in edit:
            assert row.verdict is None  # it is made again
        totals = ledger.totals()
        assert totals.tokens_in >= 10 and totals.dollars in (0.25, 0.5)
    with Ledger(path) as ledger:
        assert not ledger.notes  # said once


def test_what_waits_again_keeps_why_it_failed(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.set_state([("k", "j")], "waiting")
        ledger.fail("k", "expired")
        ledger.set_state([("k", "j")], "waiting")
        row = ledger.row("k")
        assert row and (row.state, row.reason) == ("waiting", "expired")


# Copies, and ledgers that are lost.


def test_a_copy_is_read_beside_a_run_and_leaves_no_trace(path: Path) -> None:
    with Ledger.copy_of(path) as none:
        assert none is None and not path.exists()
    with Ledger(path) as ledger:
        ledger.answer([("k", "j", ANSWER, 0.25)])  # in the log, not yet in the file
        before = sorted(path.parent.iterdir())
        with Ledger.copy_of(path) as copy:
            assert copy and copy.totals().answers == 1
            copy.answer([("other", "j", ANSWER, 0.25)])
        assert ledger.totals().answers == 1 and sorted(path.parent.iterdir()) == before
    path.write_bytes(b"no ledger" * 99)
    with pytest.raises(PosetalkError, match="is damaged, or no ledger") as caught, Ledger.copy_of(path):
        pass
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("how", ["gone", "empty", "without a row"])
def test_a_ledger_that_holds_nothing_beside_results_is_refused(how: str, path: Path) -> None:
    results = [path.with_name("none.jsonl"), path.with_name("empty.jsonl"), path.with_name("some.jsonl")]
    results[1].touch()
    if how == "empty":
        path.touch()
    if how == "without a row":
        Ledger(path).__exit__()
    results[2].write_text("{}\n")
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(
        PosetalkError, match=r"some.jsonl was made with it: all would be asked and paid for again"
    ):
        Ledger(path, results)
    assert (path.read_bytes() if path.exists() else None) == before
