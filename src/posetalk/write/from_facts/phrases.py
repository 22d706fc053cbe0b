"""Facts as English phrases, which vary with the seed and say nothing that is not a fact."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from posetalk.facts.body import OTHER
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import ScenePerson
from posetalk.resources import resource_text
from posetalk.write.from_facts.speaker import Subject, lower


@dataclass(frozen=True, slots=True)
class Statement:
    """The phrases for one fact, or for the same fact of both sides.

    Attributes:
        key: The fact's key, `left knee: straight`; of both sides `knees: straight`.
        part: The part of the body: `left knee`, `facing`.
        true: Whether the fact is true. A false one has only a question and the answer no.
        subject: The person.
        fields: The fields that the phrases are filled with, such as `side`.
        forms: The phrases by their form: say, with, ing, state, own, so, at, ask, check, no.
    """

    key: str
    part: str
    true: bool
    subject: Subject
    fields: dict[str, str]
    forms: dict[str, list[str]] = field(compare=False)

    def has(self, form: str) -> bool:
        """Whether there is a phrase of a form."""
        return bool(self.forms.get(form))

    def draw(self, form: str, rng: random.Random, by_name: bool = False) -> str:
        """A random phrase of a form; by_name: with the person's name instead of a pronoun."""
        texts = self.forms[form]
        if by_name and form == "say":  # a name is best as the subject
            texts = [text for text in texts if text.startswith("{He}")] or texts
        text = self.subject.fill(drawn(rng.choice(texts), rng), by_name, **self.fields)
        return text if form in ("say", "ask", "check", "no") else lower(text)

    @property
    def kind(self) -> str:
        """The key without sides."""
        key = self.key.removeprefix("left ").removeprefix("right ")
        return key.replace("knees:", "knee:").replace("elbows:", "elbow:")

    @property
    def limb(self) -> str:
        """`left arms`, `right legs`, or `arms`, `legs` of what is about both; empty for the rest of the body."""
        if self.region not in ("arms", "legs") or self.part == "action":
            return ""
        side = self.key.split()[0]
        return f"{side} {self.region}" if side in ("left", "right") else self.region

    @property
    def region(self) -> str:
        """The part of a description that it belongs to: action, body, head, arms, legs."""
        return "around" if ", " in self.key else region_of(self.part)


def region_of(part: str) -> str:
    """The part of a description that a part of the body belongs to."""
    noun = part.split()[-1].rstrip("s")
    return next((region for region, words in _REGIONS.items() if noun in words), "body")


_REGIONS = {
    "action": ("action",),
    "place": ("place",),
    "head": ("head",),
    "arms": ("arm", "hand", "elbow", "forearm"),
    "legs": ("leg", "foot", "feet", "knee", "thigh", "shin"),
}
_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def drawn(text: str, rng: random.Random) -> str:
    """A phrase with one of the words of each [one|another] drawn."""
    return " ".join(_CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text).split()).replace(
        " .", "."
    )


_FORMS = ("say", "with", "ing", "state", "own", "so", "ask", "check", "no")


class _Phrase:
    """A row of phrases.toml. value: whether its fact must be true or false."""

    def __init__(self, row: dict[str, Any]) -> None:
        key: str = row["fact"]
        self.value = not key.startswith("not ")
        self.key = key.removeprefix("not ")
        pattern = re.escape(self.key).replace(r"\{side\}", "(?P<side>left|right)")
        pattern = pattern.replace(r"\{place\}", r"(?P<place>\w+)").replace(r"\{level\}", r"(?P<level>\w+)")
        pattern = pattern.replace(r"\{way\}", "(?P<way>left|right)")
        self.pattern = re.compile(pattern + "$")
        self.forms = {name: row.get(name, []) for name in _FORMS}
        self.both_sides = {
            "say": row.get("both", []),
            "with": row.get("both_with", []),
            "ing": row.get("both_ing", []),
            "ask": row.get("both_ask", []),
            "own": row.get("both_own", []),
            "so": row.get("both_so", []),
        }
        self.when, self.unless = row.get("when", ()), row.get("unless", ())
        self.no_when = row.get("no_when", ())
        self.no_from: dict[str, float] = row.get("no_from", {})
        self.no_to: dict[str, float] = row.get("no_to", {})

    def denies(self, fact: Fact, facts: Facts, fields: dict[str, str]) -> bool:
        """Whether the numbers of a false fact make the words surely false as well."""
        numbers = dict(fact.numbers)
        if self.no_when and not any(facts.value(key.format(**fields)) for key in self.no_when):
            return False
        return all(numbers.get(name, -9.0) >= minimum for name, minimum in self.no_from.items()) and all(
            numbers.get(name, 9.0) <= maximum for name, maximum in self.no_to.items()
        )


_TEXT = resource_text("write/from_facts/phrases.toml")
_PHRASES = [_Phrase(row) for row in tomllib.loads(_TEXT)["phrase"]]


@cache
def _matching(key: str) -> tuple[tuple[int, dict[str, str]], ...]:
    """The indices of the phrases for a fact's key, each with the fields that the key fills."""
    matches = []
    for index, phrase in enumerate(_PHRASES):
        match = phrase.pattern.match(key)
        if match is not None:
            fields = match.groupdict()
            if "side" in fields:
                fields["other"] = OTHER[fields["side"]]
            matches.append((index, fields))
    return tuple(matches)


def statements(person: ScenePerson, subject: Subject, rng: random.Random) -> list[Statement]:
    """The statements about a person, in the order of phrases.toml.

    What is true of both sides is one statement about both, or at random one about each.

    Args:
        person: The person with the facts that may be put in words.
        subject: What the person is called.
        rng: The source of the random choices.

    Returns:
        The statements, without those that another one implies.
    """
    facts = person.facts
    ordered: list[tuple[int, Statement]] = []
    for fact in facts:
        if fact.value is None:
            continue
        for index, fields in _matching(fact.key):
            phrase = _PHRASES[index]
            true = fact.value is phrase.value
            when, unless = ([k.format(**fields) for k in keys] for keys in (phrase.when, phrase.unless))
            if true and (not all(map(facts.value, when)) or any(map(facts.value, unless))):
                continue
            if not true and not (phrase.forms["no"] and phrase.denies(fact, facts, fields)):
                continue
            ordered.append((index, Statement(fact.key, _part(fact), true, subject, fields, phrase.forms)))
    # left and right of the same joint come one after the other
    ordered.sort(key=lambda pair: (pair[0], [pair[1].fields.get(name) or "" for name in ("place", "side")]))
    return _merge_sides(
        [statement for _, statement in ordered], [_PHRASES[index] for index, _ in ordered], rng
    )


def _part(fact: Fact) -> str:
    if fact.predicate.startswith("facing"):
        return "facing"
    return "feet" if fact.part.endswith(" foot") else fact.part  # one foot is higher than the other


def _merge_sides(ordered: list[Statement], phrases: list[_Phrase], rng: random.Random) -> list[Statement]:
    """Left and right merged where there are words for both; at random some are left separate."""
    merged: list[Statement] = []
    i = 0
    while i < len(ordered):
        statement, phrase = ordered[i], phrases[i]
        following = ordered[i + 1] if i + 1 < len(ordered) else statement
        both_true = (
            following is not statement and phrases[i + 1] is phrase and statement.true and following.true
        )
        same_fields = _unsided(statement.fields) == _unsided(following.fields)
        if both_true and same_fields and phrase.both_sides["say"] and rng.random() < 0.85:
            part, predicate = statement.key.split(": ")
            joint = part.split()[-1]
            key = f"{joint}s: {predicate}"
            merged.append(
                Statement(key, f"{joint}s", True, statement.subject, statement.fields, phrase.both_sides)
            )
            i += 2
        else:
            merged.append(statement)
            i += 1
    return merged


def _unsided(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in ("side", "other")}
