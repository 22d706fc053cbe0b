"""A set whose words give its answers away is found out; an even one is at chance."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binomtest
from tests.bench.people import question

from posetalk.bench.questions.blind import blind_baseline, blind_score, drop_guessable
from posetalk.bench.report.stats import wilson
from posetalk.write.questions.questions import LETTERS, Question


def yes_no(form: str, yes: int, no: int) -> list[Question]:
    answers = ["yes"] * yes + ["no"] * no
    return [question(f"{form}{i}", a, f"Is {form} so?", form=form) for i, a in enumerate(answers)]


def choices(form: str, counts: dict[str, int], letter: str | None = None) -> list[Question]:
    """Questions whose right choice in words is as often there as `counts` says; its letter is drawn, or `letter`."""
    draw, found = random.Random(form), []
    for words, count in counts.items():
        for i in range(count):
            order = list(counts)
            draw.shuffle(order)
            if letter:
                order.remove(words)
                order.insert(LETTERS.index(letter), words)
            name = f"{form}-{words}-{i}"
            answer = LETTERS[order.index(words)]
            found.append(question(name, answer, f"What of {form}?", form=form, choices=tuple(order)))
    return found


EVEN = {"up": 30, "down": 30, "left": 30, "right": 30}


@pytest.mark.parametrize(
    "fair",
    [
        yes_no("sitting", 100, 100),
        [q for i in range(40) for q in yes_no(f"form {i}", 3, 3)],
        choices("hands", EVEN),
    ],
    ids=["one form", "many small forms", "choices"],
)
def test_an_even_set_is_at_chance(fair: list[Question]) -> None:
    found = blind_score(fair, blind_baseline(fair))
    assert not found.leaks and found.interval is not None
    assert found.interval[0] <= found.chance <= found.interval[1]
    left, _ = drop_guessable(fair, blind_baseline(fair))
    assert len(left) > 0.9 * len(fair)


@pytest.mark.parametrize(
    "unfair",
    [
        yes_no("standing", 90, 30),
        yes_no("standing", 60, 0),
        choices("hands", EVEN | {"up": 120}),
        choices("hands", EVEN, letter="B"),
        # no form leans, but a word common to many does
        [q for i in range(60) for q in yes_no(f"{'surfer' if i % 2 else 'cook'} {i}", 2 * (i % 2), 2 - 2 * (i % 2))],
    ],
    ids=["more yes", "yes alone", "one choice", "one letter", "a word"],
)  # fmt: skip
def test_an_uneven_set_is_found_out_and_made_even(unfair: list[Question]) -> None:
    solved = blind_baseline(unfair)
    before = blind_score(unfair, solved)
    assert before.leaks and before.accuracy > before.chance + 0.1
    left, solved = drop_guessable(unfair, solved)
    after = blind_score(left, solved)
    assert len(left) < len(unfair) and not after.leaks
    assert str(after).startswith("nan" if not left else f"{after.accuracy:.3f} of {len(left):,} (")


def test_only_what_leans_is_dropped() -> None:
    fair, unfair = yes_no("sitting", 60, 60), yes_no("kneeling", 90, 30)
    both = [*fair, *unfair]
    left, _ = drop_guessable(both, blind_baseline(both))
    names = {q.id for q in left}
    assert sum(q.id in names for q in fair) > 100
    kept = [q for q in left if q.form == "kneeling"]
    assert 25 <= sum(q.answer == "yes" for q in kept) <= 45 and sum(q.answer == "no" for q in kept) == 30


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (37, 80), (1, 3)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    ends = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((ends.low, ends.high), abs=1e-6)
    assert wilson(0, 0) is None
