"""The people whom a text describes, with what can be said of them."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.scene import Scene, ScenePerson
from posetalk.types import Box
from posetalk.write.from_facts.actions import action_statements, doings, place_statement, with_purposes
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.phrases import Statement, statements
from posetalk.write.from_facts.speaker import Subject
from posetalk.write.from_facts.surroundings import surroundings

SMALLEST = 90.0  # px, of the longer side of a box
PEOPLE = 4  # most people who are described one by one: the main person, then the largest

# Names of people in a group of whom nobody is the main person.
AT_AN_END = ("on the far left", "on the far right")
_MIRRORED = re.compile(r"\b(?:mirrors?|reflections?|reflected)\b", re.IGNORECASE)
_SEATED = ("action: sitting on ", "action: lying on ", "action: standing on ", "action: riding ")
_IMPLIED = ("body: sitting", "body: lying", "body: standing")


@dataclass(frozen=True, slots=True)
class Described:
    """A person with a unique name, and what can be said.

    Attributes:
        person: The person.
        subject: What the person is called.
        statements: What is so, and what is surely not so and can be asked for.
    """

    person: ScenePerson
    subject: Subject
    statements: list[Statement]

    @property
    def true(self) -> list[Statement]:
        """The statements of what is so."""
        return [statement for statement in self.statements if statement.true]


def described_people(
    scene: Scene, captions: Sequence[str], unlabelled: Sequence[Box], rng: random.Random
) -> tuple[list[Described], list[Subject]]:
    """The people whom a text describes, the main one first, and the subjects of all people.

    Nobody is described where the main person has no name, or where nothing is known of that person. Nor is anybody
    where a caption speaks of a mirror, because left and right may be those of the reflection.
    """
    names = subjects(scene, captions, unlabelled)
    order = sorted(
        range(len(names)), key=lambda i: (scene.people[i].name != scene.main, -scene.people[i].box.area)
    )
    shown = [i for i in order if names[i].unique and _is_large(scene.people[i])][:PEOPLE]
    is_main = bool(shown) and (shown[0] == order[0] or names[shown[0]].name.endswith(AT_AN_END))
    if not is_main or any(_MIRRORED.search(text) for text in captions):
        return [], names
    found: list[Described] = []
    for i in shown:
        person = conservatively_true(scene.people[i])
        done = action_statements(person, scene, names[i], rng)
        body = with_purposes(statements(person, names[i], rng), doings(person, scene))
        if any(one.key.startswith(_SEATED) for one in done):
            body = [one for one in body if not one.true or one.key not in _IMPLIED]
        place = place_statement(captions, names[i]) if not found else []
        around = surroundings(person, scene, names[i], [one.key for one in done])
        found.append(Described(person, names[i], [*done, *place, *body, *around]))
    return (found if found[0].true else []), names


def _is_large(person: ScenePerson) -> bool:
    """Whether a viewer can see how somebody holds the limbs; people whom captions speak of may be a little smaller."""
    return max(person.box.w, person.box.h) >= (SMALLEST if not person.mentions else 0.6 * SMALLEST)
