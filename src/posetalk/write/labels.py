"""The labels of a data set's images, as the writers and the screening look at them."""

from __future__ import annotations

from pathlib import Path

from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.write.samples.sample import Sample
from posetalk.write.screening.screen import supported_by_facts


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


def scene_of(annotated: AnnotatedImages, record: AnnotatedImage) -> Scene:
    """The facts of an image."""
    return scene_facts(record.image, annotated.keypoint_names, record.things, record.captions)


def is_supported(annotated: AnnotatedImages, sample: Sample) -> bool:
    """Whether the facts of its own image support a short text."""
    record = annotated.get(sample.image_id)
    return record is not None and supported_by_facts(sample, scene_of(annotated, record))
