"""An evaluation from labels to report: locate every scored person, then score what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.progress import track

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.formats.detections import read_boxes
from posetalk.images.fit import drop_misfits, image_sizes
from posetalk.locate.jobs import LocateJob, detected_jobs, labelled_jobs, run_jobs, without_match
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import GROUND_TRUTH, MODEL, Prediction, read_predictions, readable
from posetalk.score.evaluate import evaluate
from posetalk.settings import EvaluateSettings
from posetalk.skeleton import load_skeleton


def evaluate_model(
    settings: EvaluateSettings, localizer: Callable[[], Localizer], out: Path, beside: Sequence[Path] = ()
) -> None:
    """Write predictions.jsonl, report.json, report.md and the drawn cases into `out`, and print the report.

    localizer: makes the model, once the labels are known to be good. beside: others' predictions.jsonl for the same
    people, scored under the files' names. Run again on the same folder it goes on with the people that are missing.
    Errors: those of the readers; a folder with another run.
    """
    named = load_skeleton(settings.skeleton) if settings.skeleton else None
    heads = Path(settings.heads) if settings.heads else None
    truth = read_people(
        Path(settings.annotations),
        Path(settings.images),
        skeleton=named,
        first=settings.first,
        last=settings.last,
        heads=heads,
    )
    truth = drop_misfits(truth)
    for sentence in [*truth.notes, *(f"skipped: {one}" for one in truth.skipped)]:
        print(sentence)
    found = None
    if settings.boxes:
        if truth.name in ("mpii", "lsp"):
            raise PosetalkError(f"{truth.source} is scored on its own boxes; leave --boxes out")
        found = read_boxes(
            Path(settings.boxes), box_format=settings.box_format, sizes=image_sizes(truth.images)
        )
        for sentence in (*found.notes, *without_match(truth, found)):
            print(sentence)
    others, told = _others(beside)
    with settings.claim(out):
        model = localizer()
        jobs: list[LocateJob] = (
            labelled_jobs(truth, model.crop.padding) if found is None else detected_jobs(truth, found)
        )
        source = GROUND_TRUTH if found is None else _box_source(Path(str(settings.boxes)))
        points = named or labelled_skeleton(truth)
        predictions, skipped = run_jobs(
            model,
            jobs,
            points.keypoints,
            out / "predictions.jsonl",
            box_source=source,
            track=partial(track, description="locating"),
        )
        seen = set(model.trained_keypoints) or None
        report = evaluate(truth, predictions, points, box_source=source, seen=seen, beside=others)
        for sentence in [*(found.skipped if found else ()), *told, *skipped, *report.save(out)]:
            print(readable(sentence))
        print(report.to_markdown())


def _box_source(boxes: Path) -> str:
    """A file of boxes by its name, which must not pass for other sources."""
    return f"./{boxes.name}" if boxes.name in (GROUND_TRUTH, MODEL) else boxes.name


def _others(beside: Sequence[Path]) -> tuple[dict[str, list[Prediction]], list[str]]:
    """Others' predictions by a name each, and a sentence for each file that was cut off.

    The name is the file's; with as many of its folders as tell it from the others (runs all hold a predictions.jsonl).
    Errors: a file given twice.
    """
    names = ["baseline"]
    found, told = {}, []
    paths = [path.absolute().with_suffix("") for path in beside]
    for path, file in zip(paths, beside, strict=True):
        if paths.count(path) > 1:
            raise PosetalkError(f"{file} is given twice, or beside one of the same name; give each once")
        name, rest = path.name, path.parent
        while name in names or any(("/" + p.as_posix()).endswith("/" + name) for p in paths if p != path):
            name, rest = f"{rest.name}/{name}", rest.parent
        found[name], note = read_predictions(file)
        told += [note] if note else []
    return found, told
