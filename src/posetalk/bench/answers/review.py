"""Files of models' answers and of a judge's reviews, in LLaVA's JSON lines.

A review's `tuple` holds the score of the reference and then that of the candidate, whichever the judge saw first, so
that LLaVA's rule (mean of the second over mean of the first) holds over both orders. Two keys are not LLaVA's: `first`,
where the candidate was shown first, and `reviewer_id`, the judge, where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posetalk.errors import PosetalkError
from posetalk.write.questions.lines import read_lines, write_lines

MIN_SCORE, MAX_SCORE = 1.0, 10.0  # range of scores
_FAILED = (-1, -1)  # how LLaVA writes a review without scores


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A model's answer to one question.

    Attributes:
        question: Id of the question.
        prompt: The question as it was asked.
        text: The model's reply.
        id: Id of the answer; it depends on the text.
        model: Name of the model.
        metadata: Fingerprints of the model (`weights`, `served`) and of the image (`photo`); `refused` where the server
            says that the model refused.
    """

    question: str
    prompt: str
    text: str
    id: str
    model: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The answer as a JSON object of the file."""
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
        """Read a decoded line; the prompt, its id and the metadata may be missing."""
        question = str(row["question_id"])
        name, metadata = str(row.get("answer_id", question)), dict(row.get("metadata") or {})
        return cls(
            question, str(row.get("prompt", "")), str(row["text"]), name, str(row["model_id"]), metadata
        )


@dataclass(frozen=True, slots=True)
class Review:
    """A judge's scores of one answer to an open question.

    Attributes:
        question: Id of the question.
        category: LLaVA's category of the question.
        reference: Id of the reference.
        candidate: Id of the model's answer.
        content: The whole reply of the judge.
        scores: Scores of reference and candidate, 1 to 10; None where the reply holds none that can be read.
        first: Which of the two was shown first.
        judge: Name of the judge.
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
        """The review as a JSON object of the file; `number` is its place there, from 1."""
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
        """Read a decoded line. Scores outside 1 to 10, such as LLaVA's -1, count as none.

        Raises:
            PosetalkError: `first` is neither reference nor candidate.
        """
        reference, candidate = (float(score) for score in row["tuple"])
        valid = all(
            math.isfinite(score) and MIN_SCORE <= score <= MAX_SCORE for score in (reference, candidate)
        )
        if row.get("first", "reference") not in ("reference", "candidate"):
            raise PosetalkError(f"its first, {row['first']!r}, is neither reference nor candidate")
        return cls(
            str(row["question_id"]),
            str(row["category"]),
            str(row["answer1_id"]),
            str(row["answer2_id"]),
            str(row["content"]),
            (reference, candidate) if valid else None,
            "candidate" if row.get("first") == "candidate" else "reference",
            str(row.get("reviewer_id", "")),
        )


def write_answers(answers: Iterable[ModelAnswer], path: Path) -> None:
    """Write a file of answers. Raises PosetalkError where it cannot be written."""
    write_lines((answer.row() for answer in answers), path)


def read_answers(path: Path) -> dict[str, ModelAnswer]:
    """Read a file of one model's answers.

    Returns:
        Answers by the id of their question.

    Raises:
        PosetalkError: The file or a line cannot be read, has answers of two models, or answers a question twice.
    """
    answers: dict[str, ModelAnswer] = {}
    for answer in read_lines(path, ModelAnswer.of, "let the model answer again"):
        if answer.question in answers:
            raise PosetalkError(f"{path} answers {answer.question} twice; let the model answer again")
        if answers and answer.model != (model := next(iter(answers.values())).model):
            raise PosetalkError(
                f"{path} has answers of {model} and {answer.model}; give each model its own file"
            )
        answers[answer.question] = answer
    return answers


def write_reviews(reviews: Iterable[Review], path: Path) -> None:
    """Write a file of reviews. Raises PosetalkError where it cannot be written."""
    write_lines((review.row(number) for number, review in enumerate(reviews, 1)), path)


def read_reviews(path: Path) -> list[Review]:
    """Read a file of reviews.

    Raises:
        PosetalkError: The file or a line cannot be read, or reviews a question twice in the same order.
    """
    reviews: dict[tuple[str, str], Review] = {}
    for review in read_lines(path, Review.of, "let the judge review again"):
        if (review.question, review.first) in reviews:
            raise PosetalkError(
                f"{path} reviews {review.question} twice with the {review.first} first; let the judge review again"
            )
        reviews[review.question, review.first] = review
    return list(reviews.values())
