"""What the people of located poses are called, as the writer of samples calls labelled people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posetalk.facts.ordinals import ordinal
from posetalk.facts.scene import scene_facts
from posetalk.formats.names import plain_name
from posetalk.locate.label import MIN_KEYPOINT_SCORE
from posetalk.types import Person, PoseImage, Poses
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.speaker import FORMS, Subject


def people_of(poses: Poses) -> tuple[Person, ...]:
    """Located people as labelled ones; their ids are their rows."""
    seen = np.ones(poses.score.shape, bool) if poses.visible is None else poses.visible
    flags = np.where(poses.score >= MIN_KEYPOINT_SCORE, np.where(seen, 2.0, 1.0), 0.0)
    return tuple(Person(row, box, poses.xy[row], flags[row], box.area) for row, box in enumerate(poses.boxes))


def named_people(
    people: Sequence[Person], names: Sequence[str], captions: Sequence[str] = ()
) -> dict[int, Subject]:
    """What each person of an image is called, by id.

    Gender, occupation and clothes are only said where captions agree on them. Somebody whom the writer gives no name of
    their own is named by the place from left to right, as seen by the viewer.

    Args:
        people: The people of the image; crowds have no name.
        names: The names of their keypoints.
        captions: The captions of the image.
    """
    image = PoseImage(0, Path(), None, None, tuple(people))
    names = [plain_name(name) for name in names]
    people = [person for person in people if not person.is_crowd]
    order = sorted(people, key=lambda person: (person.box.center, person.id))
    labelled = [person for person in order if person.labelled.any()]
    scene = scene_facts(image, tuple(names), captions=tuple(captions))
    others = [person.box for person in order if not person.labelled.any()]
    called = (
        dict(zip((p.id for p in labelled), subjects(scene, captions, others), strict=True))
        if labelled
        else {}
    )
    found = {}
    for number, person in enumerate(order, 1):
        subject = called.get(person.id, Subject("the person", FORMS["they"], unique=len(order) == 1))
        if not subject.unique:
            subject = replace(subject, name=f"the {ordinal(number)} person from the left")
        found[person.id] = subject
    return found
