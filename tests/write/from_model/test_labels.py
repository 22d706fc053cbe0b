"""Replies in the styles that models write when nobody asks for JSON: read whole, or refused, never half a label."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.llm.fault import Rejected
from posetalk.llm.request import ChatRequest
from posetalk.write.from_model.reply import LONGEST, parse, parse_good, schema
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Turns

ASKED = "Describe the pose."
TWO = (
    ("What is the man doing?", "He is surfing, with both knees bent."),
    (
        "Where are his arms?",
        "Both are stretched out:\n- the left one to the front\n- the right one to the back",
    ),
)
WHY = (("Why is he so low?", "To keep his balance.\n\nBoth of his knees are bent, and his arms are spread."),)


def job(kind: Kind) -> ChatRequest:
    return ChatRequest(f"1-{kind}", 1, "1.jpg", kind, (), schema(kind, 1000, ASKED))


def written(turns: Turns, form: str) -> str:
    """`form` for each turn, with {i}, {q} and {a}."""
    return "".join(form.format(i=i, q=q, a=a) for i, (q, a) in enumerate(turns, 1))


CONVERSATIONS = {
    "person and assistant, bold": "**Person:** {q}\n**AI Assistant:** {a}\n\n",
    "colon outside the bold": "**Person**: {q}\n\n**AI Assistant**: {a}\n\n",
    "plain": "Person: {q}\nAI Assistant: {a}\n\n",
    "visual assistant": "Person: {q}\nAI Visual Assistant: {a}\n\n",
    "chatgpt": "Human: {q}\nChatGPT: {a}\n",
    "whose they are": "**User's question:** {q}\n**Assistant's response:** {a}\n\n",
    "who asks": "Person asking: {q}\nAssistant answers: {a}\n",
    "headings": "### Question {i}\n{q}\n\n### Answer {i}\n{a}\n\n",
    "headings with colons": "#### Question {i}: {q}\n#### Answer {i}: {a}\n\n",
    "bold headings": "**Question {i}**\n{q}\n\n**Answer {i}**\n{a}\n\n",
    "bold headings without numbers": "**Question**\n\n{q}\n\n**Answer**\n\n{a}\n\n",
    "lines of their own": "Question {i}\n{q}\nAnswer {i}\n{a}\n\n",
    "number sign": "**Question #{i}:** {q}\n**Answer #{i}:** {a}\n\n",
    "titles between": "### Q&A {i}\n**Q:** {q}\n**A:** {a}\n\n",
    "bold titles between": "**Exchange {i}**\n\nQuestion: {q}\n\nAnswer: {a}\n\n",
    "numbers between": "### {i}.\n**Q:** {q}\n**A:** {a}\n\n",
    "rules between": "**Q{i}:** {q}\n**A{i}:** {a}\n\n---\n\n",
    "bullets": "- **Q:** {q}\n- **A:** {a}\n",
    "quotes": "> **Question:** {q}\n> **Answer:** {a}\n\n",
    "italics": "*Question:* {q}\n*Answer:* {a}\n\n",
    "underlined": "__Question {i}__: {q}\n__Answer {i}__: {a}\n\n",
    "dashes": "Q{i} - {q}\nA{i} - {a}\n",
    "full stops": "Q. {q}\nA. {a}\n",
    "brackets": "(Q{i}) {q}\n(A{i}) {a}\n",
    "square brackets": "[Question {i}]: {q}\n[Answer {i}]: {a}\n",
    "wide colons": "Question\uff1a {q}\nAnswer\uff1a {a}\n",
    "numbered labels": "{i}. **Question:** {q}\n   **Answer:** {a}\n",
    "bold questions": "**{q}**\n\n{a}\n\n",
    "bold numbered questions": "**{i}. {q}**\n\n{a}\n\n",
    "questions as headings": "### {q}\n{a}\n\n",
    "numbered headings": "## {i}. {q}\n\n{a}\n\n",
}  # fmt: skip


@pytest.mark.parametrize("style", CONVERSATIONS)
@pytest.mark.parametrize("before", ["", "Certainly! Here is what they say:\n\n", "## Conversation\n\n"])
def test_a_conversation_is_read_whole(style: str, before: str) -> None:
    text = before + written(TWO, CONVERSATIONS[style])
    assert parse(job("conversation"), text) == TWO
    assert parse_good(job("conversation"), text) == (TWO, 0)


REASONING = [
    "**Complex Question:** {q}\n\n**Detailed Answer:** {a}",
    "**Complex Question**\n\n{q}\n\n**Detailed Answer**\n\n{a}",
    "### Complex Question\n{q}\n\n### Detailed Answer\n{a}",
    "### Complex Reasoning Question:\n{q}\n\n### Detailed Reasoning Answer:\n{a}",
    "Complex question: {q}\nAnswer: {a}",
    "**Question:** {q}\n\n**Response:** {a}",
    "**In-depth Question:** {q}\n**In-depth Answer:** {a}",
    "**{q}**\n\n{a}",
    "## {q}\n\n{a}",
    '{{"complex_question": "Why is he so low?", "detailed_answer": "To keep his balance.\\n\\n'
    'Both of his knees are bent, and his arms are spread."}}',
]


@pytest.mark.parametrize("form", REASONING)
def test_a_question_that_needs_thought_is_read_whole(form: str) -> None:
    assert parse(job("reasoning"), written(WHY, form)) == WHY


DESCRIPTIONS = [
    ("**Detailed Description:**\n\nA man stands.\n\nHe waves.", "A man stands.\n\nHe waves."),
    ("### Description\nA man stands.", "A man stands."),
    ("**Description**\n\nA man stands.", "A man stands."),
    ("AI Assistant: A man stands.", "A man stands."),
    ("### Person 1\nHe stands.\n\n### Person 2\nShe sits.", "### Person 1\nHe stands.\n\n### Person 2\nShe sits."),
    ("A man stands.\n\n**Person**\nHe is tall.\n\n**Description**\nHe waves.",
     "A man stands.\n\n**Person**\nHe is tall.\n\n**Description**\nHe waves."),
    ("**Pose**\nHe stands.\n\n**Arms**\nThey hang.", "**Pose**\nHe stands.\n\n**Arms**\nThey hang."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), DESCRIPTIONS)
def test_a_description_keeps_its_own_headings(text: str, answer: str) -> None:
    assert parse(job("detail"), text) == ((ASKED, answer),)


LINES_OF_ANSWERS = [
    "Two of them.\nPerson 1: he stands.\nPerson 2: she sits.",
    "\n**Falling down**",
    "Description: a man who stands.",
    "He holds a sign.\n**Stop now!**",
]


@pytest.mark.parametrize("answer", LINES_OF_ANSWERS)
def test_an_answer_may_have_lines_like_names(answer: str) -> None:
    text = f"Q: Who is there?\nA: {answer}\nQ: Is he up?\nA: Yes."
    assert parse(job("conversation"), text)[0][1] == answer.strip("*\n")


REFUSED: list[tuple[Kind, str]] = [
    ("conversation", "| Question | Answer |\n|---|---|\n| Is he up? | Yes. |\n| How? | So. |"),
    ("conversation", "<question>Is he up?</question>\n<answer>Yes.</answer>"),
    ("conversation", "**Is he up?**\n\n**Where is he?**\n\nThere."),
    ("conversation", "Question\nIs he up?\nWhere?"),
    ("conversation", "Q: Is he up?\nA: Yes.\nQuestion: How?\nA: So.\nAnswer: Or so."),  # names of two kinds
    ("conversation", "1. Question: Is he up?\n   Yes.\n2. Question: How?\n   So."),  # the name is no part of a question
    ("conversation", "Q: Is he up?\nA: Yes.\nQuestion: How?\nAnswer: So.\nAnswer: Or.\nQ: Is he low?\nA: No."),
    ("conversation", "Speaker one: Is he up?\nSpeaker two: Yes."),
    ("reasoning", "**Complex Question:** Why is he low?\n\nTo balance."),
    ("reasoning", "Question: Why is he low?\n\nReasoning: To balance."),
    ("reasoning", "**Detailed Answer:** To balance.\n\n**Complex Question:** Why is he low?"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_what_is_of_no_known_form_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(job(kind), text)
    assert [fault.reason for fault in rejected.value.faults] == ["unreadable"]


FIVE = tuple((f"Is number {n} up?", f"Number {n} stands.") for n in "abcde")
BAD_TURNS = {
    "no answer": "**Person:** And this?\n",
    "an empty answer": "**Person:** And this?\n**AI Assistant:**\n\n",
    "an empty question": "**Person:**\n**AI Assistant:** Yes.\n\n",
    "two answers": "**Person:** And this?\n**AI Assistant:** Yes.\n**AI Assistant:** No.\n\n",
}


@pytest.mark.parametrize("bad", BAD_TURNS)
@pytest.mark.parametrize("place", [0, 3])
def test_one_bad_turn_does_not_reject_five_good_ones(bad: str, place: int) -> None:
    style = "**Person:** {q}\n**AI Assistant:** {a}\n\n"
    text = written(FIVE[:place], style) + BAD_TURNS[bad] + written(FIVE[place:], style)
    assert parse_good(job("conversation"), text) == (FIVE, 1)
    with pytest.raises(Rejected):  # a model that can be asked again is asked again
        parse(job("conversation"), text)


def test_an_answer_before_any_question_is_a_bad_turn() -> None:
    text = "AI Assistant: Sure.\n" + written(FIVE, "Person: {q}\nAI Assistant: {a}\n")
    assert parse_good(job("conversation"), text) == (FIVE, 1)


@pytest.mark.parametrize(
    "odd", ['{"question": "And this?"}', '{"question": "And this?", "answer": ""}', '{"note": "done"}']
)
def test_one_bad_turn_of_a_list_does_not_reject_five_good_ones(odd: str) -> None:
    rows = ", ".join(f'{{"question": "{q}", "answer": "{a}"}}' for q, a in FIVE)
    assert parse_good(job("conversation"), f"[{rows}, {odd}]") == (FIVE, 1)


@pytest.mark.parametrize(
    "text", ["Q: Is he up?\nA: Yes.\nA: No.", "Q: Is he up?\nA: Yes.\nQ: How?\nQ: So?\nA: So."]
)
def test_too_few_good_turns_are_refused(text: str) -> None:
    with pytest.raises(Rejected):
        parse_good(job("conversation"), text if "How" not in text else text.replace("A: Yes.\n", ""))


PLAIN = st.from_regex(r"[A-Z][a-z]{1,9}( [a-z']{1,9}){0,6}", fullmatch=True)


TURNS = st.lists(
    st.tuples(PLAIN.map(lambda q: f"{q}?"), PLAIN.map(lambda a: f"{a}.")), min_size=2, max_size=5
).map(tuple)


@settings(max_examples=40, deadline=None)
@given(TURNS, st.sampled_from(sorted(CONVERSATIONS.values())))
def test_plain_words_survive_every_style(turns: Turns, form: str) -> None:
    assert parse(job("conversation"), written(turns, form)) == turns


UNITS = [
    "# ",
    "#",
    "**a**\n",
    "Q\n",
    "A. \n",
    "Complex ",
    "ai ",
    "Person",
    "(((",
    "## q?\n",
    "**q?**\n",
    "Q:\n\n",
]
UNITS += ["A:\n# 1\n", " \n", "Q:\nA:\n"]


@pytest.mark.parametrize("unit", UNITS)
def test_hostile_replies_are_read_in_no_time(unit: str) -> None:
    began = time.process_time()
    for kind in MODEL_KINDS:
        with contextlib.suppress(Rejected):
            parse_good(job(kind), unit * (LONGEST // 2 // len(unit)))
    assert time.process_time() - began < 3
