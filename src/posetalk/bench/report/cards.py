"""Cards of a report's page: the best and the worst answers of a model, and wrong ones, with their photos."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from posetalk.bench.answers.review import Review
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.questions.questions import Question, drawn
from posetalk.bench.report.report import ModelResults, fingerprints, scores_of
from posetalk.errors import PosetalkError
from posetalk.formats.paths import find_picture
from posetalk.images.opening import read_image

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
        if self._folder is None or (path := find_picture(self._folder, name)) is None:
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
        w, h = small.size
        return f'<img src="data:image/jpeg;base64,{data}" width="{w}" height="{h}" alt="{escape(name)}">'


def examples(
    model: ModelResults, colour: str, closed: Sequence[Question], opened: OpenSet | None, photos: Thumbnails
) -> str:
    """The best and the worst open answers of a model, and some closed ones that are wrong."""
    parts = []
    named = f'<i class="dot" style="{colour}"></i>{escape(model.name)}: '
    scores = scores_of(model.reviews)
    ranked = sorted(scores, key=lambda q: (scores[q][1] - scores[q][0], q))  # the reference's lead
    best = ranked[: min(BEST, -(-len(ranked) // 2))]
    worst = ranked[: len(best) - 1 : -1][:BEST] if best else []
    for title, some, look in (("best answers", best, "good"), ("worst answers", worst, "bad")):
        cards = [_open_card(model, q, scores[q], opened, photos, look) for q in some if opened]
        if cards:
            parts.append(f'<h3>{named}{title}</h3><div class="cards">{"".join(cards)}</div>')
    found = fingerprints(model.answers, closed)
    wrong = [q for q in closed if q.id in model.answers and found[q.id] != "right"]
    wrong.sort(key=lambda q: drawn("shown", q.id))
    if wrong:
        cards = [_closed_card(model, q, found[q.id], photos) for q in wrong[:WRONG]]
        parts.append(f'<h3>{named}some wrong answers</h3><div class="cards">{"".join(cards)}</div>')
    return "".join(parts)


def _open_card(
    model: ModelResults,
    name: str,
    scores: tuple[float, float],
    opened: OpenSet,
    photos: Thumbnails,
    look: str,
) -> str:
    question = next(q for q in opened.questions if q.id == name)
    answer = model.answers.get(name)
    said = [(f"judge, who saw the {r.first} first", _why(r)) for r in model.reviews if r.question == name]
    rows = [
        ("answer", answer.text if answer else "not given here"),
        ("reference", question.reference),
        *said,
    ]
    score = f"{scores[0]:g} beside the reference's {scores[1]:g}"
    return _card(photos(question.image), question.category, score, look, question.text, rows)


def _why(review: Review) -> str:
    """The judge's reason, out of its JSON, and the scores; else its words as they are."""
    try:
        why = json.loads(review.content)["why"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return review.content
    if review.scores is None:
        return review.content
    return f"{why} (reference {review.scores[0]:g}, answer {review.scores[1]:g})"


def _closed_card(model: ModelResults, question: Question, mark: str, photos: Thumbnails) -> str:
    evidence = "\n".join(
        f"{one.who}: {one.key if one.value else f'not {one.key}'}"
        + "".join(f", {name} {value:g}" for name, value in one.numbers)
        for one in question.evidence
    )
    rows = [("answer", model.answers[question.id].text), ("right", question.right), ("because", evidence)]
    return _card(photos(question.image), question.kind, mark, "bad", question.prompt, rows)


def _card(photo: str, kind: str, score: str, look: str, asked: str, rows: Iterable[tuple[str, str]]) -> str:
    told = "".join(f'<dt>{escape(name)}</dt><dd class="long">{escape(text)}</dd>' for name, text in rows)
    head = f'<header><b>{escape(kind)}</b><em class="{look}">{escape(score)}</em></header>'
    return (
        f'<article>{photo}{head}<dl><dt>asked</dt><dd class="ask">{escape(asked)}</dd>{told}</dl></article>'
    )
