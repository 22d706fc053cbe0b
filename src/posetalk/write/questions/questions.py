"""Questions with one right answer, which follows from facts, and their file, which LLaVA's scripts can read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from posetalk.errors import PosetalkError
from posetalk.types import Box
from posetalk.write.questions.lines import read_lines, write_lines

Kind = Literal["posture", "facing", "arms", "legs", "hands", "head", "actions", "people", "objects"]
KINDS: tuple[Kind, ...] = (
    *("posture", "facing", "arms", "legs", "hands"),
    "head",  # of earlier files; a turned head is not asked about any more
    *("actions", "people", "objects"),
)
LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact that decides a question.

    Attributes:
        who: Whose fact it is: `person 1`, counted from the left.
        key: Key of the fact.
        value: Whether it is true.
        numbers: The measurements behind it.
        rests_on: What it rests on: `joints`, `captions 3 of 5`, `object horse at 12,40 200x180`.
    """

    who: str
    key: str
    value: bool
    numbers: tuple[tuple[str, float], ...] = ()
    rests_on: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """The evidence as a JSON object of the file."""
        return {
            "who": self.who,
            "fact": self.key,
            "holds": self.value,
            "numbers": dict(self.numbers),
            "rests_on": list(self.rests_on),
        }


@dataclass(frozen=True, slots=True)
class Question:
    """A question with one right answer.

    Attributes:
        id: Image, person and template; unique in its file.
        image_id: Id of the image in its annotations.
        image: File name of the image.
        kind: What the question is about.
        form: Name of the template.
        text: The question without its choices.
        choices: Four choices, or none where the answer is yes or no.
        answer: `yes`, `no`, or a letter from `A` to `D`.
        evidence: The facts that make the answer right and the other choices wrong.
        marks: Whom and what it is about: `person 1` or an object's name, and its box in px of the full image.
        size: Width and height of the full image in px, by its labels; None where they do not say it.
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
    marks: tuple[tuple[str, Box], ...] = ()
    size: tuple[int, int] | None = None

    @property
    def chance(self) -> float:
        """Accuracy of guessing, 0 to 1."""
        return 1 / (len(self.choices) or 2)

    @property
    def right(self) -> str:
        """The right answer in words."""
        return self.choices[LETTERS.index(self.answer)] if self.choices else self.answer

    @property
    def prompt(self) -> str:
        """The text that a model gets, choices included."""
        if not self.choices:
            return f"{self.text}\nAnswer yes or no."
        lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, self.choices, strict=False)]
        return "\n".join([self.text, *lines, "Answer with the letter of the right choice."])

    def row(self) -> dict[str, Any]:
        """The question in LLaVA's form, with more keys, which its scripts ignore."""
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
            "evidence": [evidence.row() for evidence in self.evidence],
            "marks": [{"who": who, "box": list(box.xywh)} for who, box in self.marks],
            "size": list(self.size) if self.size else None,
        }

    @classmethod
    def of(cls, row: Any) -> Question:
        """Read a decoded line.

        Raises:
            PosetalkError: It is no question; the sentence gives the reason alone.
        """
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
                str(fact["who"]),
                str(fact["fact"]),
                bool(fact["holds"]),
                tuple((str(name), float(value)) for name, value in fact["numbers"].items()),
                tuple(map(str, fact.get("rests_on", ()))),
            )
            for fact in row["evidence"]
        )
        kind = cast(Kind, row["category"])
        form, text, image = str(row["form"]), str(row["question"]), str(row["image"])
        marks = tuple((str(mark["who"]), Box(*map(float, mark["box"]))) for mark in row.get("marks", ()))
        width, height = row.get("size") or (0, 0)
        return cls(
            str(row["question_id"]),
            int(row["image_id"]),
            image,
            kind,
            form,
            text,
            choices,
            answer,
            evidence,
            marks,
            (int(width), int(height)) if width and height else None,
        )


def write_questions(questions: Iterable[Question], path: Path) -> None:
    """Write a file of questions. Raises PosetalkError where it cannot be written."""
    write_lines((question.row() for question in questions), path)


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions.

    Raises:
        PosetalkError: The file cannot be read or is empty, a line is no question, or an id occurs twice.
    """
    questions: dict[str, Question] = {}
    for question in read_lines(path, Question.of, "build the questions again"):
        if question.id in questions:
            raise PosetalkError(f"{path} has the question {question.id} twice; build the questions again")
        questions[question.id] = question
    return list(questions.values())


def stable_hash(*parts: object) -> int:
    """A pseudo-random number of 64 bits that depends on `parts` alone, so that no question changes another's."""
    return int.from_bytes(hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest())
