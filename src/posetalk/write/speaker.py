"""Facts as English sentences: varied, seeded, and true because nothing is said that is not a fact."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import Figure, Scene

# Words that captions have for one person, with the pronouns they allow. What three captions agree on is taken over.
NOUNS = {
    "man": "he", "woman": "she", "boy": "he", "girl": "she", "lady": "she", "guy": "he", "child": "they",
    "baby": "they", "toddler": "they", "skier": "they", "surfer": "they", "snowboarder": "they",
    "skateboarder": "they", "player": "they", "batter": "they", "catcher": "they", "pitcher": "they", "rider": "they",
    "cyclist": "they", "person": "they",
}  # fmt: skip
AGREED = 3  # captions
FORMS = {
    "he": {"he": "he", "his": "his", "him": "him", "is": "is", "has": "has"},
    "she": {"he": "she", "his": "her", "him": "her", "is": "is", "has": "has"},
    "they": {"he": "they", "his": "their", "him": "them", "is": "are", "has": "have"},
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is spoken of: `the man`, `the person on the left`; and the forms of a pronoun."""

    name: str
    forms: dict[str, str]

    def fill(self, text: str, **more: str) -> str:
        """A phrase with its fields filled in."""
        values = self.forms | {"S": self.name} | more
        values |= {key.capitalize(): _upper(value) for key, value in values.items() if key != "S"}
        return _upper(text.format(**values))


@dataclass(frozen=True, slots=True)
class Said:
    """One fact in words. say: a sentence; ask: a question that it answers; check: a yes-or-no question, if there is
    one; no: the answer to that where the fact does not hold."""

    fact: Fact
    say: str
    ask: str
    check: str | None
    no: str | None


class _Phrase:
    def __init__(self, row: dict[str, Any]) -> None:
        pattern = re.escape(row["fact"]).replace(r"\{side\}", "(?P<side>left|right)")
        self.key = re.compile(pattern.replace(r"\{place\}", r"(?P<place>\w+)") + "$")
        self.say, self.ask = row["say"], row["ask"]
        self.check, self.no = row.get("check", []), row.get("no", [])


_TEXT = files("posetalk.write").joinpath("phrases.toml").read_text(encoding="utf-8")
_PHRASES = [_Phrase(row) for row in tomllib.loads(_TEXT)["phrase"]]


def subjects(scene: Scene, captions: Sequence[str]) -> list[Subject]:
    """What to call each person of a scene. A gender is only said where captions agree on it and there is one person."""
    if len(scene.people) == 1 and not scene.others:
        noun = _noun(captions)
        return [Subject(f"the {noun}", FORMS[NOUNS[noun]])]
    return [Subject(name, FORMS["they"]) for name in _places(len(scene.people))]


def _noun(captions: Sequence[str]) -> str:
    words = [set(re.findall(r"[a-z]+", caption.lower())) for caption in captions]
    counts = {noun: sum(noun in some for some in words) for noun in NOUNS}
    plural = any(
        some & {"men", "women", "people", "boys", "girls", "children", "couple", "group"} for some in words
    )
    best = max(counts, key=lambda noun: (counts[noun], noun == "person"))
    return best if counts[best] >= AGREED and not plural else "person"


def _places(people: int) -> list[str]:
    if people == 1:
        return ["the person"]  # with others whose bodies are not known
    if people == 2:
        return ["the person on the left", "the person on the right"]
    if people == 3:
        return ["the person on the left", "the person in the middle", "the person on the right"]
    return [
        f"the {ORDINALS[i]} person from the left"
        if i < len(ORDINALS)
        else f"person number {i + 1} from the left"
        for i in range(people)
    ]


def said(figure: Figure, subject: Subject, rng: random.Random) -> list[Said]:
    """What is known of a person, in the order of the phrases; implied facts are left out."""
    found = []
    for phrase in _PHRASES:
        for fact in figure.facts:
            match = phrase.key.match(fact.key)
            if match is None or fact.holds is None or _implied(fact, figure.facts):
                continue
            named = {key: value for key, value in match.groupdict().items() if value}

            def fill(forms: list[str], named: dict[str, str] = named) -> str | None:
                return subject.fill(rng.choice(forms), **named) if forms else None

            say, ask = fill(phrase.say), fill(phrase.ask)
            assert say is not None and ask is not None
            found.append(Said(fact, say, ask, fill(phrase.check), fill(phrase.no)))
    return found


def _implied(fact: Fact, facts: Facts) -> bool:
    """Said already by another fact: each raised arm by both, an upright trunk by standing."""
    if fact.key in ("left arm: raised", "right arm: raised"):
        return facts.holds("arms: raised") is True
    if fact.key in ("left hand: at the hip", "right hand: at the hip"):
        return facts.holds("arms: on the hips") is True
    return fact.key == "trunk: upright" and facts.holds("body: standing") is True


def between(scene: Scene, named: Sequence[Subject]) -> list[str]:
    """Sentences about pairs of people and about people and objects."""
    subject = {figure.name: one for figure, one in zip(scene.people, named, strict=True)}
    found = []
    for fact in scene.facts.true:
        first, _, second = fact.of.partition(", ")
        if first not in subject:
            continue
        one = subject[first]
        if second in subject:
            words = {
                "facing each other": f"{one.name} and {subject[second].name} are facing each other.",
                "touching": f"{one.name} and {subject[second].name} are in contact, or very nearly so.",
                "first is nearer": f"{one.name} looks nearer than {subject[second].name}.",
                "second is nearer": f"{subject[second].name} looks nearer than {one.name}.",
            }.get(fact.says)
        else:
            thing = _article(second)
            words = {
                "at the left hand": f"{one.name} has {thing} at {one.forms['his']} left hand.",
                "at the right hand": f"{one.name} has {thing} at {one.forms['his']} right hand.",
                "sat on": f"{one.name} is sitting on {thing}.",
                "ridden": f"{one.name} is riding {thing}.",
            }.get(fact.says)
        if words:
            found.append(_upper(words))
    return found


def _article(thing: str) -> str:
    if thing in ("skis", "scissors"):
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
