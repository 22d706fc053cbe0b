"""Numbers that are worked out by hand: failures, orders, kinds, intervals, tests; and the tables."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.bench.answers.test_review import open_questions, review
from tests.bench.people import question

from posetalk.bench.answers.review import ModelAnswer
from posetalk.bench.report.report import BenchReport, ModelResults, make_report
from posetalk.bench.report.stats import swap_test
from posetalk.bench.report.table import tables
from posetalk.errors import PosetalkError

HANDS = ("both", "left", "right", "neither")


def answers(texts: dict[str, str], model: str = "m") -> dict[str, ModelAnswer]:
    return {name: ModelAnswer(name, "", text, name, model) for name, text in texts.items()}


def test_failures_count_nowhere() -> None:
    """LLaVA averages them in as -1, so that nothing but failures scores 100."""
    reviews = [review(0, (8, 4)), review(1, (8, 4)), review(2, None), review(3, None)]
    found = make_report([ModelResults("m", reviews=reviews)], open_set=open_questions(4)).relative["m"]
    assert (found.judged, found.failed, found.left_out) == (2, 2, 2)
    assert {n.kind: (n.n, n.value) for n in found.numbers} == {
        "conv": (1, 50.0), "detail": (1, 50.0), "all": (2, 50.0),
    }  # fmt: skip
    nothing = make_report(
        [ModelResults("m", reviews=[review(0, None)])], open_set=open_questions(1)
    ).relative["m"]
    assert nothing.numbers == () and nothing.failed == 1


def test_a_question_with_one_failed_order_counts_nowhere() -> None:
    reviews = [
        review(0, (10, 5)),
        review(0, None, "candidate"),
        review(1, (8, 8)),
        review(1, (8, 8), "candidate"),
    ]
    found = make_report([ModelResults("m", reviews=reviews)], open_set=open_questions(2)).relative["m"]
    assert (found.judged, found.failed, found.left_out) == (3, 1, 1)
    assert found.numbers[-1].value == 100.0


def test_position_is_measured() -> None:
    """A judge who gives two points more to whoever is first."""
    reviews = [r for q in range(12) for r in (review(q, (9, 5)), review(q, (7, 7), "candidate"))]
    found = make_report([ModelResults("m", reviews=reviews)], open_set=open_questions(12)).relative["m"]
    assert found.first is not None and found.first.value == 2 and found.first.interval == (2, 2)
    assert found.numbers[-1].value == pytest.approx(75)
    alone = make_report([ModelResults("m", reviews=reviews[::2])], open_set=open_questions(12)).relative["m"]
    assert alone.first is None


def test_answers_are_counted_by_kind() -> None:
    closed = [
        question("a", "yes", kind="arms"), question("b", "no", kind="arms"),
        question("c", "C", choices=HANDS, kind="hands"), question("d", "A", choices=HANDS, kind="hands"),
        question("e", "yes", kind="head"),
    ]  # fmt: skip
    said = answers({"a": "Yes.", "b": "Yes, sure", "c": "(C)", "d": "A cat?"})
    solved = {"a": 1.0, "b": 0.0, "c": 0.2, "d": 0.4, "e": 0.5}
    found = make_report([ModelResults("m", said)], closed, solved)
    one = found.accuracy["m"]
    assert (one.unreadable, one.missing) == (1, 1)
    values = {n.kind: (n.n, n.value) for n in one.numbers}
    assert values == {
        "arms": (2, 0.5), "hands": (2, 0.5), "head": (1, 0.0), "yes or no": (3, pytest.approx(1 / 3)),
        "four choices": (2, 0.5), "all": (5, 0.4),
    }  # fmt: skip
    assert found.chance == pytest.approx(
        {"arms": 0.5, "hands": 0.25, "head": 0.5, "yes or no": 0.5, "four choices": 0.25, "all": 0.4}
    )
    assert found.blind["hands"].value == pytest.approx(0.3) and found.blind["all"].n == 5


def test_intervals_are_over_pictures() -> None:
    """Ten questions about each picture that are all right or all wrong are no more than one of it."""
    texts, many, single = {}, [], []
    for picture in range(20):
        for i in range(10):
            name = f"{picture}-{i}"
            texts[name] = "yes" if picture % 2 else "no"
            many.append(question(name, image=f"{picture}.jpg"))
        single.append(many[-1])
    wide, same = (
        make_report([ModelResults("m", answers(texts))], some).accuracy["m"].numbers[-1]
        for some in (many, single)
    )
    assert wide.interval is not None and same.interval is not None
    assert wide.value == same.value == 0.5
    assert wide.interval[1] - wide.interval[0] == pytest.approx(same.interval[1] - same.interval[0])
    assert wide.interval[1] - wide.interval[0] > 0.3


def test_two_models_are_compared_on_what_both_have() -> None:
    closed = [question(str(i)) for i in range(40)]
    good = answers({str(i): "yes" for i in range(40)}, "good")
    bad = answers({str(i): "yes" if i < 20 else "no" for i in range(40)}, "bad")
    reviews = {
        "good": [review(q, (8, 8)) for q in range(24)],
        "bad": [review(q, (8, 4)) for q in range(12, 36)],
    }
    models = [ModelResults("bad", bad, reviews["bad"]), ModelResults("good", good, reviews["good"])]
    found = make_report(models, closed, open_set=open_questions(36))
    tests = {test.what: test for test in found.tests}
    relative, accuracy = tests["relative score"], tests["accuracy"]
    assert (relative.first, relative.second, relative.n) == ("bad", "good", 12)
    assert relative.difference == pytest.approx(50) and relative.interval == pytest.approx((50, 50))
    assert accuracy.difference == pytest.approx(0.5) and accuracy.p is not None and accuracy.p < 0.001
    assert accuracy.interval is not None and 0.3 < accuracy.interval[0] < 0.5 < accuracy.interval[1] < 0.7
    same = make_report([ModelResults("a", good), ModelResults("b", good)], closed).tests[0]
    assert (same.difference, same.p) == (0, 1)


def test_p_is_that_of_all_exchanges() -> None:
    """Of seven pictures all 128 ways of changing places can be counted."""
    draw = np.random.default_rng(1)
    top, bottom = draw.integers(1, 10, (7, 2)).astype(float), draw.integers(5, 10, (7, 2)).astype(float)

    def difference(swaps: tuple[bool, ...]) -> float:
        a, b = (np.where(np.array(swaps)[:, None], x[:, ::-1], x).sum(0) for x in (top, bottom))
        return float(a[1] / b[1] - a[0] / b[0])

    every = [difference(swaps) for swaps in product((False, True), repeat=7)]
    exact = np.mean([abs(value) >= abs(every[0]) - 1e-12 for value in every])
    assert swap_test(top, bottom, rounds=40_000) == pytest.approx(exact, abs=0.02)
    assert swap_test(np.zeros((0, 2)), np.zeros((0, 2))) is None


def both() -> BenchReport:
    closed = [question(str(i), "yes" if i % 2 else "no") for i in range(10)]
    solved = {q.id: 0.5 for q in closed}
    models = [
        ModelResults(
            name, answers({str(i): text for i in range(10)}, name), [review(q, scores) for q in range(9)]
        )
        for name, text, scores in (("small", "yes", (8, 4)), ("large", "perhaps", (8, 6)))
    ]
    return make_report(models, closed, solved, open_questions(9))


def test_tables_hold_the_numbers() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in tables(both()):
        console.print(table)
    console.file.close()
    text = console.export_text()
    for words in (
        "50.0 (50.0 to 50.0)",
        "75.0",
        "0.500 (",
        "unreadable, taken as wrong",
        "large - small",
        "10",
    ):
        assert words in text
    assert "-25.0" not in text and "+25.0 (+25.0 to +25.0)" in text


def test_report_json(tmp_path: Path) -> None:
    both().save(tmp_path / "new")
    row = json.loads((tmp_path / "new/report.json").read_text())
    assert row["models"] == ["small", "large"]
    assert row["relative_score"]["large"]["numbers"][-1]["value"] == 75
    assert row["accuracy"]["large"]["unreadable"] == 10
    (tmp_path / "file").write_text("")
    with pytest.raises(PosetalkError, match="cannot write"):
        both().save(tmp_path / "file")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([], "no model has answered yet"),
        ([ModelResults("a"), ModelResults("a")], "cannot be told apart"),
        ([ModelResults("a")], "neither an answer"),
        ([ModelResults("a", answers({"zzz": "yes"}))], "neither an answer"),
        ([ModelResults("a", reviews=[review(99, (8, 8))])], "a question 99 that is not in the benchmark"),
    ],
)
def test_nothing_to_report_is_said(models: list[ModelResults], said: str) -> None:
    with pytest.raises(PosetalkError, match=said):
        make_report(models, [question("1")], open_set=open_questions(3))


@pytest.mark.parametrize(
    ("right", "images", "ends"),
    [
        (0, 6, (0.0, 0.390)),  # R's binom::binom.wilson(0, 6)
        (6, 6, (0.610, 1.0)),
        (3, 6, (0.188, 0.812)),
        (0, 50, (0.0, 0.071)),
    ],
)
def test_few_or_equal_answers_have_wilsons_interval(
    right: int, images: int, ends: tuple[float, float]
) -> None:
    closed = [question(f"q{i}") for i in range(images)]
    said = answers({q.id: "yes" if i < right else "no" for i, q in enumerate(closed)})
    numbers = make_report([ModelResults("m", said)], closed).accuracy["m"].numbers
    assert numbers[-1].interval == pytest.approx(ends, abs=5e-4)


def test_answers_about_one_image_count_as_one_trial() -> None:
    def width(images: int) -> float:
        closed = [question(f"q{i}", image=f"{i % images}.jpg") for i in range(24)]
        said = answers({q.id: "yes" if i % 2 else "no" for i, q in enumerate(closed)})
        low, high = make_report([ModelResults("m", said)], closed).accuracy["m"].numbers[-1].interval or (
            0,
            0,
        )
        return high - low

    assert width(3) > width(12) > width(24)


def test_models_that_answer_alike_have_no_interval_of_their_difference() -> None:
    closed = [question(f"q{i}") for i in range(6)]
    models = [
        ModelResults(name, answers(dict.fromkeys((q.id for q in closed), "yes"), name)) for name in "ab"
    ]
    (test,) = make_report(models, closed).tests
    assert test.difference == 0 and test.interval is None
