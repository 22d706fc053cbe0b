"""Answers in a model's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.bench.parse import answer_of

HANDS = ("both hands", "only their own left hand", "only their own right hand", "neither hand")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("No, the person is sitting.", "no"),
        ("**Yes**, both arms are up", "yes"),
        ("\n Nope", "no"),
        ("True", "yes"),
        ("The answer is no.", "no"),
        ("I would say yes", "yes"),
        ("The person is standing, so yes.", "yes"),
        ("There is no chair in the picture", None),
        ("No one is sitting", None),
        ("No doubt they are", None),
        ("It is not true", None),
        ("Yes or no", None),
        ("It could be yes, or it could be no.", None),
        ("The person is standing", None),
        ("", None),
        ("1", None),
    ],
)
def test_yes_or_no(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("B", "B"),
        ("b", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("(b) only their own left hand", "B"),
        ("[C]", "C"),
        ("B: only their own left hand", "B"),
        ("B\nThe left hand is up.", "B"),
        ("A - both hands", "A"),
        ("The answer is D", "D"),
        ("The correct answer is (C), since the right hand is up.", "C"),
        ("Answer: A", "A"),
        ("**Answer:** D.", "D"),
        ("both hands", "A"),
        ("Both hands.", "A"),
        ("The person has only their own right hand there.", "C"),
        ("Neither hand is there", "D"),
        ("D. neither hand, not A", "D"),
        ("A or B", None),
        ("A, B and C", None),
        ("The answer is A or B", None),
        ("E", None),
        ("A person with a hat", None),
        ("The answer is a hand", None),
        ("both hands or neither hand", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_choices(text: str, answer: str | None) -> None:
    assert answer_of(text, HANDS) == answer


def test_the_longer_of_two_choices_is_meant() -> None:
    choices = ("at the hip", "not at the hip", "at the knee", "at the face")
    assert answer_of("It is not at the hip.", choices) == "B"
    assert answer_of("It is at the hip.", choices) == "A"


words = st.text() | st.lists(
    st.sampled_from([*"ABCDabcd ()[].,:\n*-", "yes", "no", " the answer is ", " or ", *HANDS])
)


@given(words, st.lists(st.text(max_size=9), max_size=4))
def test_never_raises(text: str | list[str], choices: list[str]) -> None:
    said = answer_of("".join(text), choices)
    assert said is None or said in (set("ABCD"[: len(choices)]) if choices else {"yes", "no"})


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(["{}", "({})", "{}.", "{})", "The answer is {}.", "Option {}", "**{}**"]),
)
def test_every_letter_is_read(letter: str, form: str) -> None:
    assert answer_of(form.format(letter), HANDS) == letter
    assert answer_of(f"{form.format(letter)} {HANDS['ABCD'.index(letter)]}", HANDS) == letter
