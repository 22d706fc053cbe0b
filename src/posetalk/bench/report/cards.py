"""Cards of a report's page: the best and the worst answers of a model, and wrong ones, with their photos."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from posetalk.bench.answers.review import Review
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.questions.questions import Question, drawn
from posetalk.bench.report.report import ModelResults, fingerprints, scores_of
from posetalk.errors import PosetalkError
from posetalk.formats.paths import find_image
from posetalk.images.opening import read_image
from posetalk.pages.render import render

SIDE, QUALITY = 400, 68  # px of a photo's longer side, and of JPEG
BEST, WRONG = 3, 6  # best and worst open answers, and wrong closed ones, that are shown of each model


class Thumbnails:
    """Small photos as HTML, each read once. faults: a sentence for each that is there and cannot be read."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._made, self.faults = folder, {"": ""}, list[str]()

    def __call__(self, name: str) -> str:
        if name not in self._made:
            self._made[name] = self._small(name)
        return self._made[name]

    def _small(self, name: str) -> str:
        if self._folder is None or (path := find_image(self._folder, name)) is None:
            return ""
        try:
            small = Image.fromarray(read_image(path))
        except PosetalkError as error:
            self.faults.append(str(error))
            return ""
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=QUALITY, optimize=True)
        data = base64.b64encode(file.getvalue()).decode()
        return render("photo.html.jinja", data=data, size=small.size, name=name)


@dataclass(frozen=True, slots=True)
class Card:
    """One question with its answer. photo: HTML. look: good or bad. rows: names and texts, the question first."""

    photo: str
    kind: str
    score: str
    look: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Cards of one model under one title."""

    model: str
    title: str
    cards: tuple[Card, ...]


def examples(
    model: ModelResults, closed: Sequence[Question], opened: OpenSet | None, photos: Thumbnails
) -> list[Examples]:
    """The best and the worst open answers of a model, and some closed ones that are wrong; those there are."""
    parts = []
    scores = scores_of(model.reviews)
    ranked = sorted(scores, key=lambda q: (scores[q][1] - scores[q][0], q))  # the reference's lead
    best = ranked[: min(BEST, -(-len(ranked) // 2))]
    worst = ranked[: len(best) - 1 : -1][:BEST] if best else []
    for title, some, look in (("best answers", best, "good"), ("worst answers", worst, "bad")):
        cards = [_open_card(model, q, scores[q], opened, photos, look) for q in some if opened]
        parts.append(Examples(model.name, title, tuple(cards)))
    found = fingerprints(model.answers, closed)
    wrong = [q for q in closed if q.id in model.answers and found[q.id] != "right"]
    wrong.sort(key=lambda q: drawn("shown", q.id))
    cards = [_closed_card(model, q, found[q.id], photos) for q in wrong[:WRONG]]
    parts.append(Examples(model.name, "some wrong answers", tuple(cards)))
    return [part for part in parts if part.cards]


def _open_card(
    model: ModelResults,
    name: str,
    scores: tuple[float, float],
    opened: OpenSet,
    photos: Thumbnails,
    look: str,
) -> Card:
    question = next(q for q in opened.questions if q.id == name)
    answer = model.answers.get(name)
    said = [(f"judge, who saw the {r.first} first", _why(r)) for r in model.reviews if r.question == name]
    rows = (
        ("asked", question.text),
        ("answer", answer.text if answer else "not given here"),
        ("reference", question.reference),
        *said,
    )
    score = f"{scores[0]:g} beside the reference's {scores[1]:g}"
    return Card(photos(question.image), question.category, score, look, rows)


def _why(review: Review) -> str:
    """The judge's reason, out of its JSON, and the scores; else its words as they are."""
    try:
        why = json.loads(review.content)["why"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return review.content
    if review.scores is None:
        return review.content
    return f"{why} (reference {review.scores[0]:g}, answer {review.scores[1]:g})"


def _closed_card(model: ModelResults, question: Question, mark: str, photos: Thumbnails) -> Card:
    evidence = "\n".join(
        f"{one.who}: {one.key if one.value else f'not {one.key}'}"
        + "".join(f", {name} {value:g}" for name, value in one.numbers)
        for one in question.evidence
    )
    rows = (
        ("asked", question.prompt),
        ("answer", model.answers[question.id].text),
        ("right", question.right),
        ("because", evidence),
    )
    return Card(photos(question.image), question.kind, mark, "bad", rows)
