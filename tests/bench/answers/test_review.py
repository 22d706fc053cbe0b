"""LLaVA's answers and reviews: its keys, its summary, and what it does not see: failures and orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.bench.answers.review import (
    ModelAnswer,
    Review,
    read_answers,
    read_reviews,
    write_answers,
    write_reviews,
)
from posetalk.bench.questions.openset import OpenQuestion, OpenSet
from posetalk.bench.report.report import ModelResults, make_report
from posetalk.errors import PosetalkError
from posetalk.write.questions.lines import LONGEST

CATEGORIES = ("conv", "detail", "complex")
Order = Literal["reference", "candidate"]


def review(question: int, scores: tuple[float, float] | None, first: Order = "reference") -> Review:
    category = CATEGORIES[question % 3]
    return Review(str(question), category, f"{question}-ref", f"{question}-a", "8 6\nBecause.", scores, first)


def open_questions(questions: int) -> OpenSet:
    return OpenSet(
        tuple(
            OpenQuestion(str(q), f"{q // 3}.jpg", "What?", CATEGORIES[q % 3], "That.")
            for q in range(questions)
        ),
        {},
    )


def llava_summary(path: Path) -> dict[str, float]:
    """LLaVA's rule on a review file: for each category and all, mean second over mean first, times 100, rounded."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    groups = {"all": rows} | {c: [r for r in rows if r["category"] == c] for c in CATEGORIES}
    found = {}
    for name, some in groups.items():
        first, second = (np.mean([row["tuple"][i] for row in some]) for i in (0, 1))
        found[name] = round(round(second, 3) / round(first, 3) * 100, 1)
    return found


def test_keys_are_llavas(tmp_path: Path) -> None:
    write_reviews([review(0, (8, 6)), review(0, (7, 7), "candidate"), review(1, None)], tmp_path / "r.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    keys = ["id", "question_id", "answer1_id", "answer2_id", "category", "content", "tuple"]
    assert [list(row) for row in rows] == [keys, [*keys, "first"], keys]
    assert [row["tuple"] for row in rows] == [[8, 6], [7, 7], [-1, -1]]
    assert [row["id"] for row in rows] == [1, 2, 3]
    write_answers([ModelAnswer("0", "What?", "That.", "a0", "small", {"seed": 1})], tmp_path / "a.jsonl")
    keys = ["question_id", "prompt", "text", "answer_id", "model_id", "metadata"]
    assert list(json.loads((tmp_path / "a.jsonl").read_text())) == keys
    assert read_answers(tmp_path / "a.jsonl")["0"].metadata == {"seed": 1}


scores = st.tuples(st.integers(2, 20), st.integers(2, 20)).map(lambda pair: (pair[0] / 2, pair[1] / 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(scores, scores), min_size=3, max_size=12), st.booleans())
def test_numbers_are_those_of_llavas_summary(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[tuple[float, float], ...]], twice: bool
) -> None:
    """Without failures, of one order or both."""
    path = tmp_path_factory.mktemp("reviews") / "r.jsonl"
    reviews = [review(q, pair[0]) for q, pair in enumerate(drawn)]
    if twice:
        reviews += [review(q, pair[1], "candidate") for q, pair in enumerate(drawn)]
    write_reviews(reviews, path)
    found = make_report(
        [ModelResults("small", reviews=read_reviews(path))], open_set=open_questions(len(drawn))
    )
    ours = {number.kind: number.value for number in found.relative["small"].numbers}
    theirs = llava_summary(path)
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name], abs=0.11)  # theirs is rounded twice


@given(st.lists(st.none() | scores, min_size=1, max_size=8), st.booleans())
def test_reviews_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[float, float] | None], swapped: bool
) -> None:
    path = tmp_path_factory.mktemp("reviews") / "r.jsonl"
    reviews = [review(q, pair, "candidate" if swapped else "reference") for q, pair in enumerate(drawn)]
    write_reviews(reviews, path)
    assert read_reviews(path) == reviews


@pytest.mark.parametrize("tuple_", ["[-1, -1]", "[0, 5]", "[5, 11]", "[NaN, 5]", "[8, -1]"])
def test_scores_out_of_range_are_failures(tmp_path: Path, tuple_: str) -> None:
    path = tmp_path / "r.jsonl"
    row = '"id": 1, "question_id": 3, "answer1_id": "a", "answer2_id": "b", "category": "conv", "content": ""'
    path.write_text(f'{{{row}, "tuple": {tuple_}}}\n')
    [found] = read_reviews(path)
    assert found.scores is None and found.question == "3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("nonsense", "line 1: it cannot be read"),
        ('{"question_id": 1}', "line 1: it has no 'tuple'"),
        ('{"tuple": [1, 2, 3]}', "cannot be read"),
        ('{"tuple": [1, 2], "first": "me"}', "neither reference nor candidate"),
        ("[" * 100_000, "line 1: it cannot be read"),
        ('{"tuple":' * 50_000, "line 1: it cannot be read"),
        ('{"tuple": [1, 1' + "0" * 5000 + "]}", "line 1: it cannot be read"),
        ("[]", "line 1: it cannot be read"),
        ('"' + "x" * (LONGEST + 1), "line 1: it is longer than"),
    ],
)
def test_bad_reviews_are_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(PosetalkError, match=said):
        read_reviews(path)


def test_half_a_character_is_a_question_mark(tmp_path: Path) -> None:
    """JSON can hold one, no request to a judge and no file can."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"question_id": 1, "text": "a \\ud800 b \\ud83d\\ude00", "model_id": "m\\udfff"}\n')
    [answer] = read_answers(path).values()
    assert (answer.text, answer.model) == ("a ? b \U0001f600", "m?")


def test_two_of_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_reviews([review(0, (8, 6)), review(0, (8, 6))], path)
    with pytest.raises(PosetalkError, match="reviews 0 twice with the reference first"):
        read_reviews(path)
    write_answers([ModelAnswer("0", "", "a", "1", "m"), ModelAnswer("0", "", "b", "2", "m")], path)
    with pytest.raises(PosetalkError, match="answers 0 twice"):
        read_answers(path)
    write_answers([ModelAnswer("0", "", "a", "1", "m"), ModelAnswer("1", "", "b", "2", "n")], path)
    with pytest.raises(PosetalkError, match="answers of m and n"):
        read_answers(path)
