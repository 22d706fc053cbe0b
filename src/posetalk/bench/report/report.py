"""The numbers of a benchmark: how models stand beside the references, how many questions they answer rightly.

See compare.py for intervals and tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from posetalk.atomic_files import write_text
from posetalk.bench.answers.parse import answer_of
from posetalk.bench.answers.review import ModelAnswer, Review
from posetalk.bench.questions.blind import blind_score
from posetalk.bench.questions.openset import CATEGORIES, OpenSet
from posetalk.bench.questions.questions import KINDS, Question
from posetalk.bench.report.compare import KindScore, PairedDifference, Scores, number_of, paired
from posetalk.errors import PosetalkError

ALL = "all"


@dataclass(frozen=True, slots=True)
class ModelResults:
    """What one model did. answers: to closed and open questions, by the question's id; reviews: of its open answers."""

    name: str
    answers: Mapping[str, ModelAnswer] = field(default_factory=dict)
    reviews: Sequence[Review] = ()


@dataclass(frozen=True, slots=True)
class RelativeScores:
    """Open answers: the candidate's scores as a share of the references', times 100, by category and `all`.

    judged: reviews with scores; failed: those without. left_out: questions of which a review failed, which count
    nowhere, so that both orders weigh the same. first: by how much more the same answer scored when the judge saw it
    first than second, in points, with its interval; None where the judge saw one order only.
    """

    numbers: tuple[KindScore, ...]
    judged: int
    failed: int
    left_out: int
    first: KindScore | None


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Closed answers: the share that is right, by kind and `all`.

    missing: questions that the model did not answer; unreadable: answers from which nothing could be read. Both count
    as wrong.
    """

    numbers: tuple[KindScore, ...]
    missing: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What `posetalk bench` found.

    chance, blind: by kind, of guessing and of the classifier that sees no picture. judge: its name, where it is known.
    """

    models: tuple[str, ...]
    relative: dict[str, RelativeScores]
    accuracy: dict[str, Accuracies]
    tests: tuple[PairedDifference, ...]
    chance: dict[str, float]
    blind: dict[str, KindScore]
    judge: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "judge": self.judge,
            "relative_score": {name: asdict(found) for name, found in self.relative.items()},
            "accuracy": {name: asdict(found) for name, found in self.accuracy.items()},
            "tests": [asdict(test) for test in self.tests],
            "chance": self.chance,
            "blind": {kind: asdict(number) for kind, number in self.blind.items()},
            "intervals": "95 %, percentile bootstrap over pictures, 1,000 draws; blind: Wilson",
            "test": "permutation: two models change places in half of the pictures, 10,000 rounds, two-sided",
        }

    def save(self, folder: Path) -> None:
        """report.json. Errors: a folder that cannot be written."""
        write_text(folder / "report.json", json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")


def report(
    models: Sequence[ModelResults],
    closed: Sequence[Question] = (),
    solved: Mapping[str, float] | None = None,
    opened: OpenSet | None = None,
) -> BenchReport:
    """closed: the judge-free set, with how often each question was guessed without its picture (`blind`); opened: the
    set to which the reviews belong.

    Errors: two models of one name, no model, reviews of questions that are not in the set or by two judges, nothing to
    report.
    """
    names = [model.name for model in models]
    if len(set(names)) < len(names) or not names:
        raise PosetalkError(f"{len(names)} models ({', '.join(names)}) cannot be told apart; name each once")
    judge = _check_reviews(models, opened)
    judged = {model.name: scores_of(model.reviews) for model in models if model.reviews}
    right = {
        model.name: fingerprints(model.answers, closed)
        for model in models
        if any(question.id in model.answers for question in closed)
    }
    if not judged and not right:
        raise PosetalkError(
            "there is neither an answer to the judge-free set nor a review; answer or judge first"
        )
    images = {q.id: q.image for q in opened.questions} if opened else {}
    tests = [*paired("relative score", judged, images), *paired("accuracy", _ones(right), _images(closed))]
    blind: dict[str, KindScore] = {}
    for kind, some in _parts(closed) if solved is not None else []:
        found = blind_score(some, dict(solved or {}))
        blind[kind] = KindScore(kind, found.n, found.accuracy, found.interval)
    return BenchReport(
        tuple(names),
        {m.name: _relative(m.reviews, judged[m.name], images) for m in models if m.name in judged},
        {m.name: _accuracy(right[m.name], closed) for m in models if m.name in right},
        tuple(tests),
        {kind: sum(q.chance for q in some) / len(some) for kind, some in _parts(closed)},
        blind,
        judge,
    )


def fingerprints(answers: Mapping[str, ModelAnswer], closed: Iterable[Question]) -> dict[str, str]:
    """Question id -> `right`, `wrong`, `unreadable` or `missing`."""
    found = {}
    for question in closed:
        answer = answers.get(question.id)
        said = None if answer is None else answer_of(answer.text, question.choices)
        found[question.id] = (
            "missing"
            if answer is None
            else "unreadable"
            if said is None
            else "right"
            if said == question.answer
            else "wrong"
        )
    return found


def _check_reviews(models: Sequence[ModelResults], opened: OpenSet | None) -> str:
    """The judge."""
    known = {question.id for question in opened.questions} if opened else set()
    for model in models:
        strange = next((review for review in model.reviews if review.question not in known), None)
        if strange is not None:
            raise PosetalkError(
                f"the reviews of {model.name} have a question {strange.question} that is not in the benchmark; "
                "give the benchmark that was answered"
            )
    judges = sorted({review.judge for model in models for review in model.reviews})
    if len(judges) > 1:
        raise PosetalkError(
            f"the reviews are by {len(judges)} judges ({', '.join(map(repr, judges))}), who share no scale; "
            "let one judge all"
        )
    return judges[0] if judges else ""


def scores_of(reviews: Iterable[Review]) -> Scores:
    """Candidate's and reference's score of each question, a mean over the orders; none where one of them failed."""
    found: dict[str, list[Review]] = {}
    for review in reviews:
        found.setdefault(review.question, []).append(review)
    scores = {name: [r.scores for r in some if r.scores is not None] for name, some in found.items()}
    return {
        name: (float(np.mean([two for _, two in some])), float(np.mean([one for one, _ in some])))
        for name, some in scores.items()
        if len(some) == len(found[name])
    }


def _relative(reviews: Sequence[Review], scores: Scores, images: Mapping[str, str]) -> RelativeScores:
    category = {review.question: review.category for review in reviews}
    order = [*CATEGORIES.values(), *sorted({*category.values()} - {*CATEGORIES.values()})]
    parts = [(name, [q for q in scores if category[q] == name]) for name in order]
    numbers = tuple(
        number_of(name, {q: scores[q] for q in some}, images, 100)
        for name, some in [*parts, (ALL, list(scores))]
        if some
    )
    shown: dict[str, dict[str, float]] = {}
    for review in reviews:
        if review.scores is not None:
            shown.setdefault(review.question, {})[review.first] = review.scores[1]
    twice = {q: (s["candidate"] - s["reference"], 1.0) for q, s in shown.items() if len(s) == 2}
    return RelativeScores(
        numbers,
        judged=sum(review.scores is not None for review in reviews),
        failed=sum(review.scores is None for review in reviews),
        left_out=len(category) - len(scores),
        first=number_of("shown first", twice, images) if twice else None,
    )


def _accuracy(found: Mapping[str, str], closed: Sequence[Question]) -> Accuracies:
    scores, images = _ones({"": found})[""], _images(closed)
    counts = list(found.values())
    return Accuracies(
        tuple(number_of(name, {q.id: scores[q.id] for q in some}, images) for name, some in _parts(closed)),
        missing=counts.count("missing"),
        unreadable=counts.count("unreadable"),
    )


def _parts(closed: Sequence[Question]) -> list[tuple[str, list[Question]]]:
    """The questions of each kind, of each form of answer, and all."""
    parts: list[tuple[str, list[Question]]] = [
        (kind, [q for q in closed if q.kind == kind]) for kind in KINDS
    ]
    parts.append(("yes or no", [q for q in closed if not q.choices]))
    parts.append(("four choices", [q for q in closed if q.choices]))
    return [(name, some) for name, some in [*parts, (ALL, list(closed))] if some]


def _ones(right: Mapping[str, Mapping[str, str]]) -> dict[str, Scores]:
    return {
        name: {q: (float(mark == "right"), 1.0) for q, mark in found.items()} for name, found in right.items()
    }


def _images(closed: Iterable[Question]) -> dict[str, str]:
    return {question.id: question.image for question in closed}
