"""Many pictures through one localizer, into predictions.jsonl; a sweep that was stopped goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.formats.detections import Detections
from posetalk.locate.image_files import ImageFile, image_ids
from posetalk.locate.localizer import Localizer
from posetalk.locate.picture_log import PictureLog
from posetalk.locate.predictions import (
    GROUND_TRUTH,
    Prediction,
    PredictionLog,
    predictions_of,
    readable,
    scored_people,
)
from posetalk.skeleton import Keypoint
from posetalk.types import Box, PoseImage, PoseSet


@dataclass(frozen=True, slots=True)
class LocateJob:
    """A picture and its people: their ids, their boxes (None: one person, to be found), the boxes' scores."""

    image: PoseImage
    ids: tuple[int, ...]
    boxes: tuple[Box, ...] | None
    scores: tuple[float, ...] | None = None


def labelled_jobs(truth: PoseSet, padding: float) -> list[LocateJob]:
    """The scored people of a data set in their labelled boxes; `padding` is the model's own."""
    people: dict[int, LocateJob] = {}
    for image, person in scored_people(truth):
        before = people.get(image.id, LocateJob(image, (), ()))
        box = truth.cropped(person.box, padding)
        people[image.id] = LocateJob(image, (*before.ids, person.id), (*(before.boxes or ()), box))
    return list(people.values())


def detected_jobs(truth: PoseSet, found: Detections) -> list[LocateJob]:
    """A detector's boxes on the pictures of a data set. Errors: none of them lies on one of its pictures."""
    jobs = []
    for image in truth.images:
        if boxes := found.get(image.id, []):
            numbers = tuple(range(1, len(boxes) + 1))
            jobs.append(LocateJob(image, numbers, tuple(b.box for b in boxes), tuple(b.score for b in boxes)))
    if not jobs:
        raise PosetalkError(f"none of the boxes lies on a picture of {truth.source}; their image ids differ")
    return jobs


def without_match(truth: PoseSet, found: Detections) -> list[str]:
    """A sentence where most of a detector's boxes lie on other pictures, or most people are on pictures without one."""
    known = {image.id for image in truth.images}
    boxes = sum(map(len, found.values()))
    others = sum(len(some) for image, some in found.items() if image not in known)
    crowded = [image.id for image in truth.images if any(not person.is_crowd for person in image.people)]
    without = sum(image not in found for image in crowded)
    notes = []
    if others > boxes / 2:
        notes.append(
            f"{others:,} of {boxes:,} boxes lie on pictures that are not in {truth.source}, and are left out"
        )
    if without > len(crowded) / 2:
        notes.append(f"{without:,} of {len(crowded):,} pictures with people of {truth.source} have no box")
    return notes


def image_jobs(photos: Sequence[ImageFile], before: Sequence[Prediction] = ()) -> list[LocateJob]:
    """One person a photo, looked for in the whole of it; see `image_ids`. before: what an earlier run found."""
    ids = image_ids([photo.key for photo in photos], {p.file_name: p.image_id for p in before})
    return [
        LocateJob(PoseImage(number, photo.path, None, None, (), photo.key), (1,), None)
        for number, photo in zip(ids, photos, strict=True)
    ]


def run_jobs(
    localizer: Localizer,
    jobs: Sequence[LocateJob] | Callable[[Sequence[Prediction]], Sequence[LocateJob]],
    points: Sequence[Keypoint],
    path: Path,
    *,
    box_source: str = GROUND_TRUTH,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> tuple[list[Prediction], list[str]]:
    """Ask for `points` in every job that `path` (predictions.jsonl) does not hold yet.

    jobs: or what makes them of the predictions that are there already.
    Each picture is written when it is done. Returns all predictions in the file, those of the jobs first and in their
    order, and a sentence for each picture or box that could not be looked at. Errors: not one of the jobs could; a
    picture that was looked at is another one now (`PictureLog`, pictures.jsonl).
    """
    skipped: list[str] = []
    with PredictionLog(path) as log, PictureLog(path.with_name("pictures.jsonl")) as pictures:
        if log.note:
            skipped.append(log.note)
        jobs = jobs(log.before) if callable(jobs) else jobs
        predictions = list(log.before)
        answered = {image_id for image_id, _ in log.done}
        pictures.same(job.image for job in jobs if job.image.id in answered)
        left = _left(jobs, log.done, localizer.batch)
        asked = _asked(left, pictures)
        with closing(
            localizer.locate_groups(asked, points)
        ) as answers:  # its thread ends with it, whatever happens
            for one in track(left):
                found = next(answers)
                image = one.job.image
                if isinstance(found, PosetalkError):
                    skipped.append(readable(f"skipped: {image.name}: {found}"))
                else:
                    of = predictions_of(image, one.job.ids, found, box_source, one.job.scores)
                    new = [p for p in of if p.person_id in one.missing]
                    log.add(new)
                    predictions += new
    order = {(job.image.id, person): (n, m) for n, job in enumerate(jobs) for m, person in enumerate(job.ids)}
    if not any(p.key in order for p in predictions):
        raise PosetalkError(f"nothing could be located; {skipped[0] if skipped else 'there are no people'}")
    return sorted(predictions, key=lambda p: order.get(p.key, (len(order), 0))), skipped


@dataclass(frozen=True, slots=True)
class _Left:
    """A job to ask for, those of its people that are missing, and whether a group ends with it."""

    job: LocateJob
    missing: frozenset[int]
    last: bool = False


def _asked(
    left: Sequence[_Left], pictures: PictureLog
) -> Iterator[tuple[Path, tuple[Box, ...] | None, bool]]:
    for one in left:
        pictures.looks(one.job.image)
        yield one.job.image.path, one.job.boxes, one.last


def _left(jobs: Sequence[LocateJob], done: frozenset[tuple[int, int]], batch: int) -> list[_Left]:
    """What a run asks for, in groups of `batch` people or a few more.

    A run that was killed may have written a part of a group. That group is asked again as a whole, so that the
    missing people are found with the very numbers that they would have had; of all others only who is missing.
    """
    missing = [frozenset(person for person in job.ids if (job.image.id, person) not in done) for job in jobs]
    begun = max((n for n, job in enumerate(jobs) if len(missing[n]) < len(set(job.ids))), default=-1)
    group = range(0)
    for group in _groups(jobs, batch):
        if begun in group:
            break
    if begun not in group:
        group = range(0)
    left: list[_Left] = []
    for part in (range(group.start), group, range(group.stop, len(jobs))):
        if part is group:
            some = [_Left(jobs[n], missing[n]) for n in part] if any(missing[n] for n in part) else []
        else:
            some = [_Left(_only(jobs[n], missing[n]), missing[n]) for n in part if missing[n]]
        for ends in _groups([one.job for one in some], batch):
            some[ends[-1]] = replace(some[ends[-1]], last=True)
        left += some
    return left


def _groups(jobs: Sequence[LocateJob], batch: int) -> Iterator[range]:
    """Where people are asked together: `batch` of them, or as many more as the last picture has."""
    start = people = 0
    for n, job in enumerate(jobs):
        people += len(job.ids)
        if people >= batch or n == len(jobs) - 1:
            yield range(start, n + 1)
            start, people = n + 1, 0


def _only(job: LocateJob, people: frozenset[int]) -> LocateJob:
    """A picture with some of its people."""
    if len(people) == len(job.ids):
        return job
    some = [n for n, person in enumerate(job.ids) if person in people]
    boxes = job.boxes and tuple(job.boxes[n] for n in some)
    scores = job.scores and tuple(job.scores[n] for n in some)
    return LocateJob(job.image, tuple(job.ids[n] for n in some), boxes, scores)


def write_results(predictions: Sequence[Prediction], path: Path) -> None:
    """COCO results JSON (image_id, category_id, keypoints x, y, score, score), with each `file_name` beside it.

    Errors: the file cannot be written; one that is there stays whole.
    """
    rows = [{**p.to_coco(), "file_name": p.file_name} for p in predictions]
    write_text(path, json.dumps(rows) + "\n", "choose another folder")
