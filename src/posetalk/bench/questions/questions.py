"""A question with one right answer, known from the facts; and the file of them, which LLaVA's scripts read too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from posetalk.bench.questions.lines import read_lines, write_lines
from posetalk.errors import PosetalkError

Kind = Literal["posture", "facing", "arms", "legs", "hands", "head", "people", "objects"]
KINDS: tuple[Kind, ...] = ("posture", "facing", "arms", "legs", "hands", "head", "people", "objects")
LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact that decides a question: whose it is (`person 1`, counted from the left), its key and its numbers."""

    who: str
    key: str
    value: bool
    numbers: tuple[tuple[str, float], ...] = ()

    def row(self) -> dict[str, Any]:
        return {"who": self.who, "fact": self.key, "holds": self.value, "numbers": dict(self.numbers)}


@dataclass(frozen=True, slots=True)
class Question:
    """id: made of the picture, the person and the form, unique in its file. form: which template, and of which fact.

    text: without the choices. choices: four, or none where the answer is yes or no. answer: `yes`, `no`, or `A` to
    `D`. evidence: every fact that makes the answer right and the other choices wrong.
    """

    id: str
    image_id: int
    image: str
    kind: Kind
    form: str
    text: str
    choices: tuple[str, ...]
    answer: str
    evidence: tuple[Evidence, ...]

    @property
    def chance(self) -> float:
        """What guessing scores."""
        return 1 / (len(self.choices) or 2)

    @property
    def right(self) -> str:
        """The right answer in words."""
        return self.choices[LETTERS.index(self.answer)] if self.choices else self.answer

    @property
    def prompt(self) -> str:
        """What a model is asked, choices and all."""
        if not self.choices:
            return f"{self.text}\nAnswer yes or no."
        listed = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, self.choices, strict=False)]
        return "\n".join([self.text, *listed, "Answer with the letter of the right choice."])

    def row(self) -> dict[str, Any]:
        """The question in LLaVA's form, and more keys that its scripts pass over."""
        return {
            "question_id": self.id,
            "image": self.image,
            "text": self.prompt,
            "category": self.kind,
            "image_id": self.image_id,
            "form": self.form,
            "question": self.text,
            "choices": list(self.choices),
            "answer": self.answer,
            "evidence": [one.row() for one in self.evidence],
        }

    @classmethod
    def of(cls, row: Any) -> Question:
        """A question of a decoded line. Errors: PosetalkError with the reason alone."""
        choices = tuple(str(choice) for choice in row["choices"])
        answer = str(row["answer"])
        if len(choices) not in (0, len(LETTERS)):
            raise PosetalkError(f"it has {len(choices)} choices instead of none or {len(LETTERS)}")
        if answer not in (tuple(LETTERS) if choices else ("yes", "no")):
            raise PosetalkError(f"its answer {answer!r} is no answer to it")
        if row["category"] not in KINDS:
            raise PosetalkError(f"its category {row['category']!r} is none of {', '.join(KINDS)}")
        evidence = tuple(
            Evidence(
                str(one["who"]),
                str(one["fact"]),
                bool(one["holds"]),
                tuple((str(name), float(value)) for name, value in one["numbers"].items()),
            )
            for one in row["evidence"]
        )
        kind = cast(Kind, row["category"])
        form, text, image = str(row["form"]), str(row["question"]), str(row["image"])
        return cls(
            str(row["question_id"]), int(row["image_id"]), image, kind, form, text, choices, answer, evidence
        )


def write_questions(questions: Iterable[Question], path: Path) -> None:
    """A line each. Errors: a file that cannot be written."""
    write_lines((question.row() for question in questions), path)


def read_questions(path: Path) -> list[Question]:
    """Errors: a file that cannot be read or is empty, a line that is no question (with its number), an id twice."""
    found: dict[str, Question] = {}
    for question in read_lines(path, Question.of, "build the questions again"):
        if question.id in found:
            raise PosetalkError(f"{path} has the question {question.id} twice; build the questions again")
        found[question.id] = question
    return list(found.values())


def drawn(*of: object) -> int:
    """A number that depends on its words alone: what is drawn of one question changes with no other."""
    return int.from_bytes(hashlib.blake2b(json.dumps(of).encode(), digest_size=8).digest())
