"""What a benchmark is made from: labels of any form that is read, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from posetalk.bench.questions.build import EACH
from posetalk.bench.questions.openset import PICTURES
from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.formats.dataset import read_people
from posetalk.formats.files import read_start
from posetalk.formats.paths import find_image
from posetalk.images.fit import misfit, scale_and_orientation_notes
from posetalk.inputs import LocalPath, TomlName
from posetalk.settings import Settings
from posetalk.skeleton import load_skeleton


class BuildSettings(Settings):
    """What a benchmark is made from."""

    renamed: ClassVar[Mapping[str, str]] = {
        "pictures": "max_images",
        "each": "max_per_answer",
        "training": "training_data",
    }

    annotations: LocalPath
    """COCO's person keypoints, MPII's or LSP's labels."""
    captions: LocalPath | None = None
    """COCO's captions of the same images; without them there are no open questions."""
    objects: LocalPath | None = None
    """COCO's instances of the same images."""
    images: LocalPath | None = None
    """Ask only about images that are in this folder."""
    skeleton: TomlName | None = None
    """The labelled keypoints of COCO-style annotations; None for those that they name."""
    first: int = 1
    """First image of the range, counted from 1 (LSP only)."""
    last: int | None = None
    """Last image of the range; None for all (LSP only)."""
    max_images: int = PICTURES
    """How many images the open questions are about, three questions each."""
    max_per_answer: int = Field(EACH, ge=1)
    """Closed questions of the same words and the same right answer, at most."""
    training_data: tuple[LocalPath, ...] = ()
    """Files that a model was trained on, whose images are refused."""
    seed: int = 0
    """Seed of wording and choice."""


def pictures_of(
    settings: BuildSettings,
) -> tuple[Iterable[AnnotatedImage], tuple[str, ...], Callable[[], Sequence[str]]]:
    """The pictures, the names of their keypoints, and what to tell: labels that look wrong, records skipped so far.

    Errors: as the readers'; what does not go with this form of labels.
    """
    path = Path(settings.annotations)
    chosen = load_skeleton(settings.skeleton) if settings.skeleton else None
    if read_start(path).startswith(b"{"):
        captions, objects = (Path(one) if one else None for one in (settings.captions, settings.objects))
        if settings.first != 1 or settings.last is not None:
            raise PosetalkError(f"{path} is a COCO-style file, which takes no first and last; leave them out")
        folder = Path(settings.images) if settings.images else None
        pictures = AnnotatedImages(path, captions, objects, images=folder, skeleton=chosen)
        more = scale_and_orientation_notes(pictures.sample(), path, copies=True) if folder else []
        return pictures, pictures.keypoint_names, lambda: _told([*pictures.notes, *more], pictures.skipped)
    if settings.captions or settings.objects:
        raise PosetalkError(f"{path} is no COCO-style file; captions and objects go with one")
    images = Path(settings.images) if settings.images else path.parent
    data = read_people(path, images, skeleton=chosen, first=settings.first, last=settings.last)
    more = scale_and_orientation_notes(data.images, path, copies=True) if settings.images else []
    return (
        [AnnotatedImage(image) for image in data.images],
        data.keypoint_names,
        lambda: _told([*data.notes, *more], data.skipped),
    )


def with_photos(
    pictures: Iterable[AnnotatedImage], settings: BuildSettings, left_out: dict[str, None]
) -> Iterator[AnnotatedImage]:
    """The pictures, only those whose photo is there, or a copy of it, where `images` is given.

    left_out: takes a sentence for each photo of another shape than the labels say. Errors: no photo, or most are so.
    """
    images = Path(settings.images) if settings.images else None
    good, bad, odd = 0, 0, ""
    for picture in pictures:
        path = None if images is None else find_image(images, picture.image.name)
        if images is not None and path is None:
            continue
        if path is not None and (fault := misfit(replace(picture.image, path=path), any_size=True)):
            bad, odd = bad + 1, f"{path.name}: {fault}"
            left_out[odd] = None
            continue
        good += 1
        yield picture
    if bad > good:
        raise PosetalkError(
            f"{bad:,} of {bad + good:,} photos in {images} are not as {settings.annotations} has them; the last, {odd}"
        )
    if not good:
        raise PosetalkError(f"{images} has no photo of {settings.annotations}; give the folder of the photos")


def _told(notes: Iterable[str], skipped: Iterable[str]) -> list[str]:
    return [*notes, *(f"skipped: {sentence}" for sentence in skipped)]
