"""Replies in every form that models give them: read as they were written, or refused, and nothing in between."""

from __future__ import annotations

import contextlib
import json
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posetalk.llm.fault import Rejected
from posetalk.llm.request import ChatRequest
from posetalk.write.from_model.reply import LONGEST, parse, schema
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Turns

ASKED = "How do they stand?"
TWO = (("Is he up?", "Yes, he stands."), ("Where is his hand?", 'At the man\'s side, he says "here".'))
ONE = (("Why does he lean?", "To turn the board."),)


def job(kind: Kind, questions: int = 5) -> ChatRequest:
    return ChatRequest(f"1-{kind}", 1, "1.jpg", kind, (), schema(kind, questions, ASKED))


def rows(turns: Turns) -> list[dict[str, str]]:
    return [{"question": question, "answer": answer} for question, answer in turns]


def strict(kind: Kind, turns: Turns) -> str:
    """The JSON that was asked for."""
    match kind:
        case "conversation":
            return json.dumps({"turns": rows(turns)})
        case "detail":
            return json.dumps({"answer": turns[0][1]})
        case "reasoning":
            return json.dumps(rows(turns)[0])


def spoken(turns: Turns, ask: str, answer: str, between: str = "\n") -> str:
    return "".join(f"{ask}{q}{between}{answer}{a}{between}" for q, a in turns)


def llava(turns: Turns) -> list[dict[str, str]]:
    return [
        {"from": who, "value": text}
        for turn in turns
        for who, text in zip(("human", "gpt"), turn, strict=True)
    ]


FORMS = {
    "as asked": strict("conversation", TWO),
    "in a fence": f"Sure!\n```json\n{json.dumps({'turns': rows(TWO)}, indent=2)}\n```\nHope {{this}} helps.",
    "amid talk": f"Here you are: {strict('conversation', TWO)} Tell me if {{you}} want more.",
    "single quotes": str({"turns": rows(TWO)}),
    "commas too many": strict("conversation", TWO).replace("}]", "},]"),
    "raw line breaks": strict("conversation", TWO).replace("Is he", "Is\nhe"),
    "a bare list": json.dumps(rows(TWO)),
    "another name": json.dumps({"conversation": rows(TWO)}),
    "a line each": "\n".join(json.dumps(row) for row in rows(TWO)),
    "short names": json.dumps([{"Q": q, "A": a} for q, a in TWO]),
    "llava json": json.dumps(llava(TWO)),
    "chat": json.dumps(
        [
            {"role": {"human": "user", "gpt": "assistant"}[m["from"]], "content": m["value"]}
            for m in llava(TWO)
        ]
    ),
    "llava prompt": spoken(TWO, "Question:\n", "Answer:\n", "\n===\n"),
    "q and a": spoken(TWO, "Q: ", "A: "),
    "numbered q and a": spoken(TWO, "Q1: ", "A1: "),
    "user and assistant": "Here are two questions:\n\n" + spoken(TWO, "User: ", "Assistant: ", "\n\n"),
    "bold": spoken(TWO, "**Question:** ", "**Answer:** "),
    "bold and numbered": spoken(TWO, "1. **Question 1:** ", "   **Answer 1:** "),
    "numbered": "\n".join(f"{i}. {q}\n{a}" for i, (q, a) in enumerate(TWO, 1)),
    "numbered in a line": "\n".join(f"{i}) **{q}** {a}" for i, (q, a) in enumerate(TWO, 1)),
    "cut off after a question": spoken(TWO, "Q: ", "A: ") + "Q: And his",
}


@pytest.mark.parametrize("form", FORMS)
def test_conversations_are_read_in_every_form(form: str) -> None:
    found = parse(job("conversation"), FORMS[form])
    assert [" ".join(q.split()) for q, _ in found] == [q for q, _ in TWO]
    assert [a for _, a in found] == [a for _, a in TWO]


@pytest.mark.parametrize(
    "reply",
    [
        strict("reasoning", ONE),
        json.dumps({"turns": rows(ONE)}),
        str(rows(ONE)[0]),
        spoken(ONE, "Question: ", "Answer: "),
        spoken(ONE, "Q:\n", "A:\n"),
        f"{ONE[0][0]}\n\n{ONE[0][1]}",
        f"1. {ONE[0][0]} {ONE[0][1]}",
        strict("conversation", ONE * 2),
    ],
)
def test_reasoning_is_one_question_and_its_answer(reply: str) -> None:
    assert parse(job("reasoning"), reply) == ONE


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ('{"answer": "A man stands."}', "A man stands."),
        ('{"description": "A man stands."}', "A man stands."),
        ('{"question": "How?", "answer": "A man stands."}', "A man stands."),
        ("```json\n{'answer': 'A man stands.',}\n```", "A man stands."),
        ("A man stands.\n\nHe waves.", "A man stands.\n\nHe waves."),
        ('"A man stands."', "A man stands."),
        ("Sure! Here is the description:\nA man stands.", "A man stands."),
        ("Certainly, here it is:\n\nAnswer: A man stands.", "A man stands."),
        ("Answer: A man stands.", "A man stands."),
        ("Question: How?\nAnswer: A man stands.", "A man stands."),
        ("There are two.\nPerson 1: stands.\nPerson 2: sits.", "There are two.\nPerson 1: stands.\nPerson 2: sits."),
        ("A man says.\nAnswer: none.", "A man says.\nAnswer: none."),
        ("He holds a {sign}.", "He holds a {sign}."),
        ('"Yes" is what the man on the left says.', '"Yes" is what the man on the left says.'),
    ],
)  # fmt: skip
def test_a_description_may_be_prose(reply: str, answer: str) -> None:
    assert parse(job("detail"), reply) == ((ASKED, answer),)


@pytest.mark.parametrize(
    ("kind", "reply", "reason"),
    [
        *(
            (kind, reply, "unreadable")
            for kind in MODEL_KINDS
            for reply in ("", " \n", "{}", "[]", "null", "12", "...")
        ),
        ("conversation", "A man stands.", "unreadable"),
        ("conversation", strict("conversation", TWO)[:-20], "unreadable"),
        ("conversation", spoken(TWO, "Q: ", "Q: "), "unreadable"),
        ("conversation", spoken(TWO, "A: ", "Q: "), "unreadable"),
        ("conversation", "Q: Is he up?\nA: Yes.\nA: No.", "unreadable"),
        ("conversation", "1. He stands.\n2. He waves.", "unreadable"),
        ("conversation", json.dumps({"turns": [{"question": "Is he up?"}] * 2}), "unreadable"),
        ("conversation", strict("conversation", TWO[:1]), "turns"),
        ("conversation", json.dumps({"turns": rows((TWO[0], ("How?", " ")))}), "turns"),
        ("conversation", "Q: Is he up?\nA:\nQ: How?\nA: So.", "turns"),
        ("detail", '{"answer": "A man sta', "unreadable"),
        ("detail", '{"answer": ""}', "turns"),
        ("detail", '{"answer": ["A", "man"]}', "unreadable"),
        ("detail", 'answer": "A man stands."}', "unreadable"),
        ("detail", '{"answer": "half \\ud83d"}', "unreadable"),
        ("detail", "half \ud83d", "unreadable"),
        ("detail", "so " * LONGEST, "unreadable"),
        ("reasoning", "He leans to turn.", "unreadable"),
        ("reasoning", '{"question": "Why?", "answer": null}', "unreadable"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(kind: Kind, reply: str, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(job(kind), reply)
    assert [fault.reason for fault in rejected.value.faults] == [reason]


def test_more_than_was_asked_for_is_left_out() -> None:
    many = tuple((f"Is {n} up?", "Yes.") for n in "abcdefg")
    assert parse(job("conversation", 3), strict("conversation", many)) == many[:3]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())
TURNS = st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=5).map(tuple)


@given(st.sampled_from(MODEL_KINDS), TURNS)
def test_what_was_asked_for_comes_back_whole(kind: Kind, turns: Turns) -> None:
    turns = turns if kind == "conversation" else turns[:1]
    wanted = tuple((ASKED if kind == "detail" else q.strip(), a.strip()) for q, a in turns)
    found = parse(job(kind), strict(kind, turns))
    assert found == wanted and parse(job(kind), strict(kind, found)) == wanted


PLAIN = st.from_regex(r"[A-Z][a-z]{1,9}( [a-z']{1,9}){0,6}", fullmatch=True)


@given(
    st.lists(st.tuples(PLAIN.map(lambda q: f"{q}?"), PLAIN.map(lambda a: f"{a}.")), min_size=2, max_size=5).map(tuple),
    st.sampled_from(
        [
            lambda turns: str({"turns": rows(turns)}),
            lambda turns: f"Here:\n```\n{json.dumps(rows(turns))},\n```",
            lambda turns: spoken(turns, "Question:\n", "Answer:\n", "\n===\n"),
            lambda turns: spoken(turns, "User: ", "Assistant: "),
            lambda turns: "\n".join(f"{i}. {q} {a}" for i, (q, a) in enumerate(turns, 1)),
        ]
    ),
)  # fmt: skip
def test_plain_words_survive_every_form(turns: Turns, form: object) -> None:
    assert parse(job("conversation"), form(turns)) == turns  # type: ignore[operator]


PIECES = st.sampled_from(
    [
        *(
            '{"',
            '"}',
            "{",
            "}",
            "[",
            "]",
            '"',
            "'",
            ",",
            ":",
            "\\",
            "\n",
            "\\u",
            "\\ud83d",
            "```json\n",
            "```",
            "===",
        ),
        *(
            "turns",
            "question",
            "answer",
            "Question:",
            "Answer:",
            "\nQ:",
            "\nA: ",
            "1. ",
            "?",
            "He stands.",
            "Sure:\n",
        ),
        *("\0", "\ud83d", "null", "1e999", "NaN", "9" * 5000, "**", "User:", "é", "\u2028"),
    ]
)


@settings(deadline=None)  # the long examples
@given(st.sampled_from(MODEL_KINDS), st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
@example("detail", "[" * 50_000)
@example("detail", '{"a":' * 20_000)
@example("conversation", "{" + "'" * 9_999)
def test_any_text_is_read_or_rejected_and_nothing_is_invented(kind: Kind, reply: str) -> None:
    try:
        turns = parse(job(kind), reply)
    except Rejected as rejected:
        assert all(fault.reason in ("unreadable", "turns") and fault.words for fault in rejected.faults)
        return
    assert all(q and a and q == q.strip() and a == a.strip() for q, a in turns)
    json.dumps(turns, ensure_ascii=False).encode()  # it can be written to a file
    assert parse(job(kind), strict(kind, turns)) == turns
    if "\\" not in reply:  # else JSON's escapes stand for other letters
        text = " ".join(text for turn in turns for text in turn[kind == "detail" :])
        assert set(re.findall(r"\w+", text)) <= set(re.findall(r"\w+", reply))


@pytest.mark.parametrize(
    "reply",
    [unit * (LONGEST // len(unit)) for unit in ('"', "'", "['", "{'a", ",", "q ", "1.", "```\n", "\\", "** ", "=")]
    + ["Q" + " " * (LONGEST - 1), "{" + " ," * 49_000, "1. " + "*" * 90_000, '{"a": "' + "\\'" * 45_000],
    ids=lambda reply: repr(reply[:8]),
)  # fmt: skip
def test_hostile_replies_are_read_in_no_time(reply: str) -> None:
    began = time.process_time()
    for kind in MODEL_KINDS:
        with contextlib.suppress(Rejected):
            parse(job(kind), reply)
    assert time.process_time() - began < 3
