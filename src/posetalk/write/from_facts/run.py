"""A data set by the facts writer, without a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.messages import track
from posetalk.write.folder import ScreenedSample, ScreeningResult, write_report, write_screened
from posetalk.write.from_facts.writer import write
from posetalk.write.labels import scene_of
from posetalk.write.questions.short import ShortQuestions
from posetalk.write.samples.sample import Sample, Selected
from posetalk.write.screening.rules import gives_away
from posetalk.write.screening.screen import faults_of
from posetalk.write.settings import WriteSettings


def write_by_facts(annotated: AnnotatedImages, settings: WriteSettings, out: Path) -> ScreeningResult:
    """Write a folder without a model, as `write_dataset` does for labels that are already read.

    Args:
        annotated: The labelled images.
        settings: What to write. The label files that it names are only recorded in run.toml.
        out: The folder of the run.

    Returns:
        The numbers of written and rejected samples.

    Raises:
        PosetalkError: When too little is known of all people to write anything, or the folder holds a run with other
            settings.
    """
    with settings.claim(out, anew=True):
        result = write_screened(facts_samples(annotated, settings), out)
        if not result.written:
            raise PosetalkError(
                f"too little is known of the people of {settings.annotations} to write anything of them"
            )
        result.unreadable_images = write_report(annotated, out)
        return result


def facts_samples(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    selected: Selected | None = None,
    short: ShortQuestions | None = None,
) -> Iterator[ScreenedSample]:
    """The screened samples of the facts writer; none of images of whose people too little is known.

    Args:
        annotated: The labelled images.
        settings: What to write.
        selected: The images of each kind; None for those that the settings choose of all.
        short: The short questions with the counts of all images; None to count them first.
    """
    selected = selected or selected_images(annotated, settings)
    short = short or count_short(annotated, settings, selected)
    for record in _records(annotated, "writing", frozenset().union(*selected.values())):
        image_id, name = record.image.id, record.image.name
        scene = scene_of(annotated, record)
        quotable = [text for text in record.captions if not gives_away(text)]
        unlabelled = [p.box for p in record.image.people if not p.is_crowd and not p.labelled.any()]
        for kind in (kind for kind in settings.kinds if image_id in selected[kind]):
            if kind == "short":
                turns = short.turns(record, scene)
            else:
                turns = write(scene, quotable, kind, settings.seed, unlabelled)
            if turns is not None:
                sample = Sample(f"{image_id}-{kind}", image_id, name, kind, turns, settings.writer)
                yield ScreenedSample(sample, faults_of(sample, scene, captions=record.captions))


def selected_images(annotated: AnnotatedImages, settings: WriteSettings) -> Selected:
    """The images of each kind."""
    ids, limits = annotated.ids(), settings.image_limits()
    return {kind: limits.select(ids, kind, settings.seed) for kind in settings.kinds}


def count_short(annotated: AnnotatedImages, settings: WriteSettings, selected: Selected) -> ShortQuestions:
    """The short questions of the images that are selected for them, counted."""
    short = ShortQuestions(settings.seed)
    if "short" in settings.kinds:
        for record in _records(annotated, "counting", selected["short"]):
            short.count(record, scene_of(annotated, record))
    return short


def _records(
    annotated: AnnotatedImages, description: str, selected: frozenset[int]
) -> Iterator[AnnotatedImage]:
    for image_id in track(annotated.ids(), description):
        if image_id in selected and (record := annotated.get(image_id)) is not None:
            yield record
