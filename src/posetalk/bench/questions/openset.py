"""Open questions, which a model answers in its own words, and references for a judge to compare with.

After E-HPAUB of LLaVA-Pose (arXiv:2506.21317). The files (questions, references and contexts) are those of LLaVA-Bench.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage
from posetalk.types import Box, PoseImage
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.writer import write
from posetalk.write.from_model.context import grounded
from posetalk.write.questions.ask import can_ask
from posetalk.write.questions.lines import read_lines, write_lines
from posetalk.write.questions.questions import stable_hash
from posetalk.write.samples.contamination import ContaminationCheck
from posetalk.write.samples.sample import MODEL_KINDS, Kind
from posetalk.write.screening.rules import gives_away

MAX_IMAGES = 90
TRIES = 8  # conversations that are written until a turn of one can be understood alone
CATEGORIES: dict[Kind, str] = {"conversation": "conv", "detail": "detail", "reasoning": "complex"}
QUESTIONS, REFERENCES, CONTEXTS = "questions.jsonl", "references.jsonl", "context.jsonl"
_ADVICE = "build the benchmark again"
_PRONOUN = re.compile(r"\b(?:he|she|they|him|her|them|his|hers|their|theirs)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(r"^(?:Yes|No)\b")


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that is answered in free text.

    Attributes:
        id: Id of the question.
        image: File name of the image.
        text: The question.
        category: LLaVA's category: `conv`, `detail` or `complex`.
        reference: The answer that a model's answer is compared with.
    """

    id: str
    image: str
    text: str
    category: str
    reference: str


@dataclass(frozen=True, slots=True)
class ImageContext:
    """The description of an image that a judge gets instead of the image.

    Attributes:
        image: File name of the image.
        captions: Captions of the image.
        instances: Category and box of each person and then of each object. Boxes are left, top, right and bottom as
            shares of the image's width and height, origin top left, three decimals.
        facts: Lines on what is true, false and unknown of each person.
    """

    image: str
    captions: tuple[str, ...]
    instances: tuple[tuple[str, tuple[float, float, float, float]], ...]
    facts: str


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Open questions.

    Attributes:
        questions: The questions with their references.
        contexts: Descriptions of the images, by file name.
        notes: Sentences on how the set was built.
    """

    questions: tuple[OpenQuestion, ...]
    contexts: dict[str, ImageContext]
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write the three files. Raises PosetalkError where this fails."""
        write_lines(
            (
                {"question_id": q.id, "image": q.image, "text": q.text, "category": q.category}
                for q in self.questions
            ),
            folder / QUESTIONS,
        )
        # without `answer_id` LLaVA's judge takes the id of the question for that of the reference
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
    """Read the open questions of a folder: posetalk's files, or LLaVA-Bench's under the same names.

    Raises:
        PosetalkError: A file is missing or cannot be read, or a question has no reference or context.
    """
    references: dict[str, str] = dict(
        read_lines(folder / REFERENCES, lambda row: (str(row["question_id"]), str(row["text"])), _ADVICE)
    )
    contexts = {context.image: context for context in read_lines(folder / CONTEXTS, _parse_context, _ADVICE)}

    def question(row: Any) -> OpenQuestion:
        name, image = str(row["question_id"]), str(row["image"])
        if name not in references or image not in contexts:
            raise PosetalkError(
                f"the question {name} has no {'context' if name in references else 'reference'}"
            )
        return OpenQuestion(name, image, str(row["text"]), str(row["category"]), references[name])

    return OpenSet(tuple(read_lines(folder / QUESTIONS, question, _ADVICE)), contexts)


_Stratum = tuple[str, int]  # posture of the largest person, number of people
_Candidate = tuple[int, PoseImage, list[OpenQuestion], ImageContext]  # order in its stratum, ...


def build_open(
    images: Iterable[AnnotatedImage],
    keypoint_names: Sequence[str],
    *,
    training_data: Sequence[Path] = (),
    seed: int = 0,
    max_images: int = MAX_IMAGES,
) -> OpenSet:
    """Build the open set: three questions for each image, with references written from facts and captions.

    Only images in which everybody is large and well labelled, and for which all three kinds can be written. The images
    are stratified by the posture of the largest person and the number of people; the order within a stratum depends on
    the image and the seed alone.

    Args:
        images: The annotated images.
        keypoint_names: Names of their keypoints.
        training_data: Files of instruction data, whose images are left out.
        seed: Seed of text and selection.
        max_images: Largest number of images.

    Raises:
        PosetalkError: No image is left, the size of an image is unknown, a file of instruction data cannot be read, or
            `max_images` is below 1.
    """
    if max_images < 1:
        raise PosetalkError(f"{max_images} images make no benchmark; give at least 1")
    contamination = ContaminationCheck(training_data)
    strata: dict[_Stratum, list[_Candidate]] = defaultdict(list)
    for annotated in contamination.unseen(images):
        scene = scene_facts(annotated.image, tuple(keypoint_names), annotated.things, annotated.captions)
        if not can_ask(annotated, scene):
            continue
        captions = [text for text in annotated.captions if not gives_away(text)]
        questions = list(_questions(annotated, scene, captions, seed))
        if len(questions) == len(MODEL_KINDS):
            stratum = (_posture(scene), min(len(scene.people), 3))
            order = stable_hash(seed, "open", annotated.image.id)
            context = _image_context(annotated, scene, captions)
            strata[stratum].append((order, annotated.image, questions, context))
    if not strata:
        raise PosetalkError(
            "of no image all three kinds of questions can be written; give more images, with captions"
        )
    sample = _sample_evenly(strata, max_images)
    counts = Counter(stratum for stratum, _ in sample)
    notes = [*contamination.notes]
    if len(sample) < max_images:
        notes.append(f"only {len(sample)} images could be used, not {max_images}")
    parts = (
        f"{posture}, {people}{'+' if people == 3 else ''} people: {counts[posture, people]}"
        for posture, people in sorted(counts)
    )
    notes.append(f"{len(sample)} images by the largest person's posture; {'; '.join(parts)}")
    candidates = sorted((candidate for _, candidate in sample), key=lambda candidate: candidate[1].id)
    return OpenSet(
        tuple(question for _, _, questions, _ in candidates for question in questions),
        {context.image: context for *_, context in candidates},
        tuple(notes),
    )


def _sample_evenly(
    strata: dict[_Stratum, list[_Candidate]], max_images: int
) -> list[tuple[_Stratum, _Candidate]]:
    """The first image of each stratum, then the second of each, and so on, up to `max_images`."""
    ranked = [
        (rank, stratum, candidate)
        for stratum, candidates in strata.items()
        for rank, candidate in enumerate(sorted(candidates, key=lambda candidate: candidate[0]))
    ]
    ranked.sort(key=lambda row: (row[0], row[2][0]))
    return [(stratum, candidate) for _, stratum, candidate in ranked[:max_images]]


def _posture(scene: Scene) -> str:
    largest = max(scene.people, key=lambda figure: figure.box.area)
    postures = (
        fact.predicate
        for fact in largest.facts.true
        if fact.part == "body" and "facing" not in fact.predicate
    )
    return next(postures, "not known")


def _questions(
    annotated: AnnotatedImage, scene: Scene, captions: Sequence[str], seed: int
) -> Iterator[OpenQuestion]:
    """A question of each kind: the turn of a conversation with the longest answer that is no yes or no.

    The turn must be clear without the turns before it, so its question names whom it means by "he" or "their".
    """
    image, names = annotated.image, [subject.name for subject in subjects(scene, captions)]
    for kind in MODEL_KINDS:
        for attempt in range(TRIES):
            turns = [
                (question, answer)
                for question, answer in write(scene, captions, kind, seed + attempt) or ()
                if not _YES_OR_NO.match(answer)
                and (not _PRONOUN.search(question) or any(name in question.lower() for name in names))
            ]
            if turns:
                text, reference = max(turns, key=lambda turn: len(turn[1]))
                yield OpenQuestion(f"{image.id}-{kind}", image.name, text, CATEGORIES[kind], reference)
                break


def _image_context(annotated: AnnotatedImage, scene: Scene, captions: Sequence[str]) -> ImageContext:
    image = annotated.image
    facts = grounded(image, scene, ())
    boxes = [("person", figure.box) for figure in scene.people]
    boxes += [(thing.name, thing.box) for thing in annotated.things]
    instances = tuple((name, _relative_box(box, image)) for name, box in boxes)
    return ImageContext(image.name, tuple(captions), instances, facts)


def _relative_box(box: Box, image: PoseImage) -> tuple[float, float, float, float]:
    assert image.width and image.height  # `grounded` refuses images without a size
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


def _parse_context(row: Any) -> ImageContext:
    """A context of a decoded line; LLaVA's own have no facts."""
    instances = []
    for instance in row["instances"]:
        left, top, right, bottom = (float(value) for value in instance["bbox"])
        instances.append((str(instance["category"]), (left, top, right, bottom)))
    captions = tuple(str(text) for text in row["captions"])
    return ImageContext(str(row["image"]), captions, tuple(instances), str(row.get("facts", "")))
