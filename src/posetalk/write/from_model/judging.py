"""Whether a model's reply can be used: it is read, and screened with the facts and captions of its image."""

from __future__ import annotations

from functools import lru_cache

from posetalk.facts.scene import Scene
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Accept
from posetalk.write.from_model.recipe import Recipe, given_facts
from posetalk.write.from_model.reply import parse
from posetalk.write.from_model.second_reader import LabelsOf, Screen
from posetalk.write.labels import scene_of
from posetalk.write.samples.sample import Sample, Turns, kind_of
from posetalk.write.screening.screen import faults_of


def reply_checker(annotated: AnnotatedImages, recipe: Recipe, model: str) -> Accept:
    """A function that reads a model's reply and screens it with the facts and captions of its image."""
    screen = screening(labels_from(annotated), recipe, model)

    def check(job: ChatRequest, reply: str) -> Turns:
        turns = parse(job, reply)  # first: what cannot be read needs no labels
        if faults := screen(job, turns):
            raise Rejected(faults)
        return turns

    return check


def labels_from(annotated: AnnotatedImages) -> LabelsOf:
    """A function that gives an image's labels and facts; the last one's are kept, as its kinds come one by one."""

    @lru_cache(maxsize=1)
    def labels_of(image_id: int) -> tuple[AnnotatedImage, Scene]:
        record = annotated.get(image_id)
        assert record is not None  # the job was made from it
        return record, scene_of(annotated, record)

    return labels_of


def screening(labels_of: LabelsOf, recipe: Recipe, model: str) -> Screen:
    """A function that finds what is wrong with the turns of a reply."""

    def screen(job: ChatRequest, turns: Turns) -> tuple[Fault, ...]:
        record, scene = labels_of(job.image_id)
        kind = kind_of(job.kind)
        sample = Sample(job.id, job.image_id, job.image, kind, turns, model)
        return faults_of(sample, scene, given_facts(recipe, kind), record.captions)

    return screen
