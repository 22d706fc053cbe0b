"""Claims of a text about bodies, checked against the facts: agrees, contradicts or cannot tell.

English only, with rules from claims.toml. A claim is only taken from wording that means exactly one fact, so that
"contradicts" can be relied on; other wording is ignored. Hedged words (might, about to, perhaps) claim nothing; a
negation inverts a claim; what an object does (a bus standing at a stop) is no claim about people. References such as
`person 2`, `the person on the left` and `the third person from the left` say whom a claim is about.
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
_POSSESSIVE = r"(?:(?:his|her|their|its|the|one's)\s+(?:own\s+)?)?"
_TO_BE = (
    r"(?:\s+(?:is|are|was|were|being|held|kept|remains?|stays?))?"
    r"(?:\s+(?:almost|nearly|fully|completely|quite|also|both|visibly|clearly|held|kept))*"
)
_ARTICLE = r"(?:(?:a|an|the|his|her|their|its|one of the)\s+)(?:\w+\s+)?"


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of a text about a body.

    key:    The key of the fact it is about: `body: standing`; with an object `umbrella: carried`; the number of people
            has `picture: people`.
    value:  What the text says: True, or False for a negated statement.
    text:   The words that make the claim.
    who:    Whom it is about, as `Mentions.before` returns it; None if the text does not say.
    number: How many people there are, for a claim about that.
    thing:  COCO's name of the object, for a claim about one.
    """

    key: str
    value: bool
    text: str
    who: str | None = None
    number: int | None = None
    thing: str | None = None


@dataclass(frozen=True, slots=True)
class _ClaimRule:
    """Wording and the claims it makes.

    words: the pattern. means: fact keys, with {side} and {thing} to fill in, and the value claimed of each. subject:
    whether the words only count with a person as their subject.
    """

    words: re.Pattern[str]
    means: tuple[tuple[str, bool], ...]
    subject: bool


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A false fact contradicts a claim only if its number is outside of low..high."""

    fact: re.Pattern[str]
    number: str
    low: float
    high: float


_FILE: dict[str, Any] = resource_toml("facts/claims.toml")
_THING_NAMES: dict[str, str] = _FILE["things_called"]


def _pattern(words: list[str], things: str = "") -> re.Pattern[str]:
    return re.compile(
        "|".join(words).format(side=_SIDE, be=_TO_BE, his=_POSSESSIVE, a=_ARTICLE, thing=things),
        re.IGNORECASE,
    )


_THING_RULES = [
    _ClaimRule(
        _pattern(row["words"], f"(?P<thing>{'|'.join(row['things'])})"),
        ((f"{{thing}}: {row['does']}", True),),
        True,
    )
    for row in _FILE["doing"]
]
_RULES = [
    _ClaimRule(
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
_WINDOW = 60  # characters before a word in which a negation or a hedge counts


def find_claims(text: str) -> list[Claim]:
    """The claims a text makes about people's poses.

    Args:
        text: English text of any length.

    Returns:
        The claims in the order of the text; a claim that is repeated occurs twice. Empty where the text says nothing
        that keypoints could decide.
    """
    claims: list[tuple[int, Claim]] = []
    mentions = Mentions(text)
    for start, clause in _clauses(text):
        for rules in (_THING_RULES, _RULES):
            used = bytearray(len(clause))
            for rule in rules:
                for match in rule.words.finditer(clause):
                    if any(used[match.start() : match.end()]):
                        continue  # a more specific rule before this one has used these words
                    position = start + match.start()
                    matched = _claims_of_match(rule, match, clause, mentions.before(position))
                    if matched:
                        used[match.start() : match.end()] = b"1" * len(match[0])
                        claims += [(position, claim) for claim in matched]
        for match in _COUNT.finditer(clause):
            word = match["number"].lower()
            number = _NUMBERS.get(word) or int(word)
            claims.append((start + match.start(), Claim("picture: people", True, match[0], None, number)))
    return [claim for _, claim in sorted(claims, key=lambda pair: pair[0])]


def _claims_of_match(rule: _ClaimRule, match: re.Match[str], clause: str, who: str | None) -> list[Claim]:
    """The claims of a rule's match; none if the words are hedged or not about a person."""
    before = clause[max(0, match.start() - _WINDOW) : match.start()]
    if _HEDGED.search(before) or _HEDGED.match(clause[match.end() :][:_WINDOW].lstrip()):
        return []
    if rule.subject and not of_a_person(before, match[0]):
        return []
    is_affirmed = not _NEGATED.search(before)
    groups = {name: word.lower() for name, word in match.groupdict().items() if word}
    thing = groups.get("thing")
    if thing:
        thing = groups["thing"] = _THING_NAMES.get(thing, thing)
    return [
        Claim(key.format(**groups), value == is_affirmed, match[0], who, None, thing)
        for key, value in rule.means
        if is_affirmed or value  # "not facing away" does not claim that someone faces the camera
    ]


def check_claim(claim: Claim, scene: Scene) -> ClaimVerdict:
    """Whether a claim is true in a scene.

    A claim that does not say whom it is about agrees if it is true of one person, and contradicts if it is false of all
    people and all are labelled. A claim about a particular person must be true, or false, of everybody who may be
    meant; it cannot be told if that may be a person without keypoints.

    Args:
        claim: A claim from `find_claims`.
        scene: The facts of the image, from `scene_facts`.

    Returns:
        `agrees`, `contradicts` or `cannot tell`.
    """
    if claim.number is not None:
        people = len(scene.people) + scene.others
        if people == claim.number:
            return "agrees"
        # two men may be in the image together with a woman
        may_be_more = claim.text.lower().endswith(("men", "children")) and claim.number < people
        return "cannot tell" if may_be_more else "contradicts"
    who = claim.who
    values = [
        _agrees_for(person, claim, scene)
        for person in (scene.people if who is None else people_meant(who, scene))
    ]
    if not values:
        return "cannot tell"
    one_is_enough = who is None or (who == "all" and not claim.value)  # "not everyone"
    if one_is_enough and True in values:
        return "agrees"
    if who in ("all", "none") and not one_is_enough and False in values:
        return "contradicts"
    if who in (None, "all", "none") and scene.others:
        return "cannot tell"
    return "agrees" if {*values} == {True} else "contradicts" if {*values} == {False} else "cannot tell"


def check_text(text: str, scene: Scene) -> list[tuple[Claim, ClaimVerdict]]:
    """Check all claims of a text against a scene.

    Args:
        text: English text, such as a caption of the image.
        scene: The facts of the image, from `scene_facts`.

    Returns:
        Each claim in the order of the text with its verdict: `agrees`, `contradicts` or `cannot tell`. Empty where the
        text makes no claim.
    """
    return [(claim, check_claim(claim, scene)) for claim in find_claims(text)]


def _agrees_for(person: ScenePerson, claim: Claim, scene: Scene) -> bool | None:
    """Whether a claim is true of a person; None where that is unknown."""
    if claim.thing is not None:
        fact_value = scene.facts.value(f"{person.name}, {claim.key}")
        return None if fact_value is None else fact_value == claim.value
    value = person.facts.value(claim.key)
    if value is None:
        return None
    if claim.value and not value:
        numbers = dict(person.facts[claim.key].numbers)
        for doubt in _DOUBTS:
            number = numbers.get(doubt.number)
            if doubt.fact.fullmatch(claim.key) and (number is None or doubt.low < number < doubt.high):
                return None
    return value == claim.value


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    """The clauses of a text, within which negations and hedges apply, with their positions."""
    start = 0
    for match in _CLAUSE.finditer(text):
        if match.start() - start > 2:  # shorter clauses claim nothing, and some texts are punctuation only
            yield start, text[start : match.start()]
        start = match.end() if not match[0].isalpha() else match.start()
    yield start, text[start:]
