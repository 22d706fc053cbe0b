"""Cards of a report's page: the best and the worst open answers of a model, and wrong closed ones, with images."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posetalk.bench.answers.review import Review
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.report.report import ModelResults, correctness, scores_of
from posetalk.errors import PosetalkError
from posetalk.formats.paths import find_image
from posetalk.images.small import small_jpeg
from posetalk.pages.render import render
from posetalk.write.questions.questions import Question, stable_hash

SIDE, QUALITY = 400, 68  # longer side of an image in pixels, JPEG quality
BEST, WRONG = 3, 6  # cards of each model: best and as many worst open answers, wrong closed answers


class Thumbnails:
    """Small images as HTML, each read once. `faults` has a sentence for each file that cannot be read."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._cache, self.faults = folder, {"": ""}, list[str]()

    def __call__(self, name: str) -> str:
        """HTML of an image by its file name; empty where it is missing or cannot be read."""
        if name not in self._cache:
            self._cache[name] = self._render(name)
        return self._cache[name]

    def _render(self, name: str) -> str:
        if self._folder is None or (path := find_image(self._folder, name)) is None:
            return ""
        try:
            small = small_jpeg(path, SIDE, QUALITY)
        except PosetalkError as error:
            self.faults.append(str(error))
            return ""
        data = base64.b64encode(small.jpeg).decode()
        return render("photo.html.jinja", data=data, size=small.size, name=name)


@dataclass(frozen=True, slots=True)
class Card:
    """One question with its answer.

    Attributes:
        image: HTML of the image.
        kind: Kind of the question.
        score: Score of the answer, as text.
        style: CSS class of the score: `good` or `bad`.
        rows: Labels and texts, the question first.
    """

    image: str
    kind: str
    score: str
    style: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Cards of one model under one title."""

    model: str
    title: str
    cards: tuple[Card, ...]


def examples(
    model: ModelResults, closed: Sequence[Question], open_set: OpenSet | None, thumbnails: Thumbnails
) -> list[Examples]:
    """The best and the worst open answers of a model, and some wrong closed ones."""
    sections = []
    scores = scores_of(model.reviews)
    ranked = sorted(scores, key=lambda q: (scores[q][1] - scores[q][0], q))  # by the lead of the reference
    best = ranked[: min(BEST, -(-len(ranked) // 2))]
    worst = ranked[: len(best) - 1 : -1][:BEST] if best else []
    for title, questions, style in (("best answers", best, "good"), ("worst answers", worst, "bad")):
        cards = [_open_card(model, q, scores[q], open_set, thumbnails, style) for q in questions if open_set]
        sections.append(Examples(model.name, title, tuple(cards)))
    outcomes = correctness(model.answers, closed)
    wrong = [q for q in closed if q.id in model.answers and outcomes[q.id] != "right"]
    wrong.sort(key=lambda q: stable_hash("shown", q.id))
    cards = [_closed_card(model, q, outcomes[q.id], thumbnails) for q in wrong[:WRONG]]
    sections.append(Examples(model.name, "some wrong answers", tuple(cards)))
    return [section for section in sections if section.cards]


def _open_card(
    model: ModelResults,
    name: str,
    scores: tuple[float, float],
    open_set: OpenSet,
    thumbnails: Thumbnails,
    style: str,
) -> Card:
    question = next(q for q in open_set.questions if q.id == name)
    answer = model.answers.get(name)
    reasons = [
        (f"judge, who saw the {r.first} first", _reason(r)) for r in model.reviews if r.question == name
    ]
    rows = (
        ("asked", question.text),
        ("answer", answer.text if answer else "not given here"),
        ("reference", question.reference),
        *reasons,
    )
    score = f"{scores[0]:g} beside the reference's {scores[1]:g}"
    return Card(thumbnails(question.image), question.category, score, style, rows)


def _reason(review: Review) -> str:
    """The judge's reason and scores; the whole reply where it is no JSON or has no scores."""
    try:
        why = json.loads(review.content)["why"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return review.content
    if review.scores is None:
        return review.content
    return f"{why} (reference {review.scores[0]:g}, answer {review.scores[1]:g})"


def _closed_card(model: ModelResults, question: Question, outcome: str, thumbnails: Thumbnails) -> Card:
    evidence = "\n".join(
        f"{fact.who}: {fact.key if fact.value else f'not {fact.key}'}"
        + "".join(f", {name} {value:g}" for name, value in fact.numbers)
        for fact in question.evidence
    )
    rows = (
        ("asked", question.prompt),
        ("answer", model.answers[question.id].text),
        ("right", question.right),
        ("because", evidence),
    )
    return Card(thumbnails(question.image), question.kind, outcome, "bad", rows)
