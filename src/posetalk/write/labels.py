"""The labels of a data set's images, as the writers and the screening look at them."""

from __future__ import annotations

from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.write.samples.contamination import benchmark_images, image_key
from posetalk.write.samples.sample import Sample
from posetalk.write.screening.screen import supported_by_facts
from posetalk.write.settings import WriteSettings


def read_labels(
    annotations: str | Path,
    captions: str | Path | None,
    objects: str | Path | None,
    images: str | Path | None,
) -> AnnotatedImages:
    """People, captions and objects, image by image."""
    return AnnotatedImages(
        Path(annotations),
        Path(captions) if captions else None,
        Path(objects) if objects else None,
        images=Path(images) if images else None,
    )


def labels_of(settings: WriteSettings, images: str | Path | None) -> AnnotatedImages:
    """The labels that settings name, without the images of their benchmarks.

    Raises:
        PosetalkError: A file cannot be read, or all images are a benchmark's.
    """
    keys = frozenset[str]().union(*(benchmark_images(Path(path)) for path in settings.benchmarks))
    annotated = read_labels(settings.annotations, settings.captions, settings.objects, images)
    if keys:
        annotated.leave_out = lambda name: image_key(name) in keys
        if not annotated.ids():
            raise PosetalkError(
                f"all images of {settings.annotations} are in {', '.join(settings.benchmarks)}; training needs others"
            )
    return annotated


def scene_of(annotated: AnnotatedImages, record: AnnotatedImage) -> Scene:
    """The facts of an image."""
    return scene_facts(record.image, annotated.keypoint_names, record.things, record.captions)


def is_supported(annotated: AnnotatedImages, sample: Sample) -> bool:
    """Whether the facts of its own image support a short text."""
    record = annotated.get(sample.image_id)
    return record is not None and supported_by_facts(sample, scene_of(annotated, record))
