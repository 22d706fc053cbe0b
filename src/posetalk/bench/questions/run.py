"""Build the questions of a benchmark from annotated images."""

from __future__ import annotations

from pathlib import Path

from posetalk.bench.questions.build import CLOSED, build_closed
from posetalk.bench.questions.openset import build_open
from posetalk.bench.questions.source import BuildSettings, annotated_images, images_with_files


def build_benchmark(settings: BuildSettings, folder: str | Path, *, rebuild: bool = True) -> list[str]:
    """Build the questions of a benchmark from annotated images.

    Needs no model and no optional package. The same settings and files give the same questions.

    Args:
        settings: Annotations, captions, images, limits and seed.
        folder: Folder of the benchmark; it is created where it is missing.
        rebuild: Build the questions also where the folder has some.

    Returns:
        Sentences on what was built; those about records and images that were left out begin with `skipped: `.

    Raises:
        PosetalkError: The annotations cannot be read or give no questions, all images are in `training_data`, or the
            folder has a benchmark with other settings or, without `rebuild`, from files that changed.
    """
    folder = Path(folder)
    rebuild = rebuild or not (folder / CLOSED).exists()
    with settings.claim(folder, anew=rebuild):
        return _build(settings, folder) if rebuild else []


def _build(settings: BuildSettings, folder: Path) -> list[str]:
    images, keypoint_names, reader_notes = annotated_images(settings)
    skipped: dict[str, None] = {}
    training_data = [Path(path) for path in settings.training_data]
    closed = build_closed(
        images_with_files(images, settings, skipped),
        keypoint_names,
        training_data=training_data,
        seed=settings.seed,
        max_per_answer=settings.max_per_answer,
    )
    notes = [f"{len(closed.questions):,} questions with one right answer", *closed.notes]
    open_set = None
    if settings.captions:
        open_set = build_open(
            images_with_files(images, settings, skipped),
            keypoint_names,
            training_data=training_data,
            seed=settings.seed,
            max_images=settings.max_images,
        )
        notes += [f"{len(open_set.questions):,} open questions", *open_set.notes]
    else:
        notes.append("no open questions: they need captions (--captions)")
    closed.save(folder)
    if open_set:
        open_set.save(folder)
    notes += [*reader_notes(), *(f"skipped: {sentence}" for sentence in skipped)]
    return list(dict.fromkeys(notes))
