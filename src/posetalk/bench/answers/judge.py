"""A judge, any chat server with OpenAI's interface, shown the reference and a model's answer in both orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from posetalk.bench.answers.review import ModelAnswer, Review
from posetalk.bench.answers.scores import SCHEMA, read_scores
from posetalk.bench.questions.openset import CATEGORIES, ImageContext, OpenQuestion, OpenSet
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import UNASKED, Outcome
from posetalk.resources import resource_text
from posetalk.write.samples.sample import Kind, Turns

WORDS = 256  # tokens of a reply, at most
_KIND: dict[str, Kind] = {category: kind for kind, category in CATEGORIES.items()}


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference and a candidate as they are shown. first: which of them is the first."""

    question: OpenQuestion
    answer: ModelAnswer
    first: Literal["reference", "candidate"]

    @property
    def shown(self) -> tuple[str, str]:
        texts = (self.question.reference, self.answer.text)
        return texts if self.first == "reference" else texts[::-1]


def pairs_of(opened: OpenSet, answers: Mapping[str, ModelAnswer]) -> list[Pair]:
    """Each question that a model answered, in both orders, one after the other."""
    return [
        Pair(question, answers[question.id], first)
        for question in opened.questions
        if question.id in answers
        for first in ("reference", "candidate")
    ]


def jobs_of(pairs: Iterable[Pair], contexts: Mapping[str, ImageContext]) -> Iterator[ChatRequest]:
    """What the judge is asked, one request a pair. contexts: by the picture's name."""
    system, user = _prompt()
    for pair in pairs:
        question = pair.question
        first, second = (_quoted(text) for text in pair.shown)
        words = {
            "context": _told(contexts[question.image]), "question": question.text, "first": first, "second": second
        }  # fmt: skip
        # in one pass: what is filled in may hold such words too
        asked = re.sub(r"\{(\w+)\}", lambda match, words=words: words[match[1]], user)  # type: ignore[misc]
        messages = ({"role": "system", "content": system}, {"role": "user", "content": asked})
        name = f"{pair.answer.model} {question.id} {pair.first} first"
        yield ChatRequest(
            name, 0, question.image, _KIND.get(question.category, "reasoning"), messages, SCHEMA, WORDS
        )


def accept(job: ChatRequest, reply: str) -> Turns:
    """The two scores, for the ledger. Errors: Rejected."""
    first, second = read_scores(reply)
    return ((f"{first:g}", f"{second:g}"),)


def reviews_of(pairs: Sequence[Pair], outcomes: Iterable[Outcome], judge: str) -> list[Review]:
    """What the judge made of them; without scores where it gave none that can be read, or no answer at all.

    A question of which one order was not asked yet, as the run was stopped, has no review.
    """
    found = list(zip(pairs, outcomes, strict=True))
    unasked = {pair.question.id for pair, outcome in found if outcome.failure == UNASKED}
    return [_review(pair, outcome, judge) for pair, outcome in found if pair.question.id not in unasked]


def _review(pair: Pair, outcome: Outcome, judge: str) -> Review:
    scores = None
    if outcome.turns:
        first, second = (float(score) for score in outcome.turns[0])
        scores = (first, second) if pair.first == "reference" else (second, first)
    content = outcome.reply if outcome.reply or outcome.turns else outcome.failure
    question = pair.question
    return Review(
        question.id,
        question.category,
        f"{question.id}-ref",
        pair.answer.id,
        content,
        scores,
        pair.first,
        judge,
    )


@cache
def _prompt() -> tuple[str, str]:
    """The system's and the user's words."""
    text = resource_text("bench/answers/prompts/judge.md")
    _, system, user = re.split(r"^# \w+\n", text, flags=re.MULTILINE)
    return system.strip(), user.strip()


def _told(context: ImageContext) -> str:
    lines = [f"caption: {text}" for text in context.captions]
    lines += [
        f"{name}: from {left:g}, {top:g} to {right:g}, {bottom:g}"
        for name, (left, top, right, bottom) in context.instances
    ]
    return "\n".join([*lines, *([context.facts] if context.facts else [])])


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in (text.strip() or "(nothing)").splitlines())
