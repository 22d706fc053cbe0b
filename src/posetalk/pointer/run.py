"""The evaluation of a pointer: ask a vision-language model for labelled points, score its places, report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posetalk.atomic_files import write_text
from posetalk.bench.answers.answer import (
    AnswerCounts,
    answer_by_server,
    answer_here,
    file_of,
)
from posetalk.bench.answers.review import ModelAnswer, read_answers
from posetalk.bench.answers.run import lazy_model, local_model_name, model_folder
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.formats.described import read_described
from posetalk.formats.files import read_start
from posetalk.formats.masks import read_polygons
from posetalk.images.fit import drop_misfits
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import LEDGER, Ledger
from posetalk.llm.pricing import Price
from posetalk.locate.jobs import labelled_jobs, run_jobs
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction
from posetalk.messages import log
from posetalk.model.fingerprint import model_of
from posetalk.pointer.form import form_name, load_form
from posetalk.pointer.questions import PointQuestion, answered_places, limited, point_questions
from posetalk.pointer.reply import AnsweredPlace, Outcome
from posetalk.pointer.report import OUTCOMES, PointerReport, PointerUsage
from posetalk.pointer.scores import average_places, score_points
from posetalk.pointer.settings import PointerSettings
from posetalk.score.metrics import Labels
from posetalk.score.run import read_others
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import Floats, PoseSet
from posetalk.write.questions.lines import plain

AVERAGE, BUNDLED = "average place", "bundled"
PLACES = "places.jsonl"


def evaluate_pointer(
    settings: PointerSettings,
    out: str | Path,
    *,
    server: ServerSettings | None = None,
    price: Price | None = None,
    compare: Sequence[str | Path] = (),
    device: str | None = None,
    threads: int | None = None,
    batch_size: int = 8,
) -> tuple[PointerReport, AnswerCounts]:
    """Ask a vision-language model for every labelled point of people, and score its places.

    The average place and the bundled model stand beside it on the same people. Run again on the same folder, it asks
    only what has no answer. Notes on the data and what was skipped are logged to the logger "posetalk".

    Args:
        settings: The labels, the model and how it is asked.
        out: The folder for shown/ (the pictures that were shown), answers/ or ledger.sqlite, places.jsonl, report.json
            and report.md.
        server: The server of the model, where `settings.on_server` is set.
        price: What the server's tokens cost.
        compare: Others' predictions.jsonl for the same points of the same people, scored under the files' names.
        device: As `Chat.from_pretrained`, for a model on this machine.
        threads: As `Localizer.from_pretrained`, for the bundled model.
        batch_size: Questions, and people of the bundled model, that are computed at once on this machine.

    Returns:
        The report that was written, and what became of the questions.

    Raises:
        PosetalkError: Labels or predictions that cannot be read or do not fit each other, no such form or model, a
            server that cannot be reached or refuses, `out` holds a run of other settings.
    """
    out, form = Path(out), load_form(settings.form)
    truth, skeleton = read_labels(
        Path(settings.annotations),
        Path(settings.images),
        settings.skeleton,
        first=settings.first,
        last=settings.last,
    )
    truth = limited(truth, settings.limit)
    labels = Labels.of(truth, skeleton)
    if not labels.people:
        raise PosetalkError(f"{settings.annotations} has no labelled point; give other labels")
    others, damaged = read_others([Path(file) for file in compare])
    for name, predictions in others.items():
        _check_names(name, predictions, skeleton)
    with settings.claim(out):
        questions, skipped = point_questions(
            labels,
            form,
            out / "shown",
            kind=settings.view,
            side=settings.image_side,
            points_per_request=settings.points_per_request,
        )
        if not questions:
            raise PosetalkError(f"no photo can be shown; {skipped[0]}")
        replies, counts, usage = _replies(
            questions, settings, out, server, price, device=device, batch_size=batch_size
        )
        counts.skipped[:0] = [*damaged, *skipped]
        xy, answers = answered_places(labels, form, questions, replies)
        found = _bundled(truth, skeleton, out / "bundled.jsonl", threads, batch_size)
        places = {counts.model: xy, AVERAGE: average_places(labels), BUNDLED: labels.predicted_xy(found)}
        places |= {name: labels.predicted_xy(predictions) for name, predictions in others.items()}
        outlines = read_polygons(truth.source) if truth.name == "coco" else {}
        scores = score_points(labels, places, AVERAGE, outlines)
        report = PointerReport(
            model=counts.model,
            form=form_name(settings.form),
            view=settings.view,
            data=truth.source.name,
            people_mark=_mark(labels),
            images=len({image.id for image, _ in labels.people}),
            people=len(labels.people),
            points=int(labels.labelled.sum()),
            scores=scores.pop(counts.model),
            beside=scores,
            outcomes=_outcomes(labels, answers),
            usage=usage,
            counts={name: int(labels.labelled[:, j].sum()) for j, name in enumerate(skeleton.names)},
            notes=_notes(truth, labels),
        )
        _write_places(out / PLACES, labels, answers, xy)
        report.save(out)
    return report, counts


def read_labels(
    annotations: Path, images: Path, skeleton: str | None = None, *, first: int = 1, last: int | None = None
) -> tuple[PoseSet, Skeleton]:
    """The labelled people, and their points with descriptions; of any label file, or one of described points.

    Doubts and skipped records are logged.

    Raises:
        PosetalkError: As `read_people`, `drop_misfits` and `read_described`.
    """
    given = load_skeleton(skeleton) if skeleton else None
    start = read_start(annotations)
    if start.startswith(b"{") and start[1:].lstrip().startswith(b'"people"'):
        return read_described(annotations, images, given)
    truth = drop_misfits(read_people(annotations, images, skeleton=given, first=first, last=last))
    for note in truth.notes:
        log.info(note)
    for sentence in truth.skipped:
        log.warning("skipped: %s", sentence)
    return truth, given or labelled_skeleton(truth)


def _replies(
    questions: Sequence[PointQuestion],
    settings: PointerSettings,
    out: Path,
    server: ServerSettings | None,
    price: Price | None,
    *,
    device: str | None,
    batch_size: int,
) -> tuple[dict[str, ModelAnswer], AnswerCounts, PointerUsage]:
    """The replies by the id of their question."""
    asked = [question.asked for question in questions]
    if settings.on_server:
        if server is None:
            raise PosetalkError("the model is on a server; give its settings")
        model = plain(settings.model)
        file = file_of(out, model)
        with Ledger(out / LEDGER) as ledger:
            counts, report = answer_by_server(asked, ledger, server, file, model, price)
        counts.run_report = report
        totals = report.totals
        usage = PointerUsage(len(asked), totals.tokens_in, totals.tokens_out, totals.dollars)
    else:
        model = plain(local_model_name(settings.model))
        file = file_of(out, model)
        answer = lazy_model(settings.model, device, settings.dtype)
        weights = model_of(model_folder(settings.model))
        counts = answer_here(asked, answer, file, model, weights=weights, batch_size=batch_size)
        usage = PointerUsage(len(asked))
    replies = read_answers(file) if file.exists() and file.stat().st_size else {}
    return replies, counts, usage


def _bundled(
    truth: PoseSet, skeleton: Skeleton, path: Path, threads: int | None, batch_size: int
) -> list[Prediction]:
    """What the bundled model finds in the labelled boxes. A photo that cannot be read was told already."""
    localizer = Localizer.from_pretrained(BUNDLED, threads=threads, batch_size=batch_size)
    if truth.name in ("mpii", "lsp"):  # whose boxes are no boxes in their labels
        localizer.crop = localizer.crop.model_copy(update={"clip_box": False})
    jobs = labelled_jobs(truth, localizer.crop.padding)
    return run_jobs(localizer, jobs, skeleton.keypoints, path)[0]


def _check_names(name: str, predictions: Sequence[Prediction], skeleton: Skeleton) -> None:
    if name in (AVERAGE, BUNDLED):
        raise PosetalkError(
            f"the name {name!r} stands for another pointer; name the file of predictions otherwise"
        )
    if wrong := next((p for p in predictions if p.names != skeleton.names), None):
        raise PosetalkError(
            f"{name} predicts other points for person {wrong.person_id} of image {wrong.image_id} than are labelled; "
            "compare predictions of the same points"
        )


def _outcomes(labels: Labels, answers: Mapping[tuple[int, int], AnsweredPlace]) -> dict[Outcome, int]:
    """How many points had which outcome; a photo that could not be shown leaves its points unanswered."""
    missing = int(labels.labelled.sum()) - len(answers)
    counts = Counter(answer.outcome for answer in answers.values()) + Counter({"not answered": missing})
    return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}


def _mark(labels: Labels) -> str:
    rows = [
        [image.name, person.id, np.round(person.keypoints, 2).tolist(), person.visible.tolist()]
        for image, person in labels.people
    ]
    return hashlib.sha256(json.dumps([labels.skeleton.names, rows]).encode()).hexdigest()[:16]


def _notes(truth: PoseSet, labels: Labels) -> tuple[str, ...]:
    notes = [
        f"measured on {len(labels.people)} people: a sample of labels, not a published benchmark",
        "every person is looked for in the labelled box, which the question or the crop shows",
    ]
    if truth.name == "described":
        notes.append("described points have no measured tolerance: their OKS uses that of COCO's shoulder")
    return tuple(notes)


def _write_places(
    path: Path, labels: Labels, answers: Mapping[tuple[int, int], AnsweredPlace], xy: Floats
) -> None:
    """A line for each point: image, person, name, outcome, x and y in px of the full image, and the label."""
    lines = []
    for (i, j), answer in sorted(answers.items()):
        image, person = labels.people[i]
        row = {
            "image": image.name,
            "person_id": person.id,
            "name": labels.skeleton.names[j],
            "outcome": answer.outcome,
            "xy": None if answer.place is None else [round(float(v), 2) for v in xy[i, j]],
            "label": [round(float(v), 2) for v in labels.xy[i, j]],
        }
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
