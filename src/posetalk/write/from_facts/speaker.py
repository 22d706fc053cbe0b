"""How a person is spoken of, and sentences about people and the objects of an image."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from posetalk.facts.actions import with_article
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import Scene

_SINGULAR = {"is": "is", "has": "has", "does": "does", "s": "s", "es": "es"}
_PLURAL = {"is": "are", "has": "have", "does": "do", "s": "", "es": ""}
FORMS = {
    "he": {"he": "he", "his": "his", "him": "him", "himself": "himself"} | _SINGULAR,
    "she": {"he": "she", "his": "her", "him": "her", "himself": "herself"} | _SINGULAR,
    "they": {"he": "they", "his": "their", "him": "them", "himself": "themselves"} | _PLURAL,
}
# The first wording is also the one in prompts for language models.
_PAIR_PHRASES = {
    "facing each other": ("{0} and {1} are facing each other.", "{0} and {1} are turned to each other."),
    "touching": ("{0} and {1} touch, or very nearly so.", "{0} and {1} are close enough to touch."),
    "first is nearer": ("{0} looks much larger than {1}, and so is probably nearer.",),
    "second is nearer": ("{0} looks much larger than {1}, and so is probably nearer.",),
}
_OF = re.compile(r"\bthe ((?:[\w{}]+ ){1,3})of \{S\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a person is called.

    Attributes:
        name: The name, such as `the man` or `the person on the left`.
        forms: The forms of the pronoun, see FORMS.
        unique: Whether nobody else of the image has this name; `one of the people` is not unique.
    """

    name: str
    forms: dict[str, str]
    unique: bool = True

    def fill(self, text: str, by_name: bool = False, **more: str) -> str:
        """A phrase with its fields filled in; {he}, and {S} in a question, become the name or the pronoun."""
        forms = self.forms
        if by_name:
            forms = self.forms | _SINGULAR | {"he": self.name}
            if text.startswith("{His} "):
                if " " in self.name.removeprefix("the "):  # "the person on the left's arm" is no English
                    return f"As for {self.name}, {lower(self.fill(text, False, **more))}"
                forms = forms | {"His": f"{upper(self.name)}'s"}
        elif "{S}" in text:
            text = _OF.sub(lambda match: f"{{his}} {match[1].strip()}", text)
        values = forms | {"S": forms["he"]} | more
        values = {upper(key): upper(value) for key, value in values.items()} | values
        return upper(text.format(**values))


def relation_sentences(scene: Scene, person_subjects: Sequence[Subject]) -> list[str]:
    """Sentences about pairs of people, and about people and objects, for prompts.

    Args:
        scene: The scene.
        person_subjects: A subject for each of `scene.people`.

    Returns:
        A sentence for each true relation of people whose names are unique.
    """
    sentences = []
    for first, second, fact in _named_relations(scene, person_subjects):
        if isinstance(second, Subject):
            sentences.append(_pair_sentence(first, second, fact.predicate, None))
        else:
            sentences.append(_object_sentence(first, second, fact.predicate, scene.facts, fact.part))
    return [upper(sentence) for sentence in sentences if sentence]


def pair_sentences(scene: Scene, person_subjects: Sequence[Subject], rng: random.Random) -> list[str]:
    """Sentences about what pairs of people do: who touches or faces whom; as `relation_sentences`."""
    return [
        upper(sentence)
        for first, second, fact in _named_relations(scene, person_subjects)
        if isinstance(second, Subject) and "nearer" not in fact.predicate
        if (sentence := _pair_sentence(first, second, fact.predicate, rng))
    ]


def _named_relations(
    scene: Scene, person_subjects: Sequence[Subject]
) -> Iterator[tuple[Subject, Subject | str, Fact]]:
    """The true relations of people with unique names: the person, the other one or the object's name, the fact."""
    subject_of = {person.name: subject for person, subject in zip(scene.people, person_subjects, strict=True)}
    for fact in scene.facts.true:
        first, _, second = fact.part.partition(", ")
        if first in subject_of and subject_of[first].unique:
            other = subject_of.get(second)
            if other is None or other.unique:
                yield subject_of[first], other or second, fact


def _pair_sentence(first: Subject, second: Subject, predicate: str, rng: random.Random | None) -> str | None:
    templates = _PAIR_PHRASES.get(predicate, ())
    names = [first.name, second.name]
    if not templates or (" larger " in " ".join(names) and "nearer" in predicate):  # the name says it
        return None
    if predicate == "second is nearer":
        names.reverse()
    return (rng.choice(templates) if rng else templates[0]).format(*names)


def _object_sentence(
    subject: Subject, thing: str, predicate: str, facts: Facts, fact_part: str
) -> str | None:
    """A sentence about a person and an object. A hand is at an object or in front of it; a tie is worn."""
    object_name, his = with_article(thing), subject.forms["his"]
    hands = [side for side in ("left", "right") if facts.value(f"{fact_part}: at the {side} hand")]
    if predicate.startswith("at the ") and thing != "tie":
        if len(hands) == 2:
            return (
                f"{subject.name} has both hands at {object_name}."
                if predicate == "at the left hand"
                else None
            )
        return f"{subject.name} has {object_name} at {his} {hands[0]} hand."
    return {
        "sat on": f"{subject.name} is sitting on {object_name}.",
        "ridden": f"{subject.name} is riding {object_name}.",
    }.get(predicate)


def upper(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """The text with its first letter in lower case."""
    return text[:1].lower() + text[1:]
