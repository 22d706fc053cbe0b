"""What a person said of the right answers (keys) of a benchmark: keys.jsonl, a line for each key that was looked at.

A line is `{"question_id": ..., "key": ..., "right": true}`. `key` is a digest of the question, its choices and its
right answer, so that a verdict does not pass to another key that is built later under the same id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.write.questions.lines import read_lines, write_lines
from posetalk.write.questions.questions import Question

KEYS = "keys.jsonl"
_ADVICE = "download the page's file again"


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """A person's word on one key. right: False where it was struck."""

    question: str
    key: str
    right: bool

    def row(self) -> dict[str, Any]:
        """The verdict as a JSON object of the file."""
        return {"question_id": self.question, "key": self.key, "right": self.right}

    @classmethod
    def of(cls, row: Any) -> KeyVerdict:
        """Read a decoded line.

        Raises:
            PosetalkError: `right` is neither true nor false.
        """
        if not isinstance(row["right"], bool):
            raise PosetalkError(f"its right, {row['right']!r}, is neither true nor false")
        return cls(str(row["question_id"]), str(row["key"]), row["right"])


@dataclass(frozen=True, slots=True)
class KeyReview:
    """What a person said of the questions of a benchmark.

    Attributes:
        right: Question id -> whether its key was confirmed; without those that nobody looked at.
        outdated: Number of verdicts on keys that the benchmark no longer has.
    """

    right: Mapping[str, bool] = field(default_factory=dict)
    outdated: int = 0

    def struck(self, question: Question) -> bool:
        """Whether a person found the key wrong, or not to be decided on the photo."""
        return self.right.get(question.id) is False

    def kept(self, questions: Sequence[Question]) -> tuple[Question, ...]:
        """The questions with confirmed keys; all that were not struck where no key is confirmed."""
        confirmed = tuple(question for question in questions if self.right.get(question.id))
        return confirmed or tuple(question for question in questions if not self.struck(question))

    def sentences(self, questions: Sequence[Question]) -> list[str]:
        """What `kept` leaves out of these questions, in words; empty where no person looked at a key."""
        confirmed = sum(self.right.get(question.id) is True for question in questions)
        struck = sum(map(self.struck, questions))
        notes = []
        if confirmed or struck:
            unseen = len(questions) - confirmed - struck
            rest = f"{unseen:,} that nobody looked at are {'left out too' if confirmed else 'kept'}"
            notes.append(
                f"of {len(questions):,} keys a person confirmed {confirmed:,} and struck {struck:,}; {rest}"
            )
        if self.outdated:
            notes.append(
                f"{self.outdated:,} verdicts are on keys that were built anew since and count for nothing: "
                "posetalk bench review"
            )
        return notes


def key_of(question: Question) -> str:
    """16 hexadecimal digits that stand for a question, its choices and its right answer."""
    parts = json.dumps([question.image, question.prompt, question.answer])
    return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()


def read_review(folder: Path, questions: Iterable[Question]) -> KeyReview:
    """Read keys.jsonl of a benchmark's folder; an empty review where there is none.

    Raises:
        PosetalkError: The file cannot be read.
    """
    path = folder / KEYS
    if not path.exists():
        return KeyReview()
    verdicts = {verdict.question: verdict for verdict in read_lines(path, KeyVerdict.of, "delete it")}
    now = {question.id: key_of(question) for question in questions}
    right = {v.question: v.right for v in verdicts.values() if now.get(v.question) == v.key}
    return KeyReview(right, len(verdicts) - len(right))


def apply_review(folder: Path, file: Path, questions: Sequence[Question]) -> list[str]:
    """Add the verdicts of a downloaded file to keys.jsonl; a later verdict on a key takes the place of an earlier one.

    Args:
        folder: Folder of the benchmark.
        file: The file that the page gave.
        questions: The closed questions of the benchmark.

    Returns:
        Sentences on what the folder has now.

    Raises:
        PosetalkError: The file cannot be read, or holds no verdict on a key of this benchmark.
    """
    now = {question.id: key_of(question) for question in questions}
    given = list(read_lines(file, KeyVerdict.of, _ADVICE))
    fitting = [verdict for verdict in given if now.get(verdict.question) == verdict.key]
    if not fitting:
        raise PosetalkError(
            f"{file} holds no verdict on a key of {folder}: it is of another benchmark, or the questions were built "
            "anew; make the page again"
        )
    known = read_review(folder, questions).right
    right = dict(known) | {verdict.question: verdict.right for verdict in fitting}
    rows = (KeyVerdict(name, now[name], right[name]).row() for name in now if name in right)
    write_lines(rows, folder / KEYS)
    notes = [f"{folder / KEYS}: {len(fitting):,} verdicts taken"]
    if len(fitting) < len(given):
        notes.append(f"{len(given) - len(fitting):,} are on other keys and were left out")
    return notes + KeyReview(right).sentences(questions)
