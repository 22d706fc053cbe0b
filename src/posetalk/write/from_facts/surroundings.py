"""Where somebody is in the picture, and what is beside, above and under; the words are in actions.toml."""

from __future__ import annotations

import re
from collections.abc import Collection

from posetalk.facts.actions import with_article
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.facts.things import BOARDS, CARRIED
from posetalk.resources import resource_toml
from posetalk.write.from_facts.actions import WORN_THINGS
from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import Subject

_FORMS: dict[str, dict[str, dict[str, list[str]]]] = resource_toml("write/from_facts/actions.toml")["where"]
MOST = 3  # things beside one person
# What somebody may hold or wear, and what is too large to be beside a person.
_UNSAID = frozenset({*WORN_THINGS, *CARRIED, "backpack", "dining table", "person"} - {*BOARDS, "dog", "cat"})


def surroundings(
    person: ScenePerson, scene: Scene, subject: Subject, used: Collection[str] = ()
) -> list[Statement]:
    """Statements of where a person is in the picture, and of things around.

    Args:
        person: The person, one of `scene.people`.
        scene: The scene.
        subject: What the person is called.
        used: What is said of the person's doings: no thing in it is placed again.
    """
    found: list[Statement] = []
    said = " ".join(used)
    for fact in scene.facts.true:
        name, _, thing = fact.part.partition(", ")
        if name != person.name or fact.predicate not in (
            _FORMS["picture"] if thing == "picture" else _FORMS["thing"]
        ):
            continue
        if thing == "picture":
            if not re.search(r" (?:left|right|middle|front|foreground)\b", subject.name):
                forms = _forms("picture", fact.predicate)
                found.append(Statement(fact.key, "picture", True, subject, {}, forms))
        elif (
            thing not in _UNSAID
            and thing.split()[-1] not in said
            and sum(s.part != "picture" for s in found) < MOST
        ):
            article = with_article(thing)
            many = article == thing
            fields = {"thing": article, "lies": "are" if many else "is"}
            found.append(Statement(fact.key, thing, True, subject, fields, _forms("thing", fact.predicate)))
    return found


def _forms(kind: str, predicate: str) -> dict[str, list[str]]:
    """The phrases of a place, by their form."""
    row = _FORMS[kind][predicate]
    return {form: row.get(form, []) for form in ("say", "with", "at", "ask")}
