"""Many pictures through one localizer, into predictions.jsonl; a sweep that was stopped goes on from there."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import (
    GROUND_TRUTH,
    Prediction,
    PredictionLog,
    predictions_of,
    read_predictions,
    scored_people,
)
from posetalk.read.boxes import Detections
from posetalk.skeleton import Keypoint
from posetalk.types import Box, PoseImage, PoseSet

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True, slots=True)
class Job:
    """A picture and its people: their ids, their boxes (None: one person, to be found), the boxes' scores."""

    image: PoseImage
    ids: tuple[int, ...]
    boxes: tuple[Box, ...] | None
    scores: tuple[float, ...] | None = None


def labelled_jobs(truth: PoseSet, padding: float) -> list[Job]:
    """The scored people of a data set in their labelled boxes; `padding` is the model's own."""
    people: dict[int, Job] = {}
    for image, person in scored_people(truth):
        before = people.get(image.id, Job(image, (), ()))
        box = truth.cropped(person.box, padding)
        people[image.id] = Job(image, (*before.ids, person.id), (*(before.boxes or ()), box))
    return list(people.values())


def detected_jobs(truth: PoseSet, found: Detections) -> list[Job]:
    """A detector's boxes on the pictures of a data set. Errors: none of them lies on one of its pictures."""
    jobs = []
    for image in truth.images:
        if boxes := found.get(image.id, []):
            numbers = tuple(range(1, len(boxes) + 1))
            jobs.append(Job(image, numbers, tuple(b.box for b in boxes), tuple(b.score for b in boxes)))
    if not jobs:
        raise PosetalkError(f"none of the boxes lies on a picture of {truth.source}; their image ids differ")
    return jobs


def photo_jobs(photos: Sequence[Path]) -> list[Job]:
    """One person a photo, looked for in the whole of it; see `image_id`."""
    return [Job(PoseImage(image_id(p), p, None, None, ()), (1,), None) for p in photos]


def image_id(photo: Path) -> int:
    """000000000785.jpg -> 785, as in COCO; any other name -> its CRC-32, the same whatever lies beside it."""
    stem = photo.stem
    return int(stem) if stem.isascii() and stem.isdigit() else crc32(photo.name.encode())


def expand(given: Iterable[Path]) -> list[Path]:
    """Files, folders and patterns -> the pictures, sorted, each once. Errors name what holds none."""
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise PosetalkError(f"there is no picture in the folder {path}; check the path")
        elif path.exists() or not glob.has_magic(str(path)):
            inside = [path]
        else:
            inside = sorted(Path(p) for p in glob.glob(str(path)))  # noqa: PTH207  (absolute patterns too)
            if not inside:
                raise PosetalkError(f"no file matches {path}; check the pattern")
        found |= dict.fromkeys(inside)
    return list(found)


def sweep(
    localizer: Localizer,
    jobs: Sequence[Job],
    points: Sequence[Keypoint],
    path: Path,
    *,
    box_source: str = GROUND_TRUTH,
    track: Callable[[Sequence[Job]], Iterable[Job]] = iter,
) -> tuple[list[Prediction], list[str]]:
    """Ask for `points` in every job that `path` (predictions.jsonl) does not hold yet.

    Each picture is written when it is done. Returns all predictions in the file, and a sentence for each picture
    or box that could not be looked at. Errors: not one could.
    """
    skipped: list[str] = []
    with PredictionLog(path) as log:
        if log.note:
            skipped.append(log.note)
        done = log.done
        left = [job for job in (_without(job, done) for job in jobs) if job.ids]
        answers = localizer.locate_all(((job.image.path, job.boxes) for job in left), points)
        for job in track(left):
            found = next(answers)
            if isinstance(found, PosetalkError):
                skipped.append(f"skipped: {job.image.path.name}: {found}")
            else:
                log.add(predictions_of(job.image, job.ids, found, box_source, job.scores))
    predictions, _ = read_predictions(path)
    if not predictions:
        raise PosetalkError(f"nothing could be located; {skipped[0] if skipped else 'there are no people'}")
    return predictions, skipped


def _without(job: Job, done: Container[tuple[int, int]]) -> Job:
    """The people of a picture that are not there yet."""
    left = [n for n, person in enumerate(job.ids) if (job.image.id, person) not in done]
    boxes = job.boxes and tuple(job.boxes[n] for n in left)
    scores = job.scores and tuple(job.scores[n] for n in left)
    return Job(job.image, tuple(job.ids[n] for n in left), boxes, scores)


def write_results(predictions: Sequence[Prediction], path: Path) -> None:
    """COCO results JSON (image_id, category_id, keypoints x, y, score, score), with each `file_name` beside it."""
    rows = [{**p.to_coco(), "file_name": p.file_name} for p in predictions]
    path.write_text(json.dumps(rows) + "\n", encoding="utf-8")
