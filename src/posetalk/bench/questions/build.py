"""Build the closed set: questions with one right answer, balanced and filtered so that they cannot be guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.bench.questions.blind import blind_baseline, blind_score, drop_guessable
from posetalk.errors import PosetalkError
from posetalk.facts.scene import scene_facts
from posetalk.formats.annotated import AnnotatedImage
from posetalk.write.questions.ask import counts_people, questions_of
from posetalk.write.questions.lines import read_lines, write_lines
from posetalk.write.questions.questions import KINDS, Question, read_questions, stable_hash, write_questions
from posetalk.write.samples.contamination import ContaminationCheck

CLOSED, BLIND = "closed.jsonl", "blind.jsonl"
MAX_PER_ANSWER = 10  # questions with the same text and the same right answer


@dataclass(frozen=True, slots=True)
class ClosedSet:
    """Questions with one right answer, which need no judge.

    Attributes:
        questions: The questions.
        solved: Question id -> share of rounds in which it was guessed without the image.
        notes: Sentences on how the set was built.
    """

    questions: tuple[Question, ...]
    solved: dict[str, float]
    notes: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write closed.jsonl and blind.jsonl. Raises PosetalkError where this fails."""
        write_questions(self.questions, folder / CLOSED)
        write_lines(
            ({"question_id": name, "solved": share} for name, share in self.solved.items()), folder / BLIND
        )


def read_closed(folder: Path) -> ClosedSet:
    """Read the closed set of a folder.

    Raises:
        PosetalkError: A file is missing or cannot be read, or the two files do not belong together.
    """
    questions = read_questions(folder / CLOSED)

    def share(row: Any) -> tuple[str, float]:
        return str(row["question_id"]), float(row["solved"])

    solved = dict(read_lines(folder / BLIND, share, "build the benchmark again"))
    if set(solved) != {question.id for question in questions}:
        raise PosetalkError(f"{folder / BLIND} is not of {folder / CLOSED}; build the benchmark again")
    return ClosedSet(tuple(questions), solved, ())


def build_closed(
    images: Iterable[AnnotatedImage],
    keypoint_names: Sequence[str],
    *,
    training_data: Sequence[Path] = (),
    seed: int = 0,
    max_per_answer: int = MAX_PER_ANSWER,
) -> ClosedSet:
    """Build the closed set.

    For each question text, yes is right as often as no, and each of the four choices as often as the others; surplus
    questions are dropped at random. The text and choices of a question depend on its image and the seed alone; whether
    it is dropped depends on the other images too.

    Args:
        images: The annotated images.
        keypoint_names: Names of their keypoints.
        training_data: Files of instruction data, whose images are left out.
        seed: Seed of text, order of choices and selection.
        max_per_answer: Largest number of questions with the same text and the same right answer.

    Raises:
        PosetalkError: No question is left, or a file of instruction data cannot be read.
    """
    contamination = ContaminationCheck(training_data)
    questions: list[Question] = []
    unlabelled, several = False, set[int]()
    for annotated in contamination.unseen(images):
        unlabelled |= any(person.is_crowd or not person.labelled.any() for person in annotated.image.people)
        scene = scene_facts(annotated.image, tuple(keypoint_names), annotated.things, annotated.captions)
        questions += questions_of(annotated, scene, seed)
        several |= {annotated.image.id} if len(scene.people) > 1 else set()
    notes = contamination.notes
    if not unlabelled:
        sure = [q for q in questions if not counts_people(q) and q.image_id not in several]
        notes.append(
            "the labels name no crowd and nobody without keypoints, so that nobody knows whether they name everybody: "
            f"{len(questions) - len(sure):,} questions of how many people there are, or of one among several, were "
            "left out"
        )
        questions = sure
    candidates = balanced(questions, seed, max_per_answer)
    if not candidates:
        raise PosetalkError(
            f"no question is left of {len(questions):,}: of each wording both answers must be there; give more "
            "images"
        )
    baseline = blind_baseline(candidates)
    notes += [f"guessed without the image, {line}" for line in _blind_lines(candidates, baseline)]
    remaining, solved = drop_guessable(candidates, baseline)
    notes.append(f"{len(candidates) - len(remaining):,} questions gave their answer away and were dropped")
    if len(remaining) < len(candidates):
        notes += [f"guessed after that, {line}" for line in _blind_lines(remaining, solved)]
    if not remaining:
        raise PosetalkError("all questions gave their answer away; give more images")
    return ClosedSet(tuple(remaining), solved, tuple(notes))


def balanced(
    questions: Iterable[Question], seed: int = 0, max_per_answer: int = MAX_PER_ANSWER
) -> list[Question]:
    """For each text as many questions of each right answer as of the others, in the order of KINDS and ids."""
    groups: dict[tuple[str, frozenset[str]], dict[str, list[Question]]] = defaultdict(dict)
    for question in questions:
        answers = frozenset(question.choices or ("yes", "no"))
        groups[question.text, answers].setdefault(question.right, []).append(question)
    selection: list[Question] = []
    for (_, answers), by_answer in groups.items():
        if len(by_answer) == len(answers):
            count = min(max_per_answer, *(len(group) for group in by_answer.values()))
            for group in by_answer.values():
                selection += sorted(group, key=lambda q: stable_hash(seed, "kept", q.id))[:count]
    return sorted(selection, key=lambda q: (KINDS.index(q.kind), q.image_id, q.id))


def _blind_lines(questions: Sequence[Question], solved: dict[str, float]) -> list[str]:
    """Blind accuracy of yes-or-no questions and of those with choices; their chance differs."""
    parts = {
        "yes or no": [question for question in questions if not question.choices],
        "four choices": [question for question in questions if question.choices],
    }
    return [f"{name}: {blind_score(part, solved)}" for name, part in parts.items() if part]
