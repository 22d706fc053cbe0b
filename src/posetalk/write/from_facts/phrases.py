"""Facts as English phrases: varied, seeded, and true because nothing is said that is not a fact."""

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
        return lower(text) if form == "with" else text

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
    """A row of phrases.toml. wanted: whether its fact must hold, or must not."""

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
        if self.no_when and not any(facts.value(key.format(**fields)) for key in self.no_when):
            return False
        return all(numbers.get(name, -9.0) >= least for name, least in self.no_from.items()) and all(
            numbers.get(name, 9.0) <= most for name, most in self.no_to.items()
        )


_TEXT = resource_text("write/from_facts/phrases.toml")
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
                fields["other"] = OTHER[fields["side"]]
            found.append((place, fields))
    return tuple(found)


def statements(figure: ScenePerson, subject: Subject, rng: random.Random) -> list[Statement]:
    """What is known of a person, in the order of the phrases; what says the same is left out.

    What is so on both sides is said of both at once, or of each, as it is drawn.
    """
    facts = figure.facts
    found: list[tuple[int, Statement]] = []
    for fact in facts:
        if fact.value is None:
            continue
        for place, fields in _phrases(fact.key):
            phrase = _PHRASES[place]
            true = fact.value is phrase.wanted
            when, unless = ([k.format(**fields) for k in keys] for keys in (phrase.when, phrase.unless))
            if true and (not all(map(facts.value, when)) or any(map(facts.value, unless))):
                continue
            if not true and not (phrase.forms["no"] and phrase.denies(fact, facts, fields)):
                continue
            found.append((place, Statement(fact.key, _part(fact), true, subject, fields, phrase.forms)))
    # left and right of the same beside each other
    found.sort(
        key=lambda pair: (pair[0], [pair[1].fields.get(name) or "" for name in ("place", "joint", "side")])
    )
    return _both([one for _, one in found], [_PHRASES[place] for place, _ in found], rng)


def _part(fact: Fact) -> str:
    if fact.predicate.startswith("facing"):
        return "facing"
    return "feet" if fact.part.endswith(" foot") else fact.part  # one foot is higher than the other


def _both(found: list[Statement], phrases: list[_Phrase], rng: random.Random) -> list[Statement]:
    """Left and right made one where there are words for both; now and then each is left by itself."""
    merged: list[Statement] = []
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
            merged.append(Statement(key, f"{joint}s", True, one.subject, one.fields, phrase.both))
            i += 2
        else:
            merged.append(one)
            i += 1
    return merged
