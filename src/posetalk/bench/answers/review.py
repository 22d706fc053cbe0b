"""What models answered and how a judge scored it: LLaVA's answers and reviews, a line each.

A review's `tuple` is the reference's score and the candidate's, in this order, whichever was shown first: LLaVA's rule
(mean of the second over mean of the first) then holds over both orders. Where the candidate was first, one more key,
`first`, says so, and `reviewer_id` names the judge where it is known; all else is as LLaVA's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posetalk.bench.questions.lines import read_lines, write_lines
from posetalk.errors import PosetalkError

LEAST, MOST = 1.0, 10.0  # scores
_FAILED = (-1, -1)  # LLaVA's mark of a review without scores


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """question: its id. prompt: as it was asked. text: the model's words. model: its name."""

    question: str
    prompt: str
    text: str
    id: str
    model: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "question_id": self.question,
            "prompt": self.prompt,
            "text": self.text,
            "answer_id": self.id,
            "model_id": self.model,
            "metadata": self.metadata,
        }

    @classmethod
    def of(cls, row: Any) -> ModelAnswer:
        """An answer of a decoded line; the prompt, its id and the metadata may be missing."""
        question = str(row["question_id"])
        name, metadata = str(row.get("answer_id", question)), dict(row.get("metadata") or {})
        return cls(
            question, str(row.get("prompt", "")), str(row["text"]), name, str(row["model_id"]), metadata
        )


@dataclass(frozen=True, slots=True)
class Review:
    """One judgement of one candidate's answer to an open question.

    reference, candidate: their answers' ids. scores: the reference's and the candidate's, 1..10; None where the judge
    gave none that can be read. first: which was shown first. content: all that the judge said. judge: its name.
    """

    question: str
    category: str
    reference: str
    candidate: str
    content: str
    scores: tuple[float, float] | None
    first: Literal["reference", "candidate"] = "reference"
    judge: str = ""

    def row(self, number: int) -> dict[str, Any]:
        """number: of the review in its file, from 1."""
        row = {
            "id": number,
            "question_id": self.question,
            "answer1_id": self.reference,
            "answer2_id": self.candidate,
            "category": self.category,
            "content": self.content,
            "tuple": list(self.scores or _FAILED),
        }
        row |= {} if self.first == "reference" else {"first": self.first}
        return row | ({"reviewer_id": self.judge} if self.judge else {})

    @classmethod
    def of(cls, row: Any) -> Review:
        """A review of a decoded line; scores out of 1..10, as LLaVA's -1, are a failure. Errors: PosetalkError."""
        one, two = (float(score) for score in row["tuple"])
        known = all(math.isfinite(score) and LEAST <= score <= MOST for score in (one, two))
        if row.get("first", "reference") not in ("reference", "candidate"):
            raise PosetalkError(f"its first, {row['first']!r}, is neither reference nor candidate")
        return cls(
            str(row["question_id"]),
            str(row["category"]),
            str(row["answer1_id"]),
            str(row["answer2_id"]),
            str(row["content"]),
            (one, two) if known else None,
            "candidate" if row.get("first") == "candidate" else "reference",
            str(row.get("reviewer_id", "")),
        )


def write_answers(answers: Iterable[ModelAnswer], path: Path) -> None:
    """Errors: a file that cannot be written."""
    write_lines((answer.row() for answer in answers), path)


def read_answers(path: Path) -> dict[str, ModelAnswer]:
    """By their question. Errors: a file or a line that cannot be read, two models, a question answered twice."""
    found: dict[str, ModelAnswer] = {}
    for answer in read_lines(path, ModelAnswer.of, "let the model answer again"):
        if answer.question in found:
            raise PosetalkError(f"{path} answers {answer.question} twice; let the model answer again")
        if found and answer.model != (model := next(iter(found.values())).model):
            raise PosetalkError(
                f"{path} has answers of {model} and {answer.model}; give each model its own file"
            )
        found[answer.question] = answer
    return found


def write_reviews(reviews: Iterable[Review], path: Path) -> None:
    """Errors: a file that cannot be written."""
    write_lines((review.row(number) for number, review in enumerate(reviews, 1)), path)


def read_reviews(path: Path) -> list[Review]:
    """Errors: a file or a line that cannot be read, a question reviewed twice in the same order."""
    found: dict[tuple[str, str], Review] = {}
    for review in read_lines(path, Review.of, "let the judge review again"):
        if (review.question, review.first) in found:
            raise PosetalkError(
                f"{path} reviews {review.question} twice with the {review.first} first; let the judge review again"
            )
        found[review.question, review.first] = review
    return list(found.values())
