"""Locate people in many images, into predictions.jsonl; a run that was stopped continues from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.detections import Detections
from posetalk.locate.image_files import ImageFile, image_ids
from posetalk.locate.image_log import ImageLog
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import (
    GROUND_TRUTH,
    Prediction,
    PredictionLog,
    predictions_of,
    readable,
    scored_people,
)
from posetalk.locate.similarity import without_doubles
from posetalk.messages import track
from posetalk.skeleton import Keypoint, sigmas_of
from posetalk.types import Box, PoseImage, PoseSet


class NothingLocated(PosetalkError):
    """None of the images of a run has a person with keypoints, and some could not be read."""


@dataclass(frozen=True, slots=True)
class LocateJob:
    """An image and the people to locate in it.

    Attributes:
        image: The image.
        ids: The people's ids.
        boxes: Their boxes; None for one person, to be found in the whole image.
        scores: The boxes' scores, of a detector.
    """

    image: PoseImage
    ids: tuple[int, ...]
    boxes: tuple[Box, ...] | None
    scores: tuple[float, ...] | None = None


def labelled_jobs(truth: PoseSet, padding: float) -> list[LocateJob]:
    """The scored people of a data set, in their labelled boxes. padding: the model's own."""
    jobs: dict[int, LocateJob] = {}
    for image, person in scored_people(truth):
        job = jobs.get(image.id, LocateJob(image, (), ()))
        box = truth.cropped(person.box, padding)
        jobs[image.id] = LocateJob(image, (*job.ids, person.id), (*(job.boxes or ()), box))
    return list(jobs.values())


def detected_jobs(truth: PoseSet, detections: Detections) -> list[LocateJob]:
    """A detector's boxes on the images of a data set.

    Raises:
        NothingLocated: no box lies on one of its images.
    """
    jobs = people_jobs(truth.images, detections)
    if not jobs:
        raise NothingLocated(f"none of the boxes lies on an image of {truth.source}; their image ids differ")
    return jobs


def without_match(truth: PoseSet, detections: Detections) -> list[str]:
    """Notes, if most of a detector's boxes lie on images outside the data set, or most images with people have none."""
    known = {image.id for image in truth.images}
    total = sum(map(len, detections.values()))
    outside = sum(len(boxes) for image_id, boxes in detections.items() if image_id not in known)
    with_people = [image.id for image in truth.images if any(not person.is_crowd for person in image.people)]
    without_box = sum(image_id not in detections for image_id in with_people)
    notes = []
    if outside > total / 2:
        notes.append(
            f"{outside:,} of {total:,} boxes lie on images that are not in {truth.source}, and are left out"
        )
    if without_box > len(with_people) / 2:
        notes.append(
            f"{without_box:,} of {len(with_people):,} images with people of {truth.source} have no box"
        )
    return notes


def image_jobs(images: Sequence[ImageFile], before: Sequence[Prediction] = ()) -> list[LocateJob]:
    """One person to find in each image. before: predictions of an earlier run, whose image ids are reused.

    Raises:
        PosetalkError: lists give two images the same id.
    """
    given = {image.key: image.id for image in images if image.id is not None}
    if len(set(given.values())) < len(given):
        (twice, _), *_ = Counter(given.values()).most_common(1)
        raise PosetalkError(f"two of the listed images have the id {twice}; give each its own")
    ids = image_ids([image.key for image in images], {p.file_name: p.image_id for p in before} | given)
    return [
        LocateJob(PoseImage(image_id, image.path, None, None, (), image.key), (1,), None)
        for image_id, image in zip(ids, images, strict=True)
    ]


def people_jobs(images: Sequence[PoseImage], detections: Detections) -> list[LocateJob]:
    """A job for each image with detected people, for all of them."""
    jobs = []
    for image in images:
        if boxes := detections.get(image.id, []):
            ids = tuple(range(1, len(boxes) + 1))
            jobs.append(LocateJob(image, ids, tuple(b.box for b in boxes), tuple(b.score for b in boxes)))
    return jobs


def run_jobs(
    localizer: Localizer,
    jobs: Sequence[LocateJob] | Callable[[Sequence[Prediction]], Sequence[LocateJob]],
    points: Sequence[Keypoint],
    path: Path,
    *,
    box_source: str = GROUND_TRUTH,
    each_once: bool = False,
    may_be_nobody: bool = False,
) -> tuple[list[Prediction], list[str]]:
    """Locate the people of all jobs that predictions.jsonl does not hold yet. Each image is written when it is done.

    Args:
        localizer: The model.
        jobs: The jobs, or a function that makes them from the predictions that the file holds already.
        points: The keypoints to locate.
        path: predictions.jsonl; pictures.jsonl is written beside it, see `ImageLog`.
        box_source: Where the boxes are from.
        each_once: Whether to mark people found twice, see `without_doubles`; the jobs have scores.
        may_be_nobody: Whether it is fine if there are no jobs.

    Returns:
        All predictions of the file, those of the jobs first and in their order; and a sentence for each image or box
        that was skipped.

    Raises:
        PosetalkError: nothing could be located; an image with predictions has changed since.
    """
    skipped: list[str] = []
    with PredictionLog(path) as log, ImageLog(path.with_name("pictures.jsonl")) as images:
        if log.note:
            skipped.append(log.note)
        jobs = jobs(log.before) if callable(jobs) else jobs
        predictions = list(log.before)
        answered = {image_id for image_id, _ in log.done}
        images.check_unchanged(job.image for job in jobs if job.image.id in answered)
        asked = localizer.with_body(tuple(points)) if each_once else tuple(points)
        remaining = _remaining(jobs, log.done, localizer.batch_size)

        def logged_images() -> Iterator[tuple[Path, tuple[Box, ...] | None, bool]]:
            for task in remaining:
                images.add(task.job.image)
                yield task.job.image.path, task.job.boxes, task.ends_group

        # closing ends the reading thread, whatever happens
        with closing(localizer.locate_groups(logged_images(), asked, whole_image=True)) as answers:
            for task in track(remaining, "locating"):
                answer = next(answers)
                job = task.job
                if isinstance(answer, PosetalkError):
                    skipped.append(readable(f"skipped: {job.image.name}: {answer}"))
                else:
                    kept = set(range(len(job.ids)))
                    if each_once and job.scores is not None:
                        scored = replace(answer, box_scores=np.array(job.scores))
                        kept = set(without_doubles(scored, sigmas_of(asked)))
                    answer = answer.keypoints(len(points))
                    located = predictions_of(job.image, job.ids, answer, box_source, job.scores)
                    new = [
                        replace(p, double=n not in kept)
                        for n, p in enumerate(located)
                        if p.person_id in task.missing
                    ]
                    log.add(new)
                    predictions += new
    order = {(job.image.id, person): (n, m) for n, job in enumerate(jobs) for m, person in enumerate(job.ids)}
    if (jobs or not may_be_nobody) and not any(p.key in order for p in predictions):
        raise NothingLocated(f"nothing could be located; {skipped[0] if skipped else 'there are no people'}")
    return sorted(predictions, key=lambda p: order.get(p.key, (len(order), 0))), skipped


@dataclass(frozen=True, slots=True)
class _Task:
    """A job to do, those of its people whose predictions are missing, and whether a group ends with it."""

    job: LocateJob
    missing: frozenset[int]
    ends_group: bool = False


def _remaining(jobs: Sequence[LocateJob], done: frozenset[tuple[int, int]], batch: int) -> list[_Task]:
    """What is left to do, in groups of `batch` people or a few more.

    A killed run may have written a part of its last group. That group is located again as a whole, so that the missing
    people get exactly the numbers that they would have got; in the others only the missing people are located.
    """
    missing = [frozenset(person for person in job.ids if (job.image.id, person) not in done) for job in jobs]
    last_begun = max((n for n, job in enumerate(jobs) if len(missing[n]) < len(set(job.ids))), default=-1)
    group = range(0)
    for group in _groups(jobs, batch):
        if last_begun in group:
            break
    if last_begun not in group:
        group = range(0)
    remaining: list[_Task] = []
    for part in (range(group.start), group, range(group.stop, len(jobs))):
        if part is group:
            tasks = [_Task(jobs[n], missing[n]) for n in part] if any(missing[n] for n in part) else []
        else:
            tasks = [_Task(_with_people(jobs[n], missing[n]), missing[n]) for n in part if missing[n]]
        for indices in _groups([task.job for task in tasks], batch):
            tasks[indices[-1]] = replace(tasks[indices[-1]], ends_group=True)
        remaining += tasks
    return remaining


def _groups(jobs: Sequence[LocateJob], batch: int) -> Iterator[range]:
    """Jobs that are located together: of `batch` people, or as many more as the last image has."""
    start = people = 0
    for n, job in enumerate(jobs):
        people += len(job.ids)
        if people >= batch or n == len(jobs) - 1:
            yield range(start, n + 1)
            start, people = n + 1, 0


def _with_people(job: LocateJob, people: frozenset[int]) -> LocateJob:
    """The job with these of its people alone."""
    if len(people) == len(job.ids):
        return job
    indices = [n for n, person in enumerate(job.ids) if person in people]
    boxes = job.boxes and tuple(job.boxes[n] for n in indices)
    scores = job.scores and tuple(job.scores[n] for n in indices)
    return LocateJob(job.image, tuple(job.ids[n] for n in indices), boxes, scores)
