"""The page on which a person confirms or strikes keys: one HTML file that opens offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from posetalk.atomic_files import write_text
from posetalk.bench.review.keys import KeyReview, key_of
from posetalk.errors import PosetalkError
from posetalk.formats.paths import find_image
from posetalk.images.small import small_jpeg
from posetalk.pages.render import render, script_of
from posetalk.write.questions.questions import LETTERS, Question

SIDE, QUALITY = 900, 80  # longer side of a photo in px, JPEG quality: a wrist can be seen in it


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo. data: base64 of a JPEG; size: of the labels, which the boxes refer to."""

    name: str
    data: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Key:
    """A question to be looked at. photo: its number; choices: each with its letter and whether it is the key;
    evidence: a line for each fact; verdict: `right`, `wrong` or empty."""

    question: Question
    photo: int
    key: str
    choices: tuple[tuple[str, str, bool], ...]
    evidence: tuple[str, ...]
    verdict: str


def write_review_page(
    questions: Sequence[Question], review: KeyReview, images: Path, out: Path
) -> tuple[int, list[str]]:
    """Write the page.

    Args:
        questions: Questions with one right answer.
        review: What was said of them before, which the page begins with.
        images: Folder of the photos.
        out: The HTML file.

    Returns:
        Number of questions on the page, and sentences on those whose photo is missing or cannot be read.

    Raises:
        PosetalkError: No photo can be shown, or the file cannot be written.
    """
    photos, faults = _photos(questions, images)
    numbers = {name: number for number, name in enumerate(photos)}
    shown = sorted((q for q in questions if q.image in photos), key=lambda q: (numbers[q.image], q.id))
    if not shown:
        raise PosetalkError(f"{images} has no photo of these questions; give the folder of the images")
    keys = [_shown_key(question, numbers[question.image], review) for question in shown]
    of_photo = [list(group) for _, group in groupby(keys, key=lambda key: key.photo)]
    script, script_hash = script_of("review.js")
    text = render(
        "review.html.jinja",
        title="Are the keys right?",
        script=script,
        script_hash=script_hash,
        mark=hashlib.blake2b(json.dumps([key.key for key in keys]).encode(), digest_size=8).hexdigest(),
        photos=list(zip(photos.values(), of_photo, strict=True)),
        keys=keys,
    )
    write_text(out, text)
    if len(shown) < len(questions):
        faults.insert(
            0, f"{len(questions) - len(shown):,} questions whose photo is missing or cannot be read"
        )
    return len(shown), faults


def _photos(questions: Iterable[Question], images: Path) -> tuple[dict[str, _Photo], list[str]]:
    """Each photo once, by its name in the questions; and a sentence for each that cannot be read."""
    photos, faults = dict[str, _Photo](), list[str]()
    sizes = {question.image: question.size for question in questions}
    for name, size in sorted(sizes.items()):
        if (path := find_image(images, name)) is None:
            continue
        try:
            small = small_jpeg(path, SIDE, QUALITY)
        except PosetalkError as error:
            faults.append(str(error))
            continue
        photos[name] = _Photo(name, base64.b64encode(small.jpeg).decode(), size or small.full_size)
    return photos, faults


def _shown_key(question: Question, photo: int, review: KeyReview) -> _Key:
    choices = tuple(
        (letter, choice, letter == question.answer)
        for letter, choice in zip(LETTERS, question.choices, strict=False)
    ) or tuple(("", answer, answer == question.answer) for answer in ("yes", "no"))
    evidence = tuple(
        ", ".join(
            (
                f"{fact.who}: {fact.key if fact.value else f'not {fact.key}'}",
                *(f"{name} {value:g}" for name, value in fact.numbers),
                *(entry for entry in fact.rests_on if entry != "joints"),
            )
        )
        for fact in question.evidence
    )
    verdict = {True: "right", False: "wrong", None: ""}[review.right.get(question.id)]
    return _Key(question, photo, key_of(question), choices, evidence, verdict)
