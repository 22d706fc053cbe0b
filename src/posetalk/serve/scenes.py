"""What is true of people whose keypoints a caller sends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import ScenePerson, scene_facts
from posetalk.formats.annotated import AnnotatedImage
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.formats.names import plain_name
from posetalk.formats.objects import Thing
from posetalk.locate.label import MIN_KEYPOINT_SCORE
from posetalk.serve.bodies import Json, PeopleGiven, PersonGiven
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage

NAMES = load_skeleton("coco17").names
IMAGE = 1  # the id of the only image


class PosedScene:
    """The people of a request, and the facts of them.

    Args:
        given: The request.
        max_people: The most people that are taken.

    Attributes:
        annotated: The image as the writers take it.
        scene: The facts of it.
        people: For each person of the request, in order, the one of the scene; None of whom no keypoint is known.

    Raises:
        PosetalkError: too many people; a box without area; a keypoint twice.
    """

    def __init__(self, given: PeopleGiven, max_people: int) -> None:
        check_people(given.people, max_people)
        size = (given.width, given.height)
        rows = tuple(_person(person, index, size) for index, person in enumerate(given.people))
        things = tuple(Thing(plain_name(one.name), Box(*one.box)) for one in given.objects)
        image = PoseImage(IMAGE, Path("image"), *size, rows)
        self.annotated = AnnotatedImage(image, tuple(given.captions), things)
        self.scene = scene_facts(image, NAMES, things, given.captions)
        # as `scene_facts` counts them
        labelled = sorted(
            (row for row in rows if row.labelled.any()), key=lambda row: (row.box.center, row.id)
        )
        of_id = {row.id: person for row, person in zip(labelled, self.scene.people, strict=True)}
        self.people: list[ScenePerson | None] = [of_id.get(row.id) for row in rows]

    @property
    def unlabelled(self) -> list[Box]:
        """The boxes of the people without a known keypoint, px."""
        return [row.box for row in self.annotated.image.people if not row.labelled.any()]

    def person(self, index: int | None) -> ScenePerson | None:
        """The person of that index, None for None.

        Raises:
            PosetalkError: there is none, or no keypoint is known.
        """
        if index is None:
            return None
        if index >= len(self.people):
            raise PosetalkError(f"person is {index}, and there are {len(self.people)} people, from 0")
        person = self.people[index]
        if person is None:
            raise PosetalkError(f"nothing is known of person {index}: none of COCO's keypoints is sure")
        return person

    def facts(self) -> Json:
        """The facts as the answer has them."""
        return {
            "people": [
                {"name": None, "facts": []}
                if person is None
                else {"name": person.name, "facts": rows_of(person.facts)}
                for person in self.people
            ],
            "scene": rows_of(self.scene.facts),
        }


def check_people(people: Sequence[PersonGiven], limit: int) -> None:
    """Raises PosetalkError for more people than the limit."""
    if len(people) > limit:
        raise PosetalkError(f"there are {len(people)} people; the limit is {limit} people a request")


def _person(given: PersonGiven, index: int, size: tuple[int, int]) -> Person:
    """Flags as in the label files that are made of predictions: unsure places and those outside are no labels."""
    box = Box(*given.box)
    keypoints, visible = np.zeros((len(NAMES), 2)), np.zeros(len(NAMES))
    for point in given.keypoints:
        if (name := plain_name(point.name)) not in NAMES:
            continue
        row = NAMES.index(name)
        if visible[row]:
            raise PosetalkError(f"person {index} has the keypoint {name!r} twice; give each once")
        is_sure = point.score is None or point.score >= MIN_KEYPOINT_SCORE
        if is_sure and 0 <= point.x <= size[0] and 0 <= point.y <= size[1]:
            keypoints[row], visible[row] = (point.x, point.y), 1 if point.visible is False else 2
    return Person(index, box, keypoints, visible, AREA_OF_BOX * box.area)


def rows_of(facts: Facts) -> list[Json]:
    """Facts as an answer has them."""
    return [row_of(fact) for fact in facts]


def row_of(fact: Fact) -> Json:
    """A fact as an answer has it."""
    return {
        "name": fact.key,
        "value": fact.value,
        "text": words_of(fact),
        "evidence": list(fact.evidence),
        "numbers": dict(fact.numbers),
    }


def words_of(fact: Fact) -> str:
    """A fact in words: `left arm raised`, `left arm: not raised`, `left arm: not known whether raised`."""
    part = "" if fact.part in ("body", "action", "picture") else fact.part
    if fact.value:
        return f"{part} {fact.predicate}".strip()
    said = f"not {fact.predicate}" if fact.value is False else f"not known whether {fact.predicate}"
    return f"{part}: {said}" if part else said
