"""The work of `posetalk describe` on one photo."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from posetalk.describe.parts import body_points
from posetalk.describe.point import PointDescription, describe_points
from posetalk.detect.detector import load_detector
from posetalk.errors import PosetalkError
from posetalk.locate.image_files import find_images
from posetalk.locate.localizer import Localizer
from posetalk.locate.one_image import same_file, write_answer
from posetalk.locate.people import each_once
from posetalk.locate.people_file import people_of_image


def describe_photo(
    image: Path,
    points: Sequence[Sequence[float]],
    *,
    boxes: Path | Sequence[Sequence[float]] | None,
    captions: Sequence[str],
    model: str,
    detector: str,
    json_out: Path | None,
) -> list[PointDescription]:
    """Describe points of an image file; everybody in it is located once.

    Args:
        image: The image file.
        points: x, y in px of the upright image, origin top left.
        boxes: People as (x, y, width, height) px; or a file of boxes in the form of COCO results. None: everybody whom
            the detector finds.
        captions: What people wrote of the image.
        model: The model that locates.
        detector: What finds the people.
        json_out: A JSON file to write: the image, and each description.

    Raises:
        PosetalkError: as `posetalk.describe_point`; a file cannot be read or written, or is the image itself.
    """
    if json_out and same_file(json_out, image):
        raise PosetalkError(f"{json_out} is the image itself and would be lost; choose another place")
    (file,) = find_images([image]).images
    found_by = None if boxes else load_detector(detector)
    localizer = Localizer.from_pretrained(model, detector=found_by).set_image(image)
    if isinstance(boxes, Path):
        people = people_of_image(boxes, image)
        poses = each_once(localizer.locate(people.boxes, body_points()), people.scores, body_points())
    else:
        poses = localizer.locate(boxes, body_points())
    described = describe_points(poses, points, captions)
    if json_out:
        answer = {"image": file.key, "points": [words.to_dict() for words in described]}
        text = json.dumps(answer, indent=1) + "\n"
        write_answer(json_out, lambda path: path.write_text(text, encoding="utf-8"))
    return described
