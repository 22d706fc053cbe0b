"""The work of `posetalk locate` on one image: keypoints, as JSON and as a drawing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from posetalk.atomic_files import whole_file
from posetalk.detect.people import People
from posetalk.draw import draw_pose
from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.locate.people import each_once
from posetalk.skeleton import Keypoint
from posetalk.types import Poses

Limbs = Sequence[tuple[int, int]]
NOBODY = "lower --min-score, or give --whole-image for one person who is looked for in the whole image"


def locate_one(
    localizer: Localizer,
    image: Path,
    boxes: Sequence[Sequence[float]] | People | None,
    points: Sequence[Keypoint],
    limbs: Limbs,
    *,
    json_out: Path | None,
    drawing: Path | None,
    whole_image: bool = False,
) -> Poses:
    """Locate keypoints in one image file.

    Args:
        localizer: The model.
        image: The image file.
        boxes: People as (x, y, width, height) in pixels of the full image, origin top left; or a detector's People,
            each of whom is answered once. None: everybody whom the localizer's detector finds.
        points: The keypoints to locate.
        limbs: Pairs of indices into `points`, drawn as lines.
        json_out: A JSON file to write: the image, and the box and keypoints of each person.
        drawing: An image file to write, with the keypoints drawn in.
        whole_image: See `Localizer.locate`.

    Raises:
        PosetalkError: as `Localizer`; a file cannot be written, or is the image itself.
    """
    if json_out and drawing and json_out.absolute() == drawing.absolute():
        raise PosetalkError(f"{drawing} is given for the answer and for the drawing; choose two places")
    for path in (json_out, drawing):
        if path and same_file(path, image):
            raise PosetalkError(f"{path} is the image itself and would be lost; choose another place")
    localizer.set_image(image)
    if isinstance(boxes, People):
        asked = localizer.with_body(tuple(points))
        poses = each_once(localizer.locate(boxes.boxes, asked), boxes.scores, asked).keypoints(len(points))
    else:
        poses = localizer.locate(boxes, points, whole_image=whole_image)
    if json_out:
        from posetalk.locate.image_files import find_images

        (file,) = find_images([image]).images
        text = json.dumps({"image": file.key, "people": poses.to_dicts()}, indent=1) + "\n"
        write_answer(json_out, lambda path: path.write_text(text, encoding="utf-8"))
    if drawing:
        write_answer(drawing, Image.fromarray(draw_pose(localizer.image, poses, limbs)).save)
    return poses


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file that exists."""
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist
        return False


def write_answer(path: Path, write: Callable[[Path], object]) -> None:
    with whole_file(path) as part:
        try:
            write(part)
        except ValueError as error:  # the suffix is not that of an image
            raise PosetalkError(f"cannot write {path}: {error}; choose another place") from None
