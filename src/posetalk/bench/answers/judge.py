"""Requests to a judge, a language model on a server, which sees the reference and a model's answer in both orders."""

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

MAX_TOKENS = 256  # longest reply, in tokens
_KIND: dict[str, Kind] = {category: kind for kind, category in CATEGORIES.items()}


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference and a model's answer, in the order (`first`) in which the judge sees them."""

    question: OpenQuestion
    answer: ModelAnswer
    first: Literal["reference", "candidate"]

    @property
    def shown(self) -> tuple[str, str]:
        """The two texts in the order in which the judge sees them."""
        texts = (self.question.reference, self.answer.text)
        return texts if self.first == "reference" else texts[::-1]


def pairs_of(open_set: OpenSet, answers: Mapping[str, ModelAnswer]) -> list[Pair]:
    """Two pairs, one for each order, for every open question that has an answer (`answers`, by question id)."""
    return [
        Pair(question, answers[question.id], first)
        for question in open_set.questions
        if question.id in answers
        for first in ("reference", "candidate")
    ]


def requests_of(pairs: Iterable[Pair], contexts: Mapping[str, ImageContext]) -> Iterator[ChatRequest]:
    """One request to the judge for each pair. `contexts` is by image name."""
    system, user = _prompt()
    for pair in pairs:
        question = pair.question
        first, second = (_quoted(text) for text in pair.shown)
        fields = {
            "context": _context_text(contexts[question.image]),
            "question": question.text,
            "first": first,
            "second": second,
        }
        # one pass, because the texts may contain such braces too
        text = re.sub(r"\{(\w+)\}", lambda match, fields=fields: fields[match[1]], user)  # type: ignore[misc]
        messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
        name = f"{pair.answer.model} {question.id} {pair.first} first"
        yield ChatRequest(
            name, 0, question.image, _KIND.get(question.category, "reasoning"), messages, SCHEMA, MAX_TOKENS
        )


def accept(request: ChatRequest, reply: str) -> Turns:
    """The two scores as text, for the ledger. Raises Rejected where the reply has none."""
    first, second = read_scores(reply)
    return ((f"{first:g}", f"{second:g}"),)


def reviews_of(pairs: Sequence[Pair], outcomes: Iterable[Outcome], judge: str) -> list[Review]:
    """A review for each pair. It has no scores where the judge's reply has none, or where there is no reply.

    A question has no review until both orders were asked.
    """
    judged = list(zip(pairs, outcomes, strict=True))
    unasked = {pair.question.id for pair, outcome in judged if outcome.failure == UNASKED}
    return [_review(pair, outcome, judge) for pair, outcome in judged if pair.question.id not in unasked]


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
    """The system's and the user's part of the prompt."""
    text = resource_text("bench/answers/prompts/judge.md")
    _, system, user = re.split(r"^# \w+\n", text, flags=re.MULTILINE)
    return system.strip(), user.strip()


def _context_text(context: ImageContext) -> str:
    lines = [f"caption: {text}" for text in context.captions]
    lines += [
        f"{name}: from {left:g}, {top:g} to {right:g}, {bottom:g}"
        for name, (left, top, right, bottom) in context.instances
    ]
    return "\n".join([*lines, *([context.facts] if context.facts else [])])


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in (text.strip() or "(nothing)").splitlines())
