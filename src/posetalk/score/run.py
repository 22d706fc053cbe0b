"""An evaluation from labels to report: locate every labelled person, then score the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posetalk.detect.detector import Detector
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.formats.detections import Detections, read_boxes
from posetalk.images.fit import drop_misfits, image_sizes
from posetalk.locate.jobs import (
    LocateJob,
    detected_jobs,
    labelled_jobs,
    run_jobs,
    without_match,
)
from posetalk.locate.localizer import Localizer
from posetalk.locate.people_log import detect_people, detector_content
from posetalk.locate.predictions import GROUND_TRUTH, MODEL, Prediction, read_predictions, readable
from posetalk.messages import log
from posetalk.score.evaluate import evaluate
from posetalk.score.report import EvaluationReport
from posetalk.settings import EvaluateSettings
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import PoseSet


def evaluate_model(
    settings: EvaluateSettings,
    out: str | Path,
    *,
    compare: Sequence[str | Path] = (),
    device: str | None = None,
    threads: int | None = None,
    batch_size: int = 8,
) -> EvaluationReport:
    """Locate the keypoints of every labelled person with a model, and score them.

    Run again on the same folder, it goes on with the people that are missing. Notes on the data, skipped records and
    images that cannot be read are logged to the logger "posetalk".

    Args:
        settings: the labels, the model and how it is asked.
        out: the folder for predictions.jsonl, report.json, report.md and images of the best and worst cases.
        compare: others' predictions.jsonl for the same people, scored under the files' names.
        device: as `Localizer.from_pretrained`.
        threads: as `Localizer.from_pretrained`.
        batch_size: as `Localizer`.

    Returns:
        The report that was written.

    Raises:
        PosetalkError: labels, boxes or predictions that cannot be read or do not fit each other, no such model, `out`
            holds a run of other settings.
    """
    out = Path(out)
    labels = read_evaluated(settings)
    for note in labels.notes:
        log.info(note)
    for sentence in labels.truth.skipped:
        log.warning("skipped: %s", sentence)
    others, damaged = read_others([Path(file) for file in compare])
    with settings.claim(out, also=detector_content(settings.detector)):
        model = model_of(settings, device, threads, batch_size)
        predictions, skipped = locate_evaluated(labels, settings, model, out)
        truth, source = labels.truth, labels.box_source
        seen = set(model.trained_keypoints) or None
        report = evaluate(truth, predictions, labels.skeleton, box_source=source, seen=seen, compare=others)
        boxes = labels.detections.skipped if labels.detections else ()
        for sentence in [*boxes, *damaged, *skipped, *report.save(out)]:
            log.warning(readable(sentence))
    return report


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The labels of an evaluation.

    Attributes:
        truth: The labelled people.
        skeleton: Their keypoints.
        detections: A detector's boxes of a file; None for labelled boxes, and for a detector that is run.
        box_source: Where the boxes are from.
        notes: Sentences about the labels and boxes as a whole.
    """

    truth: PoseSet
    skeleton: Skeleton
    detections: Detections | None
    box_source: str
    notes: tuple[str, ...]


def read_evaluated(settings: EvaluateSettings) -> Evaluated:
    """Read the labels of an evaluation, and the boxes where a file has them.

    Raises:
        PosetalkError: as `evaluate_model`.
    """
    given_skeleton = load_skeleton(settings.skeleton) if settings.skeleton else None
    truth = read_people(
        Path(settings.annotations),
        Path(settings.images),
        skeleton=given_skeleton,
        first=settings.first,
        last=settings.last,
        heads=Path(settings.heads) if settings.heads else None,
    )
    truth = drop_misfits(truth)
    notes = list(truth.notes)
    if settings.boxes and settings.detector:
        raise PosetalkError("--boxes and --detector are two sources of boxes; give one")
    if (settings.boxes or settings.detector) and truth.name in ("mpii", "lsp"):
        option = "--boxes" if settings.boxes else "--detector"
        raise PosetalkError(f"{truth.source} is scored on its own boxes; leave {option} out")
    detections, source = None, GROUND_TRUTH
    if settings.detector:
        source = f"detector {settings.detector}"
    if settings.boxes:
        source = _box_source(Path(settings.boxes))
        sizes = image_sizes(truth.images)
        detections = read_boxes(Path(settings.boxes), box_format=settings.box_format, sizes=sizes)
        notes += [*detections.notes, *without_match(truth, detections)]
    return Evaluated(truth, given_skeleton or labelled_skeleton(truth), detections, source, tuple(notes))


def model_of(
    settings: EvaluateSettings, device: str | None, threads: int | None, batch_size: int
) -> Localizer:
    """The model of an evaluation, as `evaluate_model` asks it."""
    return Localizer.from_pretrained(
        settings.model,
        device=device,
        dtype=settings.dtype,
        readout=settings.readout,
        decoding=settings.decoding,
        flip_test=settings.flip_test,
        score=settings.score,
        engine=settings.engine,
        threads=threads,
        batch_size=batch_size,
    )


def locate_evaluated(
    labels: Evaluated, settings: EvaluateSettings, model: Localizer, out: Path
) -> tuple[list[Prediction], list[str]]:
    """Locate the people of an evaluation who are not in predictions.jsonl of a claimed folder yet.

    Returns:
        All predictions but those of people found twice, and a sentence for each image that was skipped.

    Raises:
        PosetalkError: as `run_jobs` and `detected_jobs`.
    """
    truth, detections = labels.truth, labels.detections
    if truth.name != "coco":  # MPII's and LSP's boxes are no boxes in their labels
        model.crop = model.crop.model_copy(update={"clip_box": False})
    faults: list[str] = []
    if settings.detector:
        detector = Detector.from_pretrained(settings.detector, min_score=settings.min_score)
        detections, faults = detect_people(truth.images, detector, out / "people.jsonl")
    jobs: list[LocateJob] = (
        labelled_jobs(truth, model.crop.padding) if detections is None else detected_jobs(truth, detections)
    )
    predictions, skipped = run_jobs(
        model,
        jobs,
        labels.skeleton.keypoints,
        out / "predictions.jsonl",
        box_source=labels.box_source,
        each_once=settings.detector is not None,
    )
    return [prediction for prediction in predictions if not prediction.double], faults + skipped


def _box_source(boxes: Path) -> str:
    """A file of boxes by its name, which must not pass for other sources."""
    return f"./{boxes.name}" if boxes.name in (GROUND_TRUTH, MODEL) else boxes.name


def read_others(files: Sequence[Path]) -> tuple[dict[str, list[Prediction]], list[str]]:
    """Others' predictions by a name each, and a sentence for each file that was cut off.

    The name is the file's; with as many of its folders as tell it from the others (runs all hold a predictions.jsonl).

    Raises:
        PosetalkError: a file is given twice.
    """
    names = ["baseline"]
    others, notes = {}, []
    paths = [path.absolute().with_suffix("") for path in files]
    for path, file in zip(paths, files, strict=True):
        if paths.count(path) > 1:
            raise PosetalkError(f"{file} is given twice, or beside one of the same name; give each once")
        name, parent = path.name, path.parent
        while name in names or any(("/" + p.as_posix()).endswith("/" + name) for p in paths if p != path):
            name, parent = f"{parent.name}/{name}", parent.parent
        others[name], note = read_predictions(file)
        notes += [note] if note else []
    return others, notes
