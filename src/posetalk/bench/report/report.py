"""The numbers of a benchmark: scores relative to the references, and accuracy on questions with one right answer.

compare.py has the intervals and tests.
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
from posetalk.bench.report.compare import (
    FEW,
    KindScore,
    PairedDifference,
    Scores,
    number_of,
    paired,
    share_of,
)
from posetalk.errors import PosetalkError
from posetalk.write.questions.questions import KINDS, Question

ALL = "all"


@dataclass(frozen=True, slots=True)
class ModelResults:
    """The results of one model.

    Attributes:
        name: Name of the model.
        answers: Answers to closed and open questions, by question id.
        reviews: A judge's reviews of the open answers.
    """

    name: str
    answers: Mapping[str, ModelAnswer] = field(default_factory=dict)
    reviews: Sequence[Review] = ()


@dataclass(frozen=True, slots=True)
class RelativeScores:
    """Scores of open answers.

    Attributes:
        numbers: Scores of the model as a percentage of the references' scores, by category and for `all`.
        judged: Number of reviews with scores.
        failed: Number of reviews without scores.
        left_out: Number of questions with a failed review. They are left out, so that both orders weigh the same.
        first: Position bias: points by which an answer scores higher when it is shown first instead of second; None
            where the judge saw one order only.
    """

    numbers: tuple[KindScore, ...]
    judged: int
    failed: int
    left_out: int
    first: KindScore | None


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Accuracy on closed questions.

    Attributes:
        numbers: Share of right answers, 0 to 1, by kind, by form of answer and for `all`.
        missing: Number of questions without an answer, which count as wrong.
        unreadable: Number of answers that could not be parsed, which count as wrong.
    """

    numbers: tuple[KindScore, ...]
    missing: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The numbers of a benchmark.

    Attributes:
        models: Names of the models.
        relative: Scores of open answers, by model.
        accuracy: Accuracy on closed questions, by model.
        tests: Differences between every two models.
        chance: Accuracy of random guessing, by kind.
        blind: Accuracy of the classifier that does not see the image, by kind.
        judge: Name of the judge; empty where there is none or it is unknown.
        keys: How many right answers a person confirmed and struck, in words; empty where none was looked at.
    """

    models: tuple[str, ...]
    relative: dict[str, RelativeScores]
    accuracy: dict[str, Accuracies]
    tests: tuple[PairedDifference, ...]
    chance: dict[str, float]
    blind: dict[str, KindScore]
    judge: str = ""
    keys: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "models": list(self.models),
            "judge": self.judge,
            "keys": self.keys,
            "relative_score": {name: asdict(scores) for name, scores in self.relative.items()},
            "accuracy": {name: asdict(scores) for name, scores in self.accuracy.items()},
            "tests": [asdict(test) for test in self.tests],
            "chance": self.chance,
            "blind": {kind: asdict(number) for kind, number in self.blind.items()},
            "intervals": "95 %, percentile bootstrap over images, 1,000 draws; of shares of fewer than "
            f"{FEW} images, and of shares without spread, and blind: Wilson",
            "test": "permutation: two models change places in half of the images, 10,000 rounds, two-sided",
        }

    def save(self, folder: Path) -> None:
        """Write report.json. Raises PosetalkError where this fails."""
        write_text(folder / "report.json", json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")


def make_report(
    models: Sequence[ModelResults],
    closed: Sequence[Question] = (),
    solved: Mapping[str, float] | None = None,
    open_set: OpenSet | None = None,
) -> BenchReport:
    """Compute the numbers of a benchmark.

    Args:
        models: Results of the models.
        closed: Questions with one right answer.
        solved: How often each of them was guessed without its image (`blind_baseline`).
        open_set: The open questions, to which the reviews belong.

    Raises:
        PosetalkError: There is no model or nothing to report, two models share a name, or reviews are by two judges or
            of questions that are not in the set.
    """
    names = [model.name for model in models]
    if not names:
        raise PosetalkError("no model has answered yet; have one answer first: posetalk bench answer")
    if len(set(names)) < len(names):
        raise PosetalkError(f"{len(names)} models ({', '.join(names)}) cannot be told apart; name each once")
    judge = _check_reviews(models, open_set)
    judged = {model.name: scores_of(model.reviews) for model in models if model.reviews}
    correct = {
        model.name: correctness(model.answers, closed)
        for model in models
        if any(question.id in model.answers for question in closed)
    }
    if not judged and not correct:
        raise PosetalkError(
            "there is neither an answer to a question with one right answer nor a review; answer or judge first"
        )
    images = {q.id: q.image for q in open_set.questions} if open_set else {}
    closed_images = {question.id: question.image for question in closed}
    accuracy_scores = {name: _accuracy_scores(outcomes) for name, outcomes in correct.items()}
    groups = _groups(closed)
    blind: dict[str, KindScore] = {}
    for kind, questions in groups if solved is not None else []:
        score = blind_score(questions, dict(solved or {}))
        blind[kind] = KindScore(kind, score.n, score.accuracy, score.interval)
    return BenchReport(
        tuple(names),
        {m.name: _relative(m.reviews, judged[m.name], images) for m in models if m.name in judged},
        {m.name: _accuracy(correct[m.name], closed) for m in models if m.name in correct},
        (*paired("relative score", judged, images), *paired("accuracy", accuracy_scores, closed_images)),
        {kind: sum(q.chance for q in questions) / len(questions) for kind, questions in groups},
        blind,
        judge,
    )


def correctness(answers: Mapping[str, ModelAnswer], closed: Iterable[Question]) -> dict[str, str]:
    """Compare answers with the right ones.

    Args:
        answers: Answers by question id.
        closed: The questions.

    Returns:
        Question id -> `right`, `wrong`, `unreadable` or `missing`.
    """
    outcomes = {}
    for question in closed:
        if question.id not in answers:
            outcomes[question.id] = "missing"
            continue
        answer = answer_of(answers[question.id].text, question.choices)
        outcomes[question.id] = (
            "unreadable" if answer is None else "right" if answer == question.answer else "wrong"
        )
    return outcomes


def _check_reviews(models: Sequence[ModelResults], open_set: OpenSet | None) -> str:
    """Refuse reviews of other questions and by several judges; returns the judge."""
    known = {question.id for question in open_set.questions} if open_set else set()
    for model in models:
        unknown = next((review for review in model.reviews if review.question not in known), None)
        if unknown is not None:
            raise PosetalkError(
                f"the reviews of {model.name} have a question {unknown.question} that is not in the benchmark; "
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
    """Question id -> scores of candidate and reference, means over the orders. A failed review drops its question."""
    by_question: dict[str, list[Review]] = {}
    for review in reviews:
        by_question.setdefault(review.question, []).append(review)
    means = {}
    for question, question_reviews in by_question.items():
        scores = [review.scores for review in question_reviews if review.scores is not None]
        if len(scores) == len(question_reviews):
            reference, candidate = np.mean(scores, axis=0)
            means[question] = (float(candidate), float(reference))
    return means


def _relative(reviews: Sequence[Review], scores: Scores, images: Mapping[str, str]) -> RelativeScores:
    category = {review.question: review.category for review in reviews}
    order = [*CATEGORIES.values(), *sorted({*category.values()} - {*CATEGORIES.values()})]
    groups = [(name, [q for q in scores if category[q] == name]) for name in order]
    numbers = tuple(
        number_of(name, {q: scores[q] for q in questions}, images, 100)
        for name, questions in [*groups, (ALL, list(scores))]
        if questions
    )
    by_order: dict[str, dict[str, float]] = {}  # question -> which was shown first -> score of the candidate
    for review in reviews:
        if review.scores is not None:
            by_order.setdefault(review.question, {})[review.first] = review.scores[1]
    bias = {q: (s["candidate"] - s["reference"], 1.0) for q, s in by_order.items() if len(s) == 2}
    return RelativeScores(
        numbers,
        judged=sum(review.scores is not None for review in reviews),
        failed=sum(review.scores is None for review in reviews),
        left_out=len(category) - len(scores),
        first=number_of("shown first", bias, images) if bias else None,
    )


def _accuracy(outcomes: Mapping[str, str], closed: Sequence[Question]) -> Accuracies:
    scores = _accuracy_scores(outcomes)
    images = {question.id: question.image for question in closed}
    return Accuracies(
        tuple(
            share_of(name, {q.id: scores[q.id] for q in questions}, images)
            for name, questions in _groups(closed)
        ),
        missing=sum(outcome == "missing" for outcome in outcomes.values()),
        unreadable=sum(outcome == "unreadable" for outcome in outcomes.values()),
    )


def _accuracy_scores(outcomes: Mapping[str, str]) -> Scores:
    return {question: (float(outcome == "right"), 1.0) for question, outcome in outcomes.items()}


def _groups(closed: Sequence[Question]) -> list[tuple[str, list[Question]]]:
    """The questions of each kind, of each form of answer, and all."""
    groups: list[tuple[str, list[Question]]] = [
        (kind, [q for q in closed if q.kind == kind]) for kind in KINDS
    ]
    groups.append(("yes or no", [q for q in closed if not q.choices]))
    groups.append(("four choices", [q for q in closed if q.choices]))
    return [(name, questions) for name, questions in [*groups, (ALL, list(closed))] if questions]
