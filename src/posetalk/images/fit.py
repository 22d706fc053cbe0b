"""Whether image files are the ones that were labelled: upright, and of the size in the labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.formats.fit import MARGIN, evenly_spaced, labelled_size
from posetalk.formats.scale import OF_POINTS, Reach, Size
from posetalk.images.opening import exif_orientation, upright_size
from posetalk.types import Floats, PoseImage, PoseSet

CLOSE = 0.01  # of a side, plus 1 px: rounding
OUTSIDE = 0.25  # of an image's keypoints; more than lie outside in any of LSPET's 9,000 images
# Share and number of misfits that are too many if the labels have no sizes: a rotated image may contain all keypoints.
MANY, FEW = 0.1, 3


def misfit(image: PoseImage, *, any_size: bool = False) -> str | None:
    """Why an image file is not the one that was labelled.

    Args:
        image: The image with its labels. If the labels have no size, their keypoints must lie inside the file's image.
        any_size: Whether a smaller or larger copy is accepted.

    Returns:
        A sentence; None if it fits, and also if there is no file or it cannot be opened.
    """
    size = _size_of_file(image)
    if size is None:
        return None
    width, height = size
    if not image.width or not image.height:
        return None if any_size else _points_outside(image, width, height)
    scale = height / image.height if any_size else 1.0
    if _close(scale * image.width, width) and _close(scale * image.height, height):
        return None
    sentence = f"labels say {image.width} x {image.height}, the upright image is {width} x {height}"
    if _close(image.height, width) and _close(image.width, height):
        return f"{sentence}; it was turned since, or labelled before it was"
    return f"{sentence}; give the image that was labelled"


def drop_misfits(data: PoseSet) -> PoseSet:
    """The data set without the images whose files are not the ones that were labelled.

    A sample of MAX_SAMPLE images is checked, and all of them if one of the sample does not fit.

    Returns:
        The data set, with a sentence in `skipped` for each image dropped, and in `notes` for other doubts.

    Raises:
        PosetalkError: Most images do not fit; or, for labels without sizes, more than one in ten and at least three,
            or keypoints of another scale.
    """
    data = _without_misfits(data)
    notes = scale_and_orientation_notes(data.images, data.source)
    return replace(data, notes=(*data.notes, *notes)) if notes else data


def _without_misfits(data: PoseSet) -> PoseSet:
    labelled = [image for image in data.images if image.people]
    for sample in (evenly_spaced(labelled), labelled):
        misfits = {image.id: fault for image in sample if (fault := misfit(image))}
        if not misfits:
            return data
    first = next(image for image in labelled if image.id in misfits)
    share = len(misfits) / len(labelled)
    if share > 0.5 or (not first.width and share > MANY and len(misfits) >= FEW):
        raise PosetalkError(
            f"{len(misfits):,} of {len(labelled):,} images are not as {data.source} has them; the first, "
            f"{first.path}: {misfits[first.id]}"
        )
    sentences = [f"{image.path.name}: {misfits[image.id]}" for image in labelled if image.id in misfits]
    images = tuple(image for image in data.images if image.id not in misfits)
    return replace(data, images=images, skipped=(*data.skipped, *sentences))


def shape_notes(images: Iterable[PoseImage]) -> list[str]:
    """A sentence about the images that are not copies of the labelled ones, if there are any."""
    misfits = [(image, fault) for image in images if (fault := misfit(image, any_size=True))]
    if not misfits:
        return []
    image, fault = misfits[0]
    more = f", and so {'is 1 more' if len(misfits) == 2 else f'are {len(misfits) - 1:,} more'}"
    return [f"{image.path.name} has another shape: {fault}{more if len(misfits) > 1 else ''}"]


def image_notes(images: Iterable[PoseImage], source: Path) -> list[str]:
    """Sentences about images that may not fit their labels, where copies of another size are accepted."""
    sample = evenly_spaced([image for image in images if image.people])
    return [*shape_notes(sample), *scale_and_orientation_notes(sample, source, copies=True)]


def image_sizes(images: Sequence[PoseImage]) -> dict[int, Size | None]:
    """The size of each image by its id: from the labels, or else (for a sample, if there are many) from the file."""
    sizes = {image.id: labelled_size(image) for image in images}
    unsized = evenly_spaced([image for image in images if sizes[image.id] is None])
    return sizes | {image.id: _size_of_file(image) for image in unsized}


def scale_and_orientation_notes(
    images: Iterable[PoseImage], source: Path, *, copies: bool = False
) -> list[str]:
    """Sentences about what the size of an image does not show: keypoints of another scale, and EXIF orientations.

    Args:
        images: The labelled images; a sample of them is checked.
        source: The annotation file, for the sentences.
        copies: Whether the files may be copies of another size.

    Raises:
        PosetalkError: Keypoints of another scale, unless `copies`.
    """
    sample = evenly_spaced([image for image in images if image.people])
    reach = Reach(OF_POINTS)
    for image in sample:
        if labelled_size(image) is None and (size := _size_of_file(image)):
            reach.add(image.id, _labelled_points(image), size)
    fault = reach.fault("labelled keypoints", "the upright images")
    if fault and fault.certain and not copies and len(reach.image_ids) >= FEW:
        raise PosetalkError(f"{source}: {fault.sentence}")
    return [*([f"{source}: {fault.sentence}"] if fault else []), *_orientation_notes(sample)]


def _orientation_notes(images: Sequence[PoseImage]) -> list[str]:
    """A sentence about images whose EXIF orientation does not show in their size, if there are any."""
    turned = [image for image in images if _is_turned_unseen(image)]
    if not turned:
        return []
    return [
        f"{len(turned):,} of {len(images):,} images are turned or mirrored by EXIF, which their size does not show "
        f"(the first: {turned[0].path.name}); they are read upright, and labels made before that do not fit: draw some "
        "with posetalk facts --draw"
    ]


def _is_turned_unseen(image: PoseImage) -> bool:
    try:
        turn = exif_orientation(image.path)
        width, height = (
            upright_size(image.path) if turn > 4 else (1, 1)
        )  # above 4, width and height are swapped
    except PosetalkError:
        return False
    return turn > 1 and (width == height or labelled_size(image) is None)


def _size_of_file(image: PoseImage) -> Size | None:
    try:
        return upright_size(image.path)
    except PosetalkError:
        return None


def _labelled_points(image: PoseImage) -> Floats:
    return np.concatenate(
        [person.keypoints[person.labelled] for person in image.people] or [np.empty((0, 2))]
    )


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(a, b) + 1


def _points_outside(image: PoseImage, width: int, height: int) -> str | None:
    points = _labelled_points(image)
    margin = MARGIN * np.array([width, height])
    outside: npt.NDArray[np.bool_] = ((points < -margin) | (points > margin + np.array([width, height]))).any(
        axis=1
    )
    if not len(points) or outside.mean() <= OUTSIDE:
        return None
    return (
        f"{outside.sum()} of {len(outside)} labelled keypoints lie outside the upright image, which is "
        f"{width} x {height}; give the image that was labelled"
    )
