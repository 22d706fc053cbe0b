"""The judge-free set: questions of all pictures, balanced so that nothing can be guessed, and tried without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.bench.questions.ask import counts_people, questions_of
from posetalk.bench.questions.blind import blind_baseline, blind_score, without_given_away
from posetalk.bench.questions.contamination import ContaminationCheck
from posetalk.bench.questions.lines import read_lines, write_lines
from posetalk.bench.questions.questions import KINDS, Question, drawn, read_questions, write_questions
from posetalk.errors import PosetalkError
from posetalk.facts.scene import scene_facts
from posetalk.formats.annotated import AnnotatedImage

CLOSED, BLIND = "closed.jsonl", "blind.jsonl"
EACH = 10  # questions of the same words and the same right answer, at most


@dataclass(frozen=True, slots=True)
class ClosedSet:
    """solved: of each question, in what share of rounds it was guessed without the picture. notes: what to tell."""

    questions: tuple[Question, ...]
    solved: dict[str, float]
    notes: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """closed.jsonl and blind.jsonl. Errors: a folder that cannot be written."""
        write_questions(self.questions, folder / CLOSED)
        write_lines(
            ({"question_id": name, "solved": share} for name, share in self.solved.items()), folder / BLIND
        )


def read_closed(folder: Path) -> ClosedSet:
    """The judge-free set in a folder. Errors: a file that is missing or cannot be read, one of another set."""
    questions = read_questions(folder / CLOSED)

    def share(row: Any) -> tuple[str, float]:
        return str(row["question_id"]), float(row["solved"])

    solved = dict(read_lines(folder / BLIND, share, "build the benchmark again"))
    if set(solved) != {question.id for question in questions}:
        raise PosetalkError(f"{folder / BLIND} is not of {folder / CLOSED}; build the benchmark again")
    return ClosedSet(tuple(questions), solved, ())


def build_closed(
    pictures: Iterable[AnnotatedImage],
    names: Sequence[str],
    *,
    training: Sequence[Path] = (),
    seed: int = 0,
    each: int = EACH,
) -> ClosedSet:
    """The judge-free set of some pictures. names: of their keypoints; training: files of instruction data.

    Of each wording, about a person named in the same words, yes is as often right as no, and each of the four choices
    as often as the others: of the more frequent answers those are kept that the seed draws first, at most `each`. A
    question's words and choices depend on its picture and the seed alone; which are kept, on the others too.
    Errors: no question left; a training file that cannot be read.
    """
    unseen = ContaminationCheck(training)
    found: list[Question] = []
    unlabelled = False
    for picture in unseen.of(pictures):
        unlabelled |= any(person.is_crowd or not person.labelled.any() for person in picture.image.people)
        found += questions_of(picture, scene_facts(picture.image, tuple(names), picture.things), seed)
    notes = unseen.notes
    if not unlabelled:
        counts = sum(map(counts_people, found))
        found = [question for question in found if not counts_people(question)]
        notes.append(
            "the labels name no crowd and nobody without keypoints, so that nobody knows whether they name everybody: "
            f"{counts:,} questions of how many people there are were left out"
        )
    even = balanced(found, seed, each)
    if not even:
        raise PosetalkError(
            f"no question is left of {len(found):,}: of each wording both answers must be there; give more pictures"
        )
    before = blind_baseline(even)
    notes += [f"guessed without the picture, {line}" for line in _lines(even, before)]
    left, solved = without_given_away(even, before)
    notes.append(f"{len(even) - len(left):,} questions gave their answer away and were dropped")
    if len(left) < len(even):
        notes += [f"guessed after that, {line}" for line in _lines(left, solved)]
    if not left:
        raise PosetalkError("all questions gave their answer away; give more pictures")
    return ClosedSet(tuple(left), solved, tuple(notes))


def balanced(questions: Iterable[Question], seed: int = 0, each: int = EACH) -> list[Question]:
    """As many questions of each right answer as of the others for each wording, in the order of KINDS and ids."""
    groups: dict[tuple[str, frozenset[str]], dict[str, list[Question]]] = defaultdict(dict)
    for question in questions:
        answers = frozenset(question.choices or ("yes", "no"))
        groups[question.text, answers].setdefault(question.right, []).append(question)
    kept: list[Question] = []
    for (_, answers), by_answer in groups.items():
        if len(by_answer) == len(answers):
            many = min(each, *(len(some) for some in by_answer.values()))
            for some in by_answer.values():
                kept += sorted(some, key=lambda q: drawn(seed, "kept", q.id))[:many]
    return sorted(kept, key=lambda q: (KINDS.index(q.kind), q.image_id, q.id))


def _lines(questions: Sequence[Question], solved: dict[str, float]) -> list[str]:
    """What is guessed of yes-or-no questions and of those with choices, as their chance differs."""
    parts = {
        "yes or no": [question for question in questions if not question.choices],
        "four choices": [question for question in questions if question.choices],
    }
    return [f"{name}: {blind_score(some, solved)}" for name, some in parts.items() if some]
