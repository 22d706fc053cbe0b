"""Whether pictures are the ones that were labelled: upright, and of the size that the labels say."""

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

CLOSE = 0.01  # of a side, and 1 px more: what rounding does
OUTSIDE = 0.25  # of a picture's keypoints; so many lie outside in none of LSPET's 9,000
# So many pictures that do not fit are too many where labels name no size: a turned one may hold all of its keypoints.
MANY, FEW = 0.1, 3


def misfit(image: PoseImage, *, shape: bool = False) -> str | None:
    """Why a photo is not the one that was labelled, if so; None too where there is none, or one that cannot be opened.

    shape: whether a smaller or larger copy will do. Without a size in the labels their keypoints must lie in the photo;
    whether it is a copy cannot be told then.
    """
    size = _photo_size(image)
    if size is None:
        return None
    width, height = size
    if not image.width or not image.height:
        return None if shape else _points_outside(image, width, height)
    scale = height / image.height if shape else 1.0
    if _close(scale * image.width, width) and _close(scale * image.height, height):
        return None
    said = f"labels say {image.width} x {image.height}, the upright picture is {width} x {height}"
    if _close(image.height, width) and _close(image.width, height):
        return f"{said}; it was turned since, or labelled before it was"
    return f"{said}; give the picture that was labelled"


def drop_misfits(data: PoseSet) -> PoseSet:
    """The data set without the pictures that are not the ones that were labelled; a sentence for each is in `skipped`,
    and in `notes` one for whatever else may not fit.

    Of many pictures some are looked at (LOOKED, as many at equal distances), and all where one of those does not fit.
    Errors: most do not fit; of pictures whose size the labels do not say, more than one in ten, and three or more, or
    keypoints of another scale.
    """
    data = _without_misfits(data)
    notes = scale_and_orientation_notes(data.images, data.source)
    return replace(data, notes=(*data.notes, *notes)) if notes else data


def _without_misfits(data: PoseSet) -> PoseSet:
    labelled = [image for image in data.images if image.people]
    for looked in (evenly_spaced(labelled), labelled):
        found = {image.id: fault for image in looked if (fault := misfit(image))}
        if not found:
            return data
    first = next(image for image in labelled if image.id in found)
    share = len(found) / len(labelled)
    if share > 0.5 or (not first.width and share > MANY and len(found) >= FEW):
        raise PosetalkError(
            f"{len(found):,} of {len(labelled):,} pictures are not as {data.source} has them; the first, "
            f"{first.path}: {found[first.id]}"
        )
    said = [f"{image.path.name}: {found[image.id]}" for image in labelled if image.id in found]
    images = tuple(image for image in data.images if image.id not in found)
    return replace(data, images=images, skipped=(*data.skipped, *said))


def shape_notes(images: Iterable[PoseImage]) -> list[str]:
    """One sentence about the photos that are no copies of those that were labelled, if there are any."""
    found = [(image, fault) for image in images if (fault := misfit(image, any_size=True))]
    if not found:
        return []
    image, fault = found[0]
    more = f", and so {'is 1 more' if len(found) == 2 else f'are {len(found) - 1:,} more'}"
    return [f"{image.path.name} has another shape: {fault}{more if len(found) > 1 else ''}"]


def image_notes(images: Iterable[PoseImage], source: Path) -> list[str]:
    """For those who use labels with photos that may be copies of another size: what may not fit."""
    some = evenly_spaced([image for image in images if image.people])
    return [*shape_notes(some), *scale_and_orientation_notes(some, source, copies=True)]


def image_sizes(images: Sequence[PoseImage]) -> dict[int, Size | None]:
    """The size of each picture by its id, as the labels have it, or (of some, if there are many) the photo."""
    sizes = {image.id: labelled_size(image) for image in images}
    unsized = evenly_spaced([image for image in images if sizes[image.id] is None])
    return sizes | {image.id: _photo_size(image) for image in unsized}


def scale_and_orientation_notes(
    images: Iterable[PoseImage], source: Path, *, copies: bool = False
) -> list[str]:
    """What the size of a single picture does not tell: keypoints of another scale, and turns that keep the size.

    copies: whether photos may be copies of another size. Errors: keypoints of another scale, where they may not.
    """
    looked = evenly_spaced([image for image in images if image.people])
    reach = Reach(OF_POINTS)
    for image in looked:
        if labelled_size(image) is None and (size := _photo_size(image)):
            reach.add(image.id, _points(image), size)
    fault = reach.fault("labelled keypoints", "the upright pictures")
    if fault and fault.sure and not copies and len(reach.pictures) >= FEW:
        raise PosetalkError(f"{source}: {fault.said}")
    return [*([f"{source}: {fault.said}"] if fault else []), *_turns(looked)]


def _turns(looked: Sequence[PoseImage]) -> list[str]:
    """One sentence about pictures that EXIF turns or mirrors in a way that their size does not show."""
    found = [image for image in looked if _turned_unseen(image)]
    if not found:
        return []
    return [
        f"{len(found):,} of {len(looked):,} pictures are turned or mirrored by EXIF, which their size does not show "
        f"(the first: {found[0].path.name}); they are read upright, and labels made before that do not fit: draw some "
        "with posetalk facts --draw"
    ]


def _turned_unseen(image: PoseImage) -> bool:
    try:
        turn = exif_orientation(image.path)
        width, height = upright_size(image.path) if turn > 4 else (1, 1)  # those above 4 change places
    except PosetalkError:
        return False
    return turn > 1 and (width == height or labelled_size(image) is None)


def _photo_size(image: PoseImage) -> Size | None:
    try:
        return upright_size(image.path)
    except PosetalkError:
        return None


def _points(image: PoseImage) -> Floats:
    return np.concatenate(
        [person.keypoints[person.labelled] for person in image.people] or [np.empty((0, 2))]
    )


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(a, b) + 1


def _points_outside(image: PoseImage, width: int, height: int) -> str | None:
    points = _points(image)
    margin = MARGIN * np.array([width, height])
    out: npt.NDArray[np.bool_] = ((points < -margin) | (points > margin + np.array([width, height]))).any(
        axis=1
    )
    if not len(points) or out.mean() <= OUTSIDE:
        return None
    return (
        f"{out.sum()} of {len(out)} labelled keypoints lie outside the upright picture, which is {width} x {height}; "
        "give the picture that was labelled"
    )
