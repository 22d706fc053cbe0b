"""Facts as English phrases: varied, seeded, and true because nothing is said that is not a fact."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
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
    "he": {"he": "he", "his": "his", "him": "him", "is": "is", "has": "has", "does": "does", "s": "s"},
    "she": {"he": "she", "his": "her", "him": "her", "is": "is", "has": "has", "does": "does", "s": "s"},
    "they": {"he": "they", "his": "their", "him": "them", "is": "are", "has": "have", "does": "do", "s": ""},
}
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
_OTHER = {"left": "right", "right": "left"}
_OF = re.compile(r"\bthe ((?:[\w{}]+ ){1,3})of \{S\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is spoken of: `the man`, `the person on the left`; and the forms of a pronoun."""

    name: str
    forms: dict[str, str]

    def fill(self, text: str, by_name: bool = False, **more: str) -> str:
        """A phrase with its fields filled in; {he}, and {S} of a question, are the name or the pronoun."""
        forms = self.forms
        if by_name:
            forms = FORMS["he"] | {"his": self.forms["his"], "him": self.forms["him"], "he": self.name}
            if text.startswith("{His} "):
                if " " in self.name.removeprefix("the "):  # "the person on the left's arm" is no English
                    return f"As for {self.name}, {_lower(self.fill(text, **more))}"
                forms = forms | {"His": f"{_upper(self.name)}'s"}
        elif "{S}" in text:
            text = _OF.sub(lambda match: f"{{his}} {match[1].strip()}", text)
        values = forms | {"S": forms["he"]} | more
        values = {_upper(key): _upper(value) for key, value in values.items()} | values
        return _upper(text.format(**values))


@dataclass(frozen=True, slots=True)
class Said:
    """What can be said of one fact, or of the same fact on both sides.

    key: of the fact, `left knee: straight`; of both sides `knees: straight`. part: of the body, `left knee`, `facing`.
    true: whether it is so; where it is not, only a question and its no are left.
    """

    key: str
    part: str
    true: bool
    subject: Subject
    fields: dict[str, str]
    forms: dict[str, list[str]] = field(compare=False)

    def has(self, form: str) -> bool:
        return bool(self.forms.get(form))

    def draw(self, form: str, rng: random.Random, by_name: bool = False) -> str:
        """One of the phrases of a form: say, with, ask, check, no."""
        given = self.forms[form]
        if by_name and form == "say":  # a name is best the subject
            given = [text for text in given if text.startswith("{He}")] or given
        text = self.subject.fill(rng.choice(given), by_name, **self.fields)
        return _lower(text) if form == "with" else text

    @property
    def view(self) -> bool:
        """Whether it is about what can be seen of the body."""
        return self.key.endswith(": hidden")

    @property
    def kind(self) -> str:
        """The key without sides and joints: of all hidden joints the same."""
        bare = self.key.removeprefix("left ").removeprefix("right ")
        return "hidden" if self.view else bare.replace("knees:", "knee:").replace("elbows:", "elbow:")

    @property
    def region(self) -> str:
        """Where it belongs in a description: body, head, arms, legs, view."""
        if self.view:
            return "view"
        word = self.part.split()[-1].rstrip("s")
        for region, words in _REGIONS.items():
            if word in words:
                return region
        return "body"


_REGIONS = {"head": ("head",), "arms": ("arm", "hand", "elbow"), "legs": ("leg", "foot", "feet", "knee")}


class _Phrase:
    """A row of phrases.toml. sided: there is a left and a right of it. wanted: whether the fact must hold."""

    def __init__(self, row: dict[str, Any]) -> None:
        key: str = row["fact"]
        self.wanted = not key.startswith("not ")
        self.key = key.removeprefix("not ")
        pattern = re.escape(self.key).replace(r"\{side\}", "(?P<side>left|right)")
        pattern = pattern.replace(r"\{place\}", r"(?P<place>\w+)")
        self.pattern = re.compile(pattern.replace(r"\{joint\}", "(?P<joint>elbow|wrist|knee|ankle)") + "$")
        self.forms = {name: row.get(name, []) for name in ("say", "with", "ask", "check", "no")}
        self.both = {
            "say": row.get("both", []),
            "with": row.get("both_with", []),
            "ask": row.get("both_ask", []),
        }
        self.when, self.unless = row.get("when", ()), row.get("unless", ())
        self.no_when = row.get("no_when", ())
        self.no_from: dict[str, float] = row.get("no_from", {})
        self.no_to: dict[str, float] = row.get("no_to", {})

    def denies(self, fact: Fact, facts: Facts, fields: dict[str, str]) -> bool:
        """Whether the words are as surely not so as the fact is not."""
        numbers = dict(fact.numbers)
        if self.no_when and not any(facts.holds(key.format(**fields)) for key in self.no_when):
            return False
        return all(numbers.get(name, -9.0) >= least for name, least in self.no_from.items()) and all(
            numbers.get(name, 9.0) <= most for name, most in self.no_to.items()
        )


_TEXT = files("posetalk.write").joinpath("phrases.toml").read_text(encoding="utf-8")
_PHRASES = [_Phrase(row) for row in tomllib.loads(_TEXT)["phrase"]]


@cache
def _phrases(key: str) -> tuple[tuple[int, dict[str, str]], ...]:
    """The phrases for a fact's key, by their place, and the fields that it fills."""
    found = []
    for place, phrase in enumerate(_PHRASES):
        match = phrase.pattern.match(key)
        if match is not None:
            fields = match.groupdict()
            if "side" in fields:
                fields["other"] = _OTHER[fields["side"]]
            found.append((place, fields))
    return tuple(found)


def subjects(scene: Scene, captions: Sequence[str]) -> list[Subject]:
    """What to call each person of a scene. A gender is only said where captions agree on it and there is one person."""
    if len(scene.people) == 1 and not scene.others:
        noun = _noun(captions)
        return [Subject(f"the {noun}", FORMS[NOUNS[noun]])]
    return [Subject(name, FORMS["they"]) for name in _places(len(scene.people), scene.others)]


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
        return [f"the {_ordinal(i)} clearly visible person from the left" for i in range(people)]
    if people == 2:
        return ["the person on the left", "the person on the right"]
    if people == 3:
        return ["the person on the left", "the person in the middle", "the person on the right"]
    return [f"the {_ordinal(i)} person from the left" for i in range(people)]


def _ordinal(i: int) -> str:
    return ORDINALS[i] if i < len(ORDINALS) else f"{i + 1}th"


def said(figure: Figure, subject: Subject, rng: random.Random) -> list[Said]:
    """What is known of a person, in the order of the phrases; what says the same is left out.

    What is so on both sides is said of both at once, or of each, as it is drawn.
    """
    facts = figure.facts
    found: list[tuple[int, Said]] = []
    for fact in facts:
        if fact.holds is None:
            continue
        for place, fields in _phrases(fact.key):
            phrase = _PHRASES[place]
            true = fact.holds is phrase.wanted
            when, unless = ([k.format(**fields) for k in keys] for keys in (phrase.when, phrase.unless))
            if true and (not all(map(facts.holds, when)) or any(map(facts.holds, unless))):
                continue
            if not true and not (phrase.forms["no"] and phrase.denies(fact, facts, fields)):
                continue
            found.append((place, Said(fact.key, _part(fact), true, subject, fields, phrase.forms)))
    found.sort(key=lambda pair: pair[0])
    return _both([one for _, one in found], [_PHRASES[place] for place, _ in found], rng)


def _part(fact: Fact) -> str:
    if fact.says.startswith("facing"):
        return "facing"
    return "feet" if fact.of.endswith(" foot") else fact.of  # one foot is higher than the other


def _both(found: list[Said], phrases: list[_Phrase], rng: random.Random) -> list[Said]:
    """Left and right made one, now and then always the same way for a phrase."""
    merged: list[Said] = []
    i = 0
    while i < len(found):
        one, phrase = found[i], phrases[i]
        two = found[i + 1] if i + 1 < len(found) else one
        same = two is not one and phrases[i + 1] is phrase and one.true and two.true
        alike = {k: v for k, v in one.fields.items() if k not in ("side", "other")} == {
            k: v for k, v in two.fields.items() if k not in ("side", "other")
        }
        if same and alike and phrase.both["say"] and (one.view or rng.random() < 0.85):
            of, says = one.key.split(": ")
            joint = of.split()[-1]
            key = f"{joint}s: {says}"
            merged.append(Said(key, f"{joint}s", True, one.subject, one.fields, phrase.both))
            i += 2
        else:
            merged.append(one)
            i += 1
    return merged


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
            two = subject[second].name
            words = {
                "facing each other": f"{one.name} and {two} are facing each other.",
                "touching": f"{one.name} and {two} touch in the picture, or very nearly so.",
                "first is nearer": f"{one.name} looks much larger than {two}, and so is probably nearer.",
                "second is nearer": f"{two} looks much larger than {one.name}, and so is probably nearer.",
            }.get(fact.says)
        else:
            words = _with_thing(one, second, fact.says, scene.facts, fact.of)
        if words:
            found.append(_upper(words))
    return found


def _with_thing(one: Subject, thing: str, says: str, facts: Facts, of: str) -> str | None:
    """A person and an object. A hand in the picture is at it or in front of it; a tie is worn."""
    named, his = _article(thing.removeprefix("sports ")), one.forms["his"]
    hands = [side for side in ("left", "right") if facts.holds(f"{of}: at the {side} hand")]
    if says.startswith("at the ") and thing != "tie":
        if len(hands) == 2:
            return f"{one.name} has both hands at {named}." if says == "at the left hand" else None
        return f"{one.name} has {named} at {his} {hands[0]} hand."
    return {"sat on": f"{one.name} is sitting on {named}.", "ridden": f"{one.name} is riding {named}."}.get(
        says
    )


def _article(thing: str) -> str:
    if thing in ("skis", "scissors"):
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
