"""What a text says about bodies, held against the facts: it agrees, contradicts, or nobody can tell.

English, and by rules: a claim is only taken from wording that means one fact, so that "contradicts" can be relied upon;
what is said in other words is passed over. Hedged words (might, about to, perhaps) claim nothing; a negation turns a
claim round; what an object does (a bus standing at a stop) is no claim about people. Whom a claim is about is read from
`person 2`, `the person on the left`, `the third person from the left`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from posetalk.facts.scene import Scene, ScenePerson
from posetalk.facts.subject import PERSONS, of_a_person
from posetalk.facts.who import Mentions, people_meant
from posetalk.resources import resource_toml

ClaimVerdict = Literal["agrees", "contradicts", "cannot tell"]
_SIDE = r"(?P<side>left|right)"
_HIS = r"(?:(?:his|her|their|its|the|one's)\s+(?:own\s+)?)?"
_BE = (
    r"(?:\s+(?:is|are|was|were|being|held|kept|remains?|stays?))?"
    r"(?:\s+(?:almost|nearly|fully|completely|quite|also|both|visibly|clearly|held|kept))*"
)
_A = r"(?:(?:a|an|the|his|her|their|its|one of the)\s+)(?:\w+\s+)?"


@dataclass(frozen=True, slots=True)
class Claim:
    """key: of a fact; value: what the text says of it; who: whom it means, as `Mentions.before`; text: its own.

    A claim about the number of people has the key `picture: people` and the number; of a thing, the key `umbrella:
    carried` and the thing's name.
    """

    key: str
    value: bool
    text: str
    who: str | None = None
    number: int | None = None
    thing: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """means: the facts' keys, with {side} and {joint} to fill in, and whether they hold; subject: only of people."""

    words: re.Pattern[str]
    means: tuple[tuple[str, bool], ...]
    subject: bool


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A false fact denies what a text says only where its number is outside of low and high."""

    fact: re.Pattern[str]
    number: str
    low: float
    high: float


_FILE: dict[str, Any] = resource_toml("facts/claims.toml")
_CALLED: dict[str, str] = _FILE["things_called"]


def _pattern(words: list[str], thing: str = "") -> re.Pattern[str]:
    return re.compile("|".join(words).format(side=_SIDE, be=_BE, his=_HIS, a=_A, thing=thing), re.IGNORECASE)


_DOING = [
    _Rule(
        _pattern(row["words"], f"(?P<thing>{'|'.join(row['things'])})"),
        ((f"{{thing}}: {row['does']}", True),),
        True,
    )
    for row in _FILE["doing"]
]
_RULES = [
    _Rule(
        _pattern(claim["words"]),
        tuple((key.removeprefix("not "), not key.startswith("not ")) for key in claim["means"]),
        claim.get("subject", False),
    )
    for claim in _FILE["claim"]
]
_DOUBTS = [
    _Doubt(re.compile(row["fact"]), row["number"], row.get("to", -math.inf), row.get("from", math.inf))
    for row in _FILE["doubt"]
]
_NEGATED = re.compile(
    r"\b(?:not|never|neither|nor|without|cannot|nobody|none|no one|rather than|instead of|no longer)\b|n't\b"
    rf"|\bno (?:{'|'.join(sorted(PERSONS))})\b",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\b(?:might|may|could|would|perhaps|possibly|probably|maybe|likely|about to|going to|ready to|preparing to|"
    r"prepares to|trying to|tries to|starting to|starts to|beginning to|begins to|getting|attempting to|if|whether|"
    r"as if|as though|before|after|used to|able to|allows?|easier to|wants? to|gets? (?:up )?to|area|room|place|"
    r"seems? to|appears? to)\b",
    re.IGNORECASE,
)
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_COUNT = re.compile(
    rf"\b(?:there (?:is|are)|shows?|depicts?|picture of|photo of|image of) (?:exactly |only )?"
    rf"(?P<number>{'|'.join(_NUMBERS)}|\d+) (?P<of>person|people|men|women|children|individuals)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.;:!?]|,(?= (?:and|but|while|with|his|her|their|the)\b)|\b(?:while|whereas|but)\b", re.IGNORECASE
)
_WINDOW = 60  # characters before a word that negate it or hedge it


def find_claims(text: str) -> list[Claim]:
    """What a text claims, in its order; the same claim in the same words twice is two claims."""
    found: list[tuple[int, Claim]] = []
    mentions = Mentions(text)
    for start, clause in _clauses(text):
        for rules in (_DOING, _RULES):
            taken = bytearray(len(clause))
            for rule in rules:
                for match in rule.words.finditer(clause):
                    if any(taken[match.start() : match.end()]):
                        continue  # an earlier rule, which says more, has these words
                    place = start + match.start()
                    said = _said(rule, match, clause, mentions.before(place))
                    if said:
                        taken[match.start() : match.end()] = b"1" * len(match[0])
                        found += [(place, claim) for claim in said]
        for match in _COUNT.finditer(clause):
            word = match["number"].lower()
            number = _NUMBERS.get(word) or int(word)
            found.append((start + match.start(), Claim("picture: people", True, match[0], None, number)))
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def _said(rule: _Rule, match: re.Match[str], clause: str, who: str | None) -> list[Claim]:
    """What the words of a rule claim where they stand; nothing where they are hedged, or not about a person."""
    before = clause[max(0, match.start() - _WINDOW) : match.start()]
    if _HEDGED.search(before) or _HEDGED.match(clause[match.end() :][:_WINDOW].lstrip()):
        return []
    if rule.subject and not of_a_person(before, match[0]):
        return []
    holds = not _NEGATED.search(before)
    named = {name: word.lower() for name, word in match.groupdict().items() if word}
    thing = named.get("thing")
    if thing:
        thing = named["thing"] = _CALLED.get(thing, thing)
    return [
        Claim(key.format(**named), value == holds, match[0], who, None, thing)
        for key, value in rule.means
        if holds or value  # "not facing away" does not say that someone faces the camera
    ]


def check_claim(claim: Claim, scene: Scene) -> ClaimVerdict:
    """Whether a claim is so in a scene.

    Where the text does not say whom it means, one person for whom it is so is enough to agree, and to contradict it
    must be false for everybody, with nobody unlabelled in the picture. Of somebody in particular it must be so, or
    false, for all who may be meant; of one who may be nobody of the labelled nobody can tell.
    """
    if claim.number is not None:
        people = len(scene.people) + scene.others
        if people == claim.number:
            return "agrees"
        # two men may be there with a woman
        some = claim.text.lower().endswith(("men", "children")) and claim.number < people
        return "cannot tell" if some else "contradicts"
    who = claim.who
    values = [
        _value(figure, claim, scene) for figure in (scene.people if who is None else people_meant(who, scene))
    ]
    if not values:
        return "cannot tell"
    somebody = who is None or (who == "all" and not claim.value)  # "not everyone"
    if somebody and True in values:
        return "agrees"
    if who in ("all", "none") and not somebody and False in values:
        return "contradicts"
    if who in (None, "all", "none") and scene.others:
        return "cannot tell"
    return "agrees" if {*values} == {True} else "contradicts" if {*values} == {False} else "cannot tell"


def _value(figure: ScenePerson, claim: Claim, scene: Scene) -> bool | None:
    if claim.thing is not None:
        held = scene.facts.value(f"{figure.name}, {claim.key}")
        return None if held is None else held == claim.value
    value = figure.facts.value(claim.key)
    if value is None:
        return None
    if claim.value and not value:
        numbers = dict(figure.facts[claim.key].numbers)
        for doubt in _DOUBTS:
            number = numbers.get(doubt.number)
            if doubt.fact.fullmatch(claim.key) and (number is None or doubt.low < number < doubt.high):
                return None
    return value == claim.value


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    """Parts of a text within which a negation or a hedge reaches, with where they begin."""
    start = 0
    for match in _CLAUSE.finditer(text):
        if match.start() - start > 2:  # nothing is claimed in fewer characters, and some texts are all marks
            yield start, text[start : match.start()]
        start = match.end() if not match[0].isalpha() else match.start()
    yield start, text[start:]
