"""Blind baseline: how well a classifier answers without the image, and which questions it makes worthless.

Naive Bayes over a question's words, pairs of words and whole text, and over the words and the letter of a choice. Each
round is a cross-validation over FOLDS folds, and there are ROUNDS rounds with other folds. Questions with the same text
and right answer are spread evenly over the folds. Otherwise, in a perfectly balanced set, the answers that are rarer in
a fold would be more frequent in the rest, and the classifier would do worse than chance.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from posetalk.bench.report.stats import wilson
from posetalk.types import Floats
from posetalk.write.questions.questions import LETTERS, Question, stable_hash

FOLDS, ROUNDS = 5, 5
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class BlindScore:
    """Blind accuracy.

    Attributes:
        n: Number of questions.
        right: How many were guessed, a mean over the rounds.
        chance: Accuracy of random guessing, 0 to 1.
    """

    n: int
    right: float
    chance: float

    @property
    def accuracy(self) -> float:
        """Share of questions that were guessed, 0 to 1."""
        return self.right / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the accuracy (Wilson)."""
        return wilson(self.right, self.n)

    @property
    def leaks(self) -> bool:
        """Whether guessing is better than chance: the whole interval is above it."""
        return self.interval is not None and self.interval[0] > self.chance

    def __str__(self) -> str:
        low, high = self.interval or (math.nan, math.nan)
        return (
            f"{self.accuracy:.3f} of {self.n:,} ({low:.3f} to {high:.3f}, 95 % by Wilson; "
            f"chance {self.chance:.3f})"
        )


def blind_baseline(questions: Sequence[Question]) -> dict[str, float]:
    """Question id -> share of rounds in which the classifier answered rightly without the image, 0 to 1."""
    solved = {question.id: 0.0 for question in questions}
    for with_choices in (False, True):
        group = [question for question in questions if bool(question.choices) is with_choices]
        classifier = _Classifier(group)
        for round_ in range(ROUNDS if group else 0):
            folds = _folds(group, round_)
            log_odds = classifier.log_odds(folds)
            for i, question in enumerate(group):
                solved[question.id] += classifier.guess(i, log_odds[folds[i]], round_) == question.answer
    return {name: right / ROUNDS for name, right in solved.items()}


def blind_score(questions: Iterable[Question], solved: dict[str, float]) -> BlindScore:
    """Blind accuracy on some questions. `solved` is that of `blind_baseline`; it may hold more questions."""
    questions = list(questions)
    chance = sum(question.chance for question in questions) / len(questions) if questions else math.nan
    return BlindScore(len(questions), sum(solved[question.id] for question in questions), chance)


def drop_guessable(
    questions: Sequence[Question], solved: dict[str, float]
) -> tuple[list[Question], dict[str, float]]:
    """Drop questions until the blind classifier is no better than chance.

    Where the classifier is above chance (95 %, Wilson) on a template, or on all questions with the same number of
    choices, questions that it solved in every round are dropped until the rest would be at chance: of n questions with
    s solved and chance c, (s - c n) / (1 - c). Were all solved questions dropped, the rest would be below chance. The
    classifier is then trained anew on the rest, until nothing is above chance or no question is solved in every round.

    Args:
        questions: The questions.
        solved: As `blind_baseline` returns it.

    Returns:
        The remaining questions in their order, and `blind_baseline` of them.
    """
    remaining = list(questions)
    while True:
        dropped: set[str] = set()
        for group in _groups(remaining):
            score = blind_score(group, solved)
            if not score.leaks or any(question.id in dropped for question in group):
                continue
            surplus = math.ceil((score.right - score.chance * score.n) / (1 - score.chance))
            always = (question for question in group if solved[question.id] == 1)
            order = sorted(always, key=lambda q: stable_hash("dropped", q.id))
            dropped |= {question.id for question in order[:surplus]}
        if not dropped:
            return remaining, solved
        remaining = [question for question in remaining if question.id not in dropped]
        solved = blind_baseline(remaining)


def _groups(questions: Iterable[Question]) -> list[list[Question]]:
    """The questions of each template, then all questions with the same number of choices."""
    groups: dict[object, list[Question]] = defaultdict(list)
    for question in questions:
        groups[question.form, len(question.choices)].append(question)
    for group in list(groups.values()):
        groups[len(group[0].choices)] += group
    return list(groups.values())


def _folds(questions: Sequence[Question], round_: int) -> npt.NDArray[np.int64]:
    """Fold of each question, (questions,). Questions with one text start at the same fold whatever their answer."""
    counts: Counter[tuple[str, str]] = Counter()
    folds = np.zeros(len(questions), np.int64)
    for i in sorted(range(len(questions)), key=lambda i: stable_hash(round_, questions[i].id)):
        question = questions[i]
        stratum = (question.text, question.right)
        folds[i] = (counts[stratum] + stable_hash(round_, question.text)) % FOLDS
        counts[stratum] += 1
    return folds


def _features(question: Question) -> dict[str, list[str]]:
    """Answer -> its features: the words of the question, those of the choice, its letter."""
    words = re.findall(r"\w+", question.text.lower())
    text_features = [question.text, *words, *(" ".join(pair) for pair in pairwise(words))]
    if not question.choices:
        return {answer: [f"{answer}: {feature}" for feature in text_features] for answer in ("yes", "no")}
    features = {}
    for letter, choice in zip(LETTERS, question.choices, strict=True):
        choice_features = [choice, *re.findall(r"\w+", choice.lower())]
        features[letter] = [f"letter {letter}", f"{question.text} | {choice}", *choice_features]
    return features


class _Classifier:
    """Naive Bayes over the features of some questions."""

    def __init__(self, questions: Sequence[Question]) -> None:
        indices: defaultdict[str, int] = defaultdict(lambda: len(indices))
        self._ids = [question.id for question in questions]
        self._features = [
            {
                answer: np.array([indices[feature] for feature in features])
                for answer, features in _features(question).items()
            }
            for question in questions
        ]
        # a row for each occurrence: feature, question, whether the answer that it belongs to is right
        rows = [
            (feature, i, answer == question.answer)
            for i, question in enumerate(questions)
            for answer, features in self._features[i].items()
            for feature in features
        ]
        self._occurrences = np.array(rows, np.int64).reshape(-1, 3)
        self._feature_count = len(indices)

    def log_odds(self, folds: npt.NDArray[np.int64]) -> Floats:
        """(FOLDS, features): log odds of a right answer given the feature, from all folds but this one."""
        feature, i, is_right = self._occurrences.T
        total, right = np.zeros((2, FOLDS, self._feature_count))
        np.add.at(total, (folds[i], feature), 1)
        np.add.at(right, (folds[i], feature), is_right)
        total, right = total.sum(0) - total, right.sum(0) - right
        return np.asarray(np.log((right + 0.5) / (total - right + 0.5)))

    def guess(self, i: int, log_odds: Floats, round_: int) -> str:
        """The answer with the largest sum of log odds; ties are broken at random."""
        scores = {answer: float(log_odds[features].sum()) for answer, features in self._features[i].items()}
        best = max(scores.values())
        ties = [answer for answer, score in scores.items() if score > best - _TIE]
        return ties[stable_hash("guess", round_, self._ids[i]) % len(ties)]
