"""The boxes of people that a run found, in people.jsonl, so that a run that was stopped looks for nobody again."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from posetalk.detect.detector import Detector
from posetalk.detect.people import People
from posetalk.errors import PosetalkError
from posetalk.formats.detections import DetectedBox, Detections
from posetalk.inputs import content_of
from posetalk.locate.image_log import ImageLog
from posetalk.locate.line_log import LineLog
from posetalk.locate.predictions import readable
from posetalk.messages import track
from posetalk.resources import BUNDLED_DETECTOR
from posetalk.types import Box, PoseImage


class _PeopleLine(msgspec.Struct, frozen=True):
    image_id: int
    file_name: str
    boxes: list[tuple[float, float, float, float]]
    scores: list[float]


class PeopleLog(LineLog[_PeopleLine]):
    """Appends a line to people.jsonl for each image that was searched.

    Attributes:
        known: The people of the images that the file held already, by image id.

    Raises:
        PosetalkError: the file cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _PeopleLine)
        self.known: dict[int, People] = {}
        try:
            for line in self.before:
                boxes = tuple(Box(*box) for box in line.boxes)
                self.known[line.image_id] = People(boxes, np.asarray(line.scores, np.float64))
        except PosetalkError as error:  # numbers that are no box
            self.close()
            raise PosetalkError(f"{path} is damaged: {error}; choose another folder") from None

    def add(self, image: PoseImage, people: People) -> None:
        """Write the people of an image."""
        boxes = [box.xywh for box in people.boxes]
        self.write(_PeopleLine(image.id, readable(image.name), boxes, people.scores.tolist()))


def detect_people(
    images: Sequence[PoseImage], detector: Detector, path: Path, threads: int = 1
) -> tuple[Detections, list[str]]:
    """The people that a detector finds in images.

    Args:
        images: The images. Those that `path` holds already are not searched again.
        detector: What finds the people.
        path: people.jsonl; pictures.jsonl is written beside it, see `ImageLog`.
        threads: How many images are searched at a time.

    Returns:
        The boxes of the images with people, and a sentence for each image that cannot be read.

    Raises:
        PosetalkError: as `PeopleLog`; an image that was searched has changed since.
    """
    found, faults = dict[int, People](), list[str]()
    with ImageLog(path.with_name("pictures.jsonl")) as contents, PeopleLog(path) as log:
        contents.check_unchanged(image for image in images if image.id in log.known)
        found |= log.known
        left = [image for image in images if image.id not in log.known]
        with closing(_searched(left, detector, contents, threads)) as searched:
            for image, people in track(searched, "finding people", len(left)):
                if isinstance(people, PosetalkError):
                    faults.append(readable(f"skipped: {image.name}: {people}"))
                else:
                    found[image.id] = people
                    log.add(image, people)
    return as_detections({image.id: found[image.id] for image in images if image.id in found}), faults


def _searched(
    images: Sequence[PoseImage], detector: Detector, contents: ImageLog, threads: int
) -> Generator[tuple[PoseImage, People | PosetalkError], None, None]:
    """The people of each image, in order; several images are searched at a time."""

    def people(image: PoseImage) -> People | PosetalkError:
        try:
            return detector(image.path)
        except PosetalkError as error:
            return error

    waiting: deque[tuple[PoseImage, Future[People | PosetalkError]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for image in images:
            contents.add(image)
            waiting.append((image, pool.submit(people, image)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def as_detections(found: dict[int, People]) -> Detections:
    """People by image id as the rows of a detector's file, without images that have nobody."""
    detections = Detections()
    for image_id, people in found.items():
        if len(people):
            rows = zip(people.boxes, people.scores.tolist(), strict=True)
            detections[image_id] = [DetectedBox(box, score, image_id) for box, score in rows]
    return detections


def detector_content(name: str | None) -> dict[str, str]:
    """What a run's inputs say of a detector that is not a folder: the content of the bundled one."""
    return {"the bundled detector": content_of(BUNDLED_DETECTOR).digest} if name == "bundled" else {}
