"""Questions that a model answers in its own words, with references to be judged against; after E-HPAUB.

The files are those of LLaVA-Bench: questions, references and contexts, a line each.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.bench.questions.ask import can_ask
from posetalk.bench.questions.contamination import ContaminationCheck
from posetalk.bench.questions.lines import read_lines, write_lines
from posetalk.bench.questions.questions import drawn
from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage
from posetalk.types import Box, PoseImage
from posetalk.write.from_facts.speaker import subjects
from posetalk.write.from_facts.writer import write
from posetalk.write.from_model.context import grounded
from posetalk.write.samples.sample import KINDS, Kind
from posetalk.write.screening.rules import gives_away

PICTURES = 90
TRIES = 8  # conversations that are written until one has a turn that can stand alone
CATEGORIES: dict[Kind, str] = {"conversation": "conv", "detail": "detail", "reasoning": "complex"}
QUESTIONS, REFERENCES, CONTEXTS = "questions.jsonl", "references.jsonl", "context.jsonl"
_AGAIN = "build the benchmark again"
_PRONOUN = re.compile(r"\b(?:he|she|they|him|her|them|his|hers|their|theirs)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(r"^(?:Yes|No)\b")


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """category: LLaVA's, `conv`, `detail` or `complex`. reference: the answer to be compared with."""

    id: str
    image: str
    text: str
    category: str
    reference: str


@dataclass(frozen=True, slots=True)
class ImageContext:
    """What a judge is told of a picture it does not see.

    instances: (category, left, top, right, bottom in 0..1, three decimals), people first. facts: lines of what is so,
    is surely not so and is not known of everybody.
    """

    image: str
    captions: tuple[str, ...]
    instances: tuple[tuple[str, tuple[float, float, float, float]], ...]
    facts: str


@dataclass(frozen=True, slots=True)
class OpenSet:
    """contexts: by the picture's name. notes: what to tell."""

    questions: tuple[OpenQuestion, ...]
    contexts: dict[str, ImageContext]
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """The three files. Errors: a folder that cannot be written."""
        write_lines(
            (
                {"question_id": q.id, "image": q.image, "text": q.text, "category": q.category}
                for q in self.questions
            ),
            folder / QUESTIONS,
        )
        # `answer_id`: without it LLaVA's judge takes the question's id for the reference
        write_lines(
            (
                {"question_id": q.id, "text": q.reference, "category": q.category, "answer_id": f"{q.id}-ref"}
                for q in self.questions
            ),
            folder / REFERENCES,
        )
        contexts = enumerate(self.contexts.values())
        write_lines(({"id": number, **_row(context)} for number, context in contexts), folder / CONTEXTS)


def read_open(folder: Path) -> OpenSet:
    """The set in a folder, ours or LLaVA-Bench's files under these names.

    Errors: a file that is missing or cannot be read, a line of another form, a question without reference or context.
    """
    references: dict[str, str] = dict(
        read_lines(folder / REFERENCES, lambda row: (str(row["question_id"]), str(row["text"])), _AGAIN)
    )
    contexts = {one.image: one for one in read_lines(folder / CONTEXTS, _context, _AGAIN)}

    def question(row: Any) -> OpenQuestion:
        name, image = str(row["question_id"]), str(row["image"])
        if name not in references or image not in contexts:
            raise PosetalkError(
                f"the question {name} has no {'context' if name in references else 'reference'}"
            )
        return OpenQuestion(name, image, str(row["text"]), str(row["category"]), references[name])

    return OpenSet(tuple(read_lines(folder / QUESTIONS, question, _AGAIN)), contexts)


def build_open(
    pictures: Iterable[AnnotatedImage],
    names: Sequence[str],
    *,
    training: Sequence[Path] = (),
    seed: int = 0,
    most: int = PICTURES,
) -> OpenSet:
    """Three questions each about `most` pictures; references are written from facts and captions.

    Only pictures in which everybody is large and labelled well, of which all three kinds can be written. They are taken
    in turn from strata, by the posture of the largest person and the number of people, and of a stratum in an order
    that depends on the picture and the seed alone. names: of the keypoints; training: files of instruction data.
    Errors: none left; a training file that cannot be read, a picture whose size is not known.
    """
    if most < 1:
        raise PosetalkError(f"{most} pictures make no benchmark; give at least 1")
    unseen = ContaminationCheck(training)
    strata: dict[tuple[str, int], list[tuple[int, PoseImage, list[OpenQuestion], ImageContext]]] = (
        defaultdict(list)
    )
    for picture in unseen.of(pictures):
        scene = scene_facts(picture.image, tuple(names), picture.things)
        if not can_ask(picture, scene):
            continue
        captions = [text for text in picture.captions if not gives_away(text)]
        questions = list(_questions(picture, scene, captions, seed))
        if len(questions) == len(KINDS):
            stratum = (_posture(scene), min(len(scene.people), 3))
            order = drawn(seed, "open", picture.image.id)
            context = _told(picture, scene, captions)
            strata[stratum].append((order, picture.image, questions, context))
    if not strata:
        raise PosetalkError(
            "of no picture all three kinds of questions can be written; give more pictures, with captions"
        )
    chosen = _in_turn(strata, most)
    counts = Counter(key for key, _ in chosen)
    notes = [*unseen.notes]
    if len(chosen) < most:
        notes.append(f"only {len(chosen)} pictures could be used, not {most}")
    parts = (
        f"{posture}, {people}{'+' if people == 3 else ''} people: {counts[posture, people]}"
        for posture, people in sorted(counts)
    )
    notes.append(f"{len(chosen)} pictures by the largest person's posture; {'; '.join(parts)}")
    rows = sorted((row for _, row in chosen), key=lambda row: row[1].id)
    found = tuple(question for _, _, questions, _ in rows for question in questions)
    return OpenSet(found, {context.image: context for *_, context in rows}, tuple(notes))


_Row = tuple[int, PoseImage, list[OpenQuestion], ImageContext]


def _in_turn(strata: dict[tuple[str, int], list[_Row]], most: int) -> list[tuple[tuple[str, int], _Row]]:
    """One of each stratum, then another of each, until there are `most`."""
    ranked = [
        (rank, key, row)
        for key, rows in strata.items()
        for rank, row in enumerate(sorted(rows, key=lambda row: row[0]))
    ]
    ranked.sort(key=lambda one: (one[0], one[2][0]))
    return [(key, row) for _, key, row in ranked[:most]]


def _posture(scene: Scene) -> str:
    largest = max(scene.people, key=lambda figure: figure.box.area)
    true = [
        fact.predicate
        for fact in largest.facts.true
        if fact.part == "body" and "facing" not in fact.predicate
    ]
    return true[0] if true else "not known"


def _questions(
    picture: AnnotatedImage, scene: Scene, captions: Sequence[str], seed: int
) -> Iterator[OpenQuestion]:
    """One of each kind; of a conversation the turn with the longest answer, which is no yes or no.

    Only turns that can be understood without those before: their question names whom it means by "he" or "their".
    """
    image, names = picture.image, [subject.name for subject in subjects(scene, captions)]
    for kind in KINDS:
        for more in range(TRIES):
            turns = [
                (question, answer)
                for question, answer in write(scene, captions, kind, seed + more) or ()
                if not _YES_OR_NO.match(answer)
                and (not _PRONOUN.search(question) or any(name in question.lower() for name in names))
            ]
            if turns:
                text, reference = max(turns, key=lambda turn: len(turn[1]))
                yield OpenQuestion(f"{image.id}-{kind}", image.name, text, CATEGORIES[kind], reference)
                break


def _told(picture: AnnotatedImage, scene: Scene, captions: Sequence[str]) -> ImageContext:
    image = picture.image
    facts = grounded(image, scene, ())
    boxes = [("person", figure.box) for figure in scene.people]
    boxes += [(thing.name, thing.box) for thing in picture.things]
    instances = tuple((name, _shares(box, image)) for name, box in boxes)
    return ImageContext(image.name, tuple(captions), instances, facts)


def _shares(box: Box, image: PoseImage) -> tuple[float, float, float, float]:
    assert image.width and image.height  # `grounded` has refused others
    left, top, right, bottom = (
        round(max(0.0, min(1.0, value / size)), 3)
        for value, size in zip(box.xyxy, (image.width, image.height) * 2, strict=True)
    )
    return left, top, right, bottom


def _row(context: ImageContext) -> dict[str, Any]:
    instances = [{"category": name, "bbox": list(box)} for name, box in context.instances]
    return {
        "image": context.image,
        "captions": list(context.captions),
        "instances": instances,
        "facts": context.facts,
    }


def _context(row: Any) -> ImageContext:
    """LLaVA's own have no facts."""
    boxes = []
    for one in row["instances"]:
        left, top, right, bottom = (float(value) for value in one["bbox"])
        boxes.append((str(one["category"]), (left, top, right, bottom)))
    captions = tuple(str(text) for text in row["captions"])
    return ImageContext(str(row["image"]), captions, tuple(boxes), str(row.get("facts", "")))
