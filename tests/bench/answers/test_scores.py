"""What judges write and which scores are read from it; what is unclear is a failure and no guess."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.bench.answers.scores import SCHEMA, read_scores
from posetalk.llm.fault import Rejected


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ('{"why": "Both are right.", "first": 8, "second": 6}', (8, 6)),
        ('Sure!\n```json\n{"first": 3, "second": 10}\n```\nI hope this helps.', (3, 10)),
        ('{"why": "He said {\\"a\\": 1}", "first": "8/10", "second": "7.5"}', (8, 7.5)),
        ('{"first": 4, "second": 5} {"first": 4, "second": 5}', (4, 5)),
        ("8 6", (8, 6)),
        ("8 6\nThe first is right about 2 of 3 arms.", (8, 6)),
        ("8, 6", (8, 6)),
        ("7.5 and 6", (7.5, 6)),
        ("8/10, 6/10", (8, 6)),
        ("8 out of 10 and 6 out of 10.", (8, 6)),
        ("**Scores: 8 6**", (8, 6)),
        ("10 10", (10, 10)),
        ("Answer 1: 8\nAnswer 2: 6\nBecause.", (8, 6)),
        ("The second answer: 6/10\nThe first answer: 8/10", (8, 6)),
        ("- **First:** 9\n- **Second:** 2", (9, 2)),
    ],
)
def test_scores_are_read(reply: str, scores: tuple[float, float]) -> None:
    assert read_scores(reply) == scores


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Both answers are good.",
        "8",
        "8 6 4",
        "2 people and 1 dog",  # numbers of something else
        "The first answer has 3 faults, the second 2.",
        "8-6",
        "0 5",
        "5 11",
        "-1 -1",
        "8 100",
        "1000 8",
        '{"first": 8}',
        '{"first": true, "second": 5}',
        '{"first": NaN, "second": 5}',
        '{"first": Infinity, "second": 5}',
        '{"first": [8], "second": 5}',
        '{"first": 8, "second": 6} no, {"first": 6, "second": 8}',
        "First: 8\nFirst: 7\nSecond: 6\nSecond: 5",
        "Answer 1: 8",
        '{"first":' * 2000,
    ],
)
def test_what_is_unclear_is_no_score(reply: str) -> None:
    with pytest.raises(Rejected):
        read_scores(reply)


@pytest.mark.parametrize("start", ["", '{"why": "', "8 ", "Answer 1: "])
@pytest.mark.parametrize(
    "piece",
    [
        "{", '{"first":', '{"a": "', '{"\\"', '{"a": [0, ', "(", "1", "1 ", "8 6\n", "\n", "\n*", " ", "answer 1:",
        "\n answer 1: ", "first ", "-", "8.", "8,", "and ", '\\"', "[",
    ],
)  # fmt: skip
def test_any_reply_is_read_at_once(start: str, piece: str) -> None:
    before = time.process_time()
    with suppress(Rejected):
        read_scores(start + (piece * 100_000)[:100_000])
    assert time.process_time() - before < 2


@given(st.text())
def test_any_reply_is_scores_or_rejected(reply: str) -> None:
    try:
        first, second = read_scores(reply)
    except Rejected:
        return
    assert 1 <= first <= 10 and 1 <= second <= 10


@given(st.sampled_from(range(1, 11)), st.sampled_from(range(1, 11)), st.text(max_size=40))
def test_what_keeps_to_the_schema_is_read(first: int, second: int, why: str) -> None:
    reply = json.dumps({"why": why, "first": first, "second": second})
    assert set(json.loads(reply)) == set(SCHEMA["required"])
    assert read_scores(reply) == (first, second)
