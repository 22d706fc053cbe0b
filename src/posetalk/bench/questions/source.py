"""The settings of a benchmark, and the annotated images that it is built from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from posetalk.bench.questions.build import MAX_PER_ANSWER
from posetalk.bench.questions.openset import MAX_IMAGES
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
    """What a benchmark is built from."""

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
    max_images: int = MAX_IMAGES
    """How many images the open questions are about, three questions each."""
    max_per_answer: int = Field(default=MAX_PER_ANSWER, ge=1)
    """Closed questions of the same words and the same right answer, at most."""
    training_data: tuple[LocalPath, ...] = ()
    """Files that a model was trained on, whose images are refused."""
    seed: int = 0
    """Seed of wording and choice."""


def annotated_images(
    settings: BuildSettings,
) -> tuple[Iterable[AnnotatedImage], tuple[str, ...], Callable[[], Sequence[str]]]:
    """Open the annotations of a benchmark.

    Returns:
        The images, the names of their keypoints, and a function that returns sentences on labels that look wrong and on
        records skipped so far.

    Raises:
        PosetalkError: The annotations cannot be read, or a setting does not apply to their format.
    """
    path = Path(settings.annotations)
    skeleton = load_skeleton(settings.skeleton) if settings.skeleton else None
    if read_start(path).startswith(b"{"):
        captions, objects = (Path(file) if file else None for file in (settings.captions, settings.objects))
        if settings.first != 1 or settings.last is not None:
            raise PosetalkError(f"{path} is a COCO-style file, which takes no first and last; leave them out")
        folder = Path(settings.images) if settings.images else None
        images = AnnotatedImages(path, captions, objects, images=folder, skeleton=skeleton)
        size_notes = scale_and_orientation_notes(images.sample(), path, copies=True) if folder else []
        return (
            images,
            images.keypoint_names,
            lambda: _notes([*images.notes, *size_notes], images.skipped),
        )
    if settings.captions or settings.objects:
        raise PosetalkError(f"{path} is no COCO-style file; captions and objects go with one")
    folder = Path(settings.images) if settings.images else path.parent
    data = read_people(path, folder, skeleton=skeleton, first=settings.first, last=settings.last)
    size_notes = scale_and_orientation_notes(data.images, path, copies=True) if settings.images else []
    return (
        [AnnotatedImage(image) for image in data.images],
        data.keypoint_names,
        lambda: _notes([*data.notes, *size_notes], data.skipped),
    )


def images_with_files(
    images: Iterable[AnnotatedImage], settings: BuildSettings, skipped: dict[str, None]
) -> Iterator[AnnotatedImage]:
    """Where `settings.images` is set, only the images whose file is in that folder.

    Args:
        images: The annotated images.
        settings: Settings of the benchmark.
        skipped: Gets a sentence (key) for each file whose shape differs from the annotations.

    Raises:
        PosetalkError: No file exists, or most of them differ.
    """
    folder = Path(settings.images) if settings.images else None
    valid, invalid, last_fault = 0, 0, ""
    for annotated in images:
        path = None if folder is None else find_image(folder, annotated.image.name)
        if folder is not None and path is None:
            continue
        if path is not None and (fault := misfit(replace(annotated.image, path=path), any_size=True)):
            invalid, last_fault = invalid + 1, f"{path.name}: {fault}"
            skipped[last_fault] = None
            continue
        valid += 1
        yield annotated
    if invalid > valid:
        raise PosetalkError(
            f"{invalid:,} of {invalid + valid:,} images in {folder} are not as {settings.annotations} has them; "
            f"the last, {last_fault}"
        )
    if not valid:
        raise PosetalkError(f"{folder} has no image of {settings.annotations}; give the folder of the images")


def _notes(notes: Iterable[str], skipped: Iterable[str]) -> list[str]:
    return [*notes, *(f"skipped: {sentence}" for sentence in skipped)]
