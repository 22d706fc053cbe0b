"""An evaluation from labels to report: locate every labelled person, then score the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posetalk.detect.detector import Detector
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.formats.detections import read_boxes
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
from posetalk.skeleton import load_skeleton


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
    for note in truth.notes:
        log.info(note)
    for sentence in truth.skipped:
        log.warning("skipped: %s", sentence)
    detections = None
    if settings.boxes and settings.detector:
        raise PosetalkError("--boxes and --detector are two sources of boxes; give one")
    if (settings.boxes or settings.detector) and truth.name in ("mpii", "lsp"):
        option = "--boxes" if settings.boxes else "--detector"
        raise PosetalkError(f"{truth.source} is scored on its own boxes; leave {option} out")
    if settings.detector:
        detector = Detector.from_pretrained(settings.detector, min_score=settings.min_score)
    if settings.boxes:
        detections = read_boxes(
            Path(settings.boxes), box_format=settings.box_format, sizes=image_sizes(truth.images)
        )
        for note in (*detections.notes, *without_match(truth, detections)):
            log.info(note)
    others, damaged = read_others([Path(file) for file in compare])
    with settings.claim(out, also=detector_content(settings.detector)):
        model = Localizer.from_pretrained(
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
        if truth.name != "coco":  # MPII's and LSP's boxes are no boxes in their labels
            model.crop = model.crop.model_copy(update={"clip_box": False})
        faults: list[str] = []
        if settings.detector:
            detections, faults = detect_people(truth.images, detector, out / "people.jsonl")
        jobs: list[LocateJob] = (
            labelled_jobs(truth, model.crop.padding)
            if detections is None
            else detected_jobs(truth, detections)
        )
        source = GROUND_TRUTH
        if detections is not None:
            name = settings.detector
            source = f"detector {name}" if name else _box_source(Path(str(settings.boxes)))
        scored_skeleton = given_skeleton or labelled_skeleton(truth)
        predictions, skipped = run_jobs(
            model,
            jobs,
            scored_skeleton.keypoints,
            out / "predictions.jsonl",
            box_source=source,
            each_once=settings.detector is not None,
        )
        if settings.detector:
            predictions = [prediction for prediction in predictions if not prediction.double]
        seen = set(model.trained_keypoints) or None
        report = evaluate(truth, predictions, scored_skeleton, box_source=source, seen=seen, compare=others)
        for sentence in [
            *(detections.skipped if detections else ()),
            *faults,
            *damaged,
            *skipped,
            *report.save(out),
        ]:
            log.warning(readable(sentence))
    return report


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
