"""The people of images in a file of boxes (COCO results)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posetalk.detect.detector import check_selection
from posetalk.detect.people import People
from posetalk.errors import PosetalkError
from posetalk.formats.detections import read_boxes
from posetalk.locate.image_files import FIRST_MADE_ID, find_images, image_ids
from posetalk.messages import log
from posetalk.types import PoseImage

HOW_RECORDS_NAME_IMAGES = (
    "a record names its image as file_name, or in image_id: by its name or the number that it is named after"
)


def people_of_file(
    path: Path,
    images: Sequence[PoseImage],
    min_score: float | None = None,
    max_people: int | None = None,
    largest: bool = False,
) -> tuple[dict[int, People], tuple[str, ...]]:
    """The people of images in a file of boxes (COCO results).

    A record tells its image by `file_name`, or by `image_id`, which is the image's name or the number that it is named
    after. For one image whose name is no number, a file with boxes of one `image_id` alone is taken to be of it.

    Args:
        path: The file.
        images: The images.
        min_score: As in `Detector`; None for all.
        max_people: As in `Detector`.
        largest: As in `Detector`.

    Returns:
        The people by image id, the surest first, none for images without boxes; and sentences on records left out and
        on doubts about the boxes.

    Raises:
        PosetalkError: as `read_boxes` and `Detector`.
    """
    check_selection(min_score, max_people)
    names: dict[str, int] = {}
    for shorten in (lambda name: Path(name).stem, lambda name: Path(name).name, str):  # the last one wins
        short = [shorten(image.name) for image in images]
        count = Counter(short)
        names |= {name: image.id for name, image in zip(short, images, strict=True) if count[name] == 1}
    boxes = read_boxes(path, names=names, min_score=-math.inf if min_score is None else min_score)
    if len(images) == 1 and len(boxes) == 1 and images[0].id >= FIRST_MADE_ID:
        boxes[images[0].id] = boxes.pop(next(iter(boxes)))
    found = {}
    for image in images:
        rows = boxes.get(image.id, [])
        people = People(tuple(row.box for row in rows), np.array([row.score for row in rows], np.float64))
        found[image.id] = people.selected(max_people, largest)
    return found, (*boxes.skipped, *boxes.notes)


def people_of_image(
    path: Path,
    image: Path,
    min_score: float | None = None,
    max_people: int | None = None,
    largest: bool = False,
) -> People:
    """The people of one image in a file of boxes, see `people_of_file`.

    Raises:
        PosetalkError: as `people_of_file`; there are none.
    """
    (file,) = find_images([image]).images
    (image_id,) = image_ids([file.key], {})
    one = PoseImage(image_id, image, None, None, (), file.key)
    found, notes = people_of_file(path, [one], min_score, max_people, largest)
    for note in notes:
        log.warning(note)
    if not found[image_id]:
        raise PosetalkError(f"{path} has no boxes of people for {file.key}; {HOW_RECORDS_NAME_IMAGES}")
    return found[image_id]
