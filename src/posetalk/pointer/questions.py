"""The questions for the labelled points of people, and the places that the replies to them mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posetalk.bench.answers.answer import AskedQuestion
from posetalk.bench.answers.review import ModelAnswer
from posetalk.errors import PosetalkError
from posetalk.images.opening import upright_size
from posetalk.messages import track
from posetalk.pointer.form import PointForm
from posetalk.pointer.reply import AnsweredPlace, read_places
from posetalk.pointer.view import PhotoView, ViewKind, view_of, write_view
from posetalk.score.metrics import Labels
from posetalk.types import Floats, PoseSet
from posetalk.write.questions.questions import stable_hash

TOKENS_PER_POINT, MORE_TOKENS = 48, 64  # longest answer: for each place asked for, and beside them


@dataclass(frozen=True, slots=True)
class PointQuestion:
    """One request: some points of one person.

    Attributes:
        person: The person's number in the labels.
        points: The points' numbers in the skeleton.
        view: What is shown of the photo.
        asked: The question as a model gets it; its image is what is shown.
    """

    person: int
    points: tuple[int, ...]
    view: PhotoView
    asked: AskedQuestion


def limited(truth: PoseSet, limit: int | None) -> PoseSet:
    """The data set with at most `limit` of its scored people, drawn by a hash of their ids; None for all."""
    if limit is None:
        return truth
    people = [(i.id, p.id) for i, p in truth.people() if not p.is_crowd and p.labelled.any()]
    chosen = set(sorted(people, key=lambda ids: stable_hash("pointer", *map(str, ids)))[:limit])
    images = (
        replace(image, people=tuple(p for p in image.people if (image.id, p.id) in chosen))
        for image in truth.images
    )
    return replace(truth, images=tuple(image for image in images if image.people))


def point_questions(
    labels: Labels,
    form: PointForm,
    folder: Path,
    *,
    kind: ViewKind = "photo",
    side: int = 1024,
    points_per_request: int | None = None,
) -> tuple[list[PointQuestion], list[str]]:
    """The questions for every labelled point, and what is shown for them as files.

    Args:
        labels: The people and their points.
        form: The form.
        folder: Where the pictures that are shown are written, IMAGE.jpg or IMAGE-PERSON.jpg; those that are there stay.
        kind: Whether the whole photo is shown or the person's crop.
        side: The longest side of what is shown, px.
        points_per_request: Points asked for at once; None for the form's number.

    Returns:
        The questions, and a sentence for each photo that cannot be read, whose people are not asked about.
    """
    folder.mkdir(parents=True, exist_ok=True)
    questions: list[PointQuestion] = []
    skipped: dict[Path, str] = {}
    for i, (image, person) in enumerate(track(labels.people, "preparing")):
        if image.path in skipped:
            continue
        try:
            view = view_of(upright_size(image.path), form, side, person.box if kind == "crop" else None)
            name = f"{image.id}-{person.id}" if kind == "crop" else str(image.id)
            shown = folder / f"{name}.jpg"
            if not shown.exists():
                write_view(image.path, view, shown)
        except PosetalkError as error:
            skipped[image.path] = str(error)
            continue
        x1, y1, x2, y2 = person.box.xyxy
        box = (view.to_view((x1, y1)), view.to_view((x2, y2))) if kind == "photo" else None
        points = np.flatnonzero(labels.labelled[i]).tolist()
        count = points_per_request or form.points_per_request
        for part in (points[start : start + count] for start in range(0, len(points), count)):
            prompt = form.ask([labels.skeleton.keypoints[j] for j in part], view.size, box)
            asked = AskedQuestion(
                f"{image.id}-{person.id}-{part[0]}", shown, prompt, MORE_TOKENS + TOKENS_PER_POINT * len(part)
            )
            questions.append(PointQuestion(i, tuple(part), view, asked))
    return questions, list(skipped.values())


def answered_places(
    labels: Labels, form: PointForm, questions: Sequence[PointQuestion], replies: Mapping[str, ModelAnswer]
) -> tuple[Floats, dict[tuple[int, int], AnsweredPlace]]:
    """The places that replies mean.

    Args:
        labels: The people and their points.
        form: The form.
        questions: The questions.
        replies: The replies by the id of their question; some may be missing.

    Returns:
        (n, k, 2) px of the full image, nan for no place; and what became of each point by the numbers of person and
        point.
    """
    xy = np.full(labels.xy.shape, np.nan)
    answers: dict[tuple[int, int], AnsweredPlace] = {}
    for question in questions:
        names = [labels.skeleton.names[j] for j in question.points]
        reply = replies.get(question.asked.id)
        if reply is not None and reply.metadata.get("refused"):
            read = [AnsweredPlace("refused")] * len(names)
        else:
            read = read_places(None if reply is None else reply.text, form, names, question.view.size)
        for j, answer in zip(question.points, read, strict=True):
            answers[question.person, j] = answer
            if answer.place:
                xy[question.person, j] = question.view.to_photo(answer.place)
    return xy, answers
