"""What can be guessed without the picture: a classifier of words alone, and the questions that it gives away.

Naive Bayes over a question's words, pairs of words and whole text; of the choices over their words and their letter.
It learns from four fifths of the questions and answers the others, ROUNDS times over with other fifths. Questions of
the same text and right answer are spread evenly over the fifths: otherwise a set that is balanced to the last question
would be answered worse than by chance, as what is left out tips the rest the other way.
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

from posetalk.bench.questions.questions import LETTERS, Question, drawn
from posetalk.bench.report.stats import wilson
from posetalk.types import Floats

FOLDS, ROUNDS = 5, 5
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class BlindScore:
    """A share of questions that were guessed, beside chance. right: their number, a mean over the rounds."""

    n: int
    right: float
    chance: float

    @property
    def accuracy(self) -> float:
        return self.right / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float] | None:
        return wilson(self.right, self.n)

    @property
    def leaks(self) -> bool:
        """Whether guessing is surely better than chance: the whole interval is above it."""
        return self.interval is not None and self.interval[0] > self.chance

    def __str__(self) -> str:
        low, high = self.interval or (math.nan, math.nan)
        return (
            f"{self.accuracy:.3f} of {self.n:,} ({low:.3f} to {high:.3f}, 95 % by Wilson; "
            f"chance {self.chance:.3f})"
        )


def blind_baseline(questions: Sequence[Question]) -> dict[str, float]:
    """Question id -> in what share of the rounds it was answered rightly without the picture, 0..1."""
    solved = {question.id: 0.0 for question in questions}
    for kind in (False, True):
        some = [question for question in questions if bool(question.choices) is kind]
        words = _Words(some)
        for number in range(ROUNDS if some else 0):
            folds = _folds(some, number)
            odds = words.odds(folds)
            for place, question in enumerate(some):
                solved[question.id] += words.guess(place, odds[folds[place]], number) == question.answer
    return {name: right / ROUNDS for name, right in solved.items()}


def blind_score(questions: Iterable[Question], solved: dict[str, float]) -> BlindScore:
    """What guessing scores on some questions. solved: as `blind_baseline` gives it, of these and maybe others."""
    some = list(questions)
    chance = sum(question.chance for question in some) / len(some) if some else math.nan
    return BlindScore(len(some), sum(solved[question.id] for question in some), chance)


def without_given_away(
    questions: Sequence[Question], solved: dict[str, float]
) -> tuple[list[Question], dict[str, float]]:
    """The questions that cannot be guessed, in their order, and what is still guessed of them.

    solved: as `blind_baseline`.

    The rule: where the classifier is surely above chance on a form, or on all questions with the same number of choices
    (95 % by Wilson), questions that it solved in every round are dropped until what is left of the form would be at
    chance: of n questions with s solved and chance c, (s - c n) / (1 - c). All solved questions dropped, the rest would
    lean the other way. What is left is guessed at anew, until nothing is above chance, or nothing is solved every time.
    """
    left = list(questions)
    while True:
        dropped: set[str] = set()
        for some in _groups(left):
            found = blind_score(some, solved)
            if not found.leaks or any(question.id in dropped for question in some):
                continue
            surplus = math.ceil((found.right - found.chance * found.n) / (1 - found.chance))
            always = sorted((q for q in some if solved[q.id] == 1), key=lambda q: drawn("dropped", q.id))
            dropped |= {question.id for question in always[:surplus]}
        if not dropped:
            return left, solved
        left = [question for question in left if question.id not in dropped]
        solved = blind_baseline(left)


def _groups(questions: Iterable[Question]) -> list[list[Question]]:
    """The questions of each form, then all with as many choices."""
    found: dict[object, list[Question]] = defaultdict(list)
    for question in questions:
        found[question.form, len(question.choices)].append(question)
    for some in list(found.values()):
        found[len(some[0].choices)] += some
    return list(found.values())


def _folds(questions: Sequence[Question], number: int) -> npt.NDArray[np.int64]:
    """The part of each, 0 to FOLDS - 1; the same text begins with the same part whatever its answer."""
    seen: Counter[tuple[str, str]] = Counter()
    folds = np.zeros(len(questions), np.int64)
    for place in sorted(range(len(questions)), key=lambda i: drawn(number, questions[i].id)):
        question = questions[place]
        stratum = (question.text, question.right)
        folds[place] = (seen[stratum] + drawn(number, question.text)) % FOLDS
        seen[stratum] += 1
    return folds


def _features(question: Question) -> dict[str, list[str]]:
    """Answer -> what speaks for it: the words of the question, those of the choice, its letter."""
    words = re.findall(r"\w+", question.text.lower())
    asked = [question.text, *words, *(" ".join(pair) for pair in pairwise(words))]
    if not question.choices:
        return {answer: [f"{answer}: {feature}" for feature in asked] for answer in ("yes", "no")}
    found = {}
    for letter, choice in zip(LETTERS, question.choices, strict=True):
        own = [choice, *re.findall(r"\w+", choice.lower())]
        found[letter] = [f"letter {letter}", f"{question.text} | {choice}", *own]
    return found


class _Words:
    """The features of some questions, as numbers, and how often each was there with the right answer."""

    def __init__(self, questions: Sequence[Question]) -> None:
        numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers))
        self._names = [question.id for question in questions]
        self._of = [
            {
                answer: np.array([numbers[feature] for feature in some])
                for answer, some in _features(q).items()
            }
            for q in questions
        ]
        # each time a feature is there: which, with which question, and whether its answer was right
        rows = [
            (feature, place, answer == question.answer)
            for place, question in enumerate(questions)
            for answer, some in self._of[place].items()
            for feature in some
        ]
        self._times = np.array(rows, np.int64).reshape(-1, 3)
        self._many = len(numbers)

    def odds(self, folds: npt.NDArray[np.int64]) -> Floats:
        """(FOLDS, features): how much each speaks for an answer, as learned from all parts but this one."""
        feature, place, right = self._times.T
        seen, won = np.zeros((2, FOLDS, self._many))
        np.add.at(seen, (folds[place], feature), 1)
        np.add.at(won, (folds[place], feature), right)
        seen, won = seen.sum(0) - seen, won.sum(0) - won
        return np.asarray(np.log((won + 0.5) / (seen - won + 0.5)))

    def guess(self, place: int, odds: Floats, number: int) -> str:
        """The answer for which most speaks; of several as good, one drawn at random."""
        scores = {answer: float(odds[some].sum()) for answer, some in self._of[place].items()}
        best = max(scores.values())
        ties = [answer for answer, score in scores.items() if score > best - _TIE]
        return ties[drawn("guess", number, self._names[place]) % len(ties)]
