"""Who is spoken of: what people of a picture are called, and what is between them and its objects."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.fact import Facts
from posetalk.facts.ordinals import ordinal
from posetalk.facts.scene import Scene, people_in_order

# Words that captions have for one person, with the pronouns they allow. What three captions agree on is taken over.
NOUNS = {
    "man": "he", "woman": "she", "boy": "he", "girl": "she", "lady": "she", "guy": "he", "child": "they",
    "baby": "they", "toddler": "they", "skier": "they", "surfer": "they", "snowboarder": "they",
    "skateboarder": "they", "player": "they", "batter": "they", "catcher": "they", "pitcher": "they", "rider": "they",
    "cyclist": "they", "person": "they",
}  # fmt: skip
AGREED = 3  # captions
LARGER = 1.6  # times the area of a box
FORMS = {
    "he": {"he": "he", "his": "his", "him": "him", "is": "is", "has": "has", "does": "does", "s": "s"},
    "she": {"he": "she", "his": "her", "him": "her", "is": "is", "has": "has", "does": "does", "s": "s"},
    "they": {"he": "they", "his": "their", "him": "them", "is": "are", "has": "have", "does": "do", "s": ""},
}
_NEARER = (
    "{0} looks much larger than {1}, and so is probably nearer.",
    "{0} is probably nearer to the camera, as they look much larger than {1}.",
    "Looking much larger than {1}, {0} is probably the nearer of the two.",
)
# The first is what a language model is told.
_PAIRS = {
    "facing each other": ("{0} and {1} are facing each other.", "{0} and {1} are turned to each other."),
    "touching": (
        "{0} and {1} touch in the picture, or very nearly so.",
        "{0} and {1} are so close that they touch in the picture, or nearly do.",
    ),
    "first is nearer": _NEARER,
    "second is nearer": _NEARER,
}
_OF = re.compile(r"\bthe ((?:[\w{}]+ ){1,3})of \{S\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is spoken of: `the man`, `the person on the left`; and the forms of a pronoun.

    alone: whether the name is nobody else's; who is `one of the people` cannot be told apart by a place.
    """

    name: str
    forms: dict[str, str]
    alone: bool = True

    def fill(self, text: str, by_name: bool = False, **more: str) -> str:
        """A phrase with its fields filled in; {he}, and {S} of a question, are the name or the pronoun."""
        forms = self.forms
        if by_name:
            forms = FORMS["he"] | {"his": self.forms["his"], "him": self.forms["him"], "he": self.name}
            if text.startswith("{His} "):
                if " " in self.name.removeprefix("the "):  # "the person on the left's arm" is no English
                    return f"As for {self.name}, {lower(self.fill(text, False, **more))}"
                forms = forms | {"His": f"{upper(self.name)}'s"}
        elif "{S}" in text:
            text = _OF.sub(lambda match: f"{{his}} {match[1].strip()}", text)
        values = forms | {"S": forms["he"]} | more
        values = {upper(key): upper(value) for key, value in values.items()} | values
        return upper(text.format(**values))


def subjects(scene: Scene, captions: Sequence[str]) -> list[Subject]:
    """What to call each person of a scene. A gender is only said where captions agree on it and there is one person."""
    if len(scene.people) == 1 and not scene.others:
        noun = _noun(captions)
        return [Subject(f"the {noun}", FORMS[NOUNS[noun]])]
    own = people_in_order(scene)
    places = _places(len(scene.people), scene.others)
    sizes = _by_size(scene) if len(scene.people) == 2 and not scene.others else []
    return [
        Subject(place, FORMS["they"])
        if figure.name in own
        else Subject(sizes[i], FORMS["they"])
        if sizes
        else Subject("one of the people", FORMS["they"], alone=False)
        for i, (figure, place) in enumerate(zip(scene.people, places, strict=True))
    ]


def _by_size(scene: Scene) -> list[str]:
    """What to call two people of whom one is before the other; nothing where they look equally large."""
    first, second = (figure.box.area for figure in scene.people)
    if max(first, second) < LARGER * min(first, second):
        return []
    names = ["the larger person in the picture", "the smaller person in the picture"]
    return names if first > second else names[::-1]


def _noun(captions: Sequence[str]) -> str:
    words = [set(re.findall(r"[a-z]+", caption.lower())) for caption in captions]
    counts = {noun: sum(noun in some for some in words) for noun in NOUNS}
    plural = any(
        some & {"men", "women", "people", "boys", "girls", "children", "couple", "group"} for some in words
    )
    best = max(counts, key=lambda noun: (counts[noun], noun == "person"))
    return best if counts[best] >= AGREED and not plural else "person"


def _places(people: int, others: int) -> list[str]:
    if others:  # whose bodies are not known, and who may stand anywhere
        if people == 1:
            return ["the most clearly visible person"]
        return [f"the {ordinal(i)} clearly visible person from the left" for i in range(1, people + 1)]
    if people == 2:
        return ["the person on the left", "the person on the right"]
    if people == 3:
        return ["the person on the left", "the person in the middle", "the person on the right"]
    return [f"the {ordinal(i)} person from the left" for i in range(1, people + 1)]


def relation_between(scene: Scene, named: Sequence[Subject], rng: random.Random | None = None) -> list[str]:
    """Sentences about pairs of people and about people and objects; of the ways to say it one drawn, or the first."""
    subject = {figure.name: one for figure, one in zip(scene.people, named, strict=True)}
    found = []
    for fact in scene.facts.true:
        first, _, second = fact.part.partition(", ")
        if first not in subject or not all(
            subject[name].alone for name in (first, second) if name in subject
        ):
            continue
        one = subject[first]
        if second in subject:
            ways = _PAIRS.get(fact.predicate, ())
            if " larger " in f"{one.name} {subject[second].name}" and "nearer" in fact.predicate:
                ways = ()  # the name says it
            names = [one.name, subject[second].name]
            if fact.predicate == "second is nearer":
                names.reverse()
            way = rng.choice(ways) if rng and ways else "".join(ways[:1])
            words: str | None = way.format(*names)
        else:
            words = _with_thing(one, second, fact.predicate, scene.facts, fact.part)
        if words:
            found.append(upper(words))
    return found


def _with_thing(one: Subject, thing: str, says: str, facts: Facts, of: str) -> str | None:
    """A person and an object. A hand in the picture is at it or in front of it; a tie is worn."""
    named, his = article(thing), one.forms["his"]
    hands = [side for side in ("left", "right") if facts.value(f"{of}: at the {side} hand")]
    if says.startswith("at the ") and thing != "tie":
        if len(hands) == 2:
            return f"{one.name} has both hands at {named}." if says == "at the left hand" else None
        return f"{one.name} has {named} at {his} {hands[0]} hand."
    return {"sat on": f"{one.name} is sitting on {named}.", "ridden": f"{one.name} is riding {named}."}.get(
        says
    )


def article(thing: str) -> str:
    """COCO's name of an object as people say it: `a ball`, `an umbrella`, `skis`."""
    thing = thing.removeprefix("sports ")
    if thing in ("skis", "scissors"):
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    return text[:1].lower() + text[1:]
