"""What a text says about bodies, held against the facts: it agrees, contradicts, or nobody can tell.

English, and by rules: a claim is only taken from wording that means one fact, so that "contradicts" can be relied upon;
what is said in other words is passed over. Hedged words (might, about to, perhaps) claim nothing; a negation turns a
claim round; what an object does (a bus standing at a stop) is no claim about people.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from posetalk.facts.fact import Facts
from posetalk.facts.scene import Scene

Verdict = Literal["agrees", "contradicts", "cannot tell"]
_SIDE = r"(?P<side>left|right)"
_HIS = r"(?:(?:his|her|their|its|the|one's)\s+(?:own\s+)?)?"
_BE = (
    r"(?:\s+(?:is|are|was|were|being|held|kept|remains?|stays?))?"
    r"(?:\s+(?:almost|nearly|fully|completely|quite|also|both|visibly|clearly|held|kept))*"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """key: of a fact; holds: what the text says of it; who: `person 1` where it says whom it means; words: its own.

    A claim about the number of people has the key `picture: people` and the number.
    """

    key: str
    holds: bool
    words: str
    who: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """means: the facts' keys, with {side} and {joint} to fill in, and whether they hold."""

    words: re.Pattern[str]
    means: tuple[tuple[str, bool], ...]
    subject: bool


_FILE: dict[str, Any] = tomllib.loads(
    files("posetalk.facts").joinpath("claims.toml").read_text(encoding="utf-8")
)
_RULES = [
    _Rule(
        re.compile("|".join(claim["words"]).format(side=_SIDE, be=_BE, his=_HIS), re.IGNORECASE),
        tuple((key.removeprefix("not "), not key.startswith("not ")) for key in claim["means"]),
        claim.get("subject", False),
    )
    for claim in _FILE["claim"]
]
_PEOPLE, _THINGS = (frozenset(_FILE[name].split()) for name in ("people", "things"))
_NEGATED = re.compile(
    r"\b(?:not|never|neither|nor|without|cannot|rather than|instead of|no longer)\b|n't\b", re.IGNORECASE
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
    rf"(?P<number>{'|'.join(_NUMBERS)}|\d+) (?:person|people|men|women|children|individuals)\b",
    re.IGNORECASE,
)
_WHO = re.compile(r"\bperson (?P<number>\d+)\b", re.IGNORECASE)
_CLAUSE = re.compile(
    r"[.;:!?]|,(?= (?:and|but|while|with|his|her|their|the)\b)|\b(?:while|whereas|but)\b", re.IGNORECASE
)
_WINDOW = 60  # characters before a word that negate it or hedge it


def claims_of(text: str) -> list[Claim]:
    """What a text claims, in its order; the same claim in the same words twice is two claims."""
    found: list[tuple[int, Claim]] = []
    for start, clause in _clauses(text):
        taken: list[tuple[int, int]] = []
        for rule in _RULES:
            for match in rule.words.finditer(clause):
                if any(a < match.end() and match.start() < b for a, b in taken):
                    continue  # an earlier rule, which says more, has these words
                before = clause[max(0, match.start() - _WINDOW) : match.start()]
                if _HEDGED.search(before) or _HEDGED.match(clause[match.end() :].lstrip()):
                    continue
                if rule.subject and not _of_a_person(before):
                    continue
                taken.append(match.span())
                holds = not _NEGATED.search(before)
                named = {name: word.lower() for name, word in match.groupdict().items()}
                for key, value in rule.means:
                    if holds or value:  # "not facing away" does not say that someone faces the camera
                        said = Claim(
                            key.format(**named), value == holds, match[0], _who(text, start + match.start())
                        )
                        found.append((start + match.start(), said))
        for match in _COUNT.finditer(clause):
            word = match["number"].lower()
            number = _NUMBERS.get(word) or int(word)
            found.append((start + match.start(), Claim("picture: people", True, match[0], None, number)))
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def check(claim: Claim, scene: Scene) -> Verdict:
    """Whether a claim is so in a scene.

    Where the text does not say whom it means, one person for whom it is so is enough to agree, and to contradict it
    must be false for everybody, with nobody unlabelled in the picture.
    """
    if claim.number is not None:
        people = len(scene.people) + scene.others
        return "agrees" if people == claim.number else "contradicts"
    meant = [f.facts for f in scene.people if claim.who in (None, f.name)]
    values = [_value(facts, claim) for facts in meant]
    if any(value is True for value in values):
        return "agrees"
    everybody = claim.who is not None or scene.others == 0
    if values and everybody and all(value is False for value in values):
        return "contradicts"
    return "cannot tell"


def _value(facts: Facts, claim: Claim) -> bool | None:
    value = facts.holds(claim.key)
    return None if value is None else value == claim.holds


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    """Parts of a text within which a negation or a hedge reaches, with where they begin."""
    start = 0
    for match in _CLAUSE.finditer(text):
        yield start, text[start : match.start()]
        start = match.end() if not match[0].isalpha() else match.start()
    yield start, text[start:]


def _of_a_person(before: str) -> bool:
    """Whether the last noun that could be the subject is a person; nothing known counts as a person."""
    for word in reversed(re.findall(r"[a-z]+", before.lower())):
        if word in _PEOPLE:
            return True
        if word in _THINGS:
            return False
    return True


def _who(text: str, place: int) -> str | None:
    """The last `person N` before a place in the same sentence."""
    start = max(text.rfind(mark, 0, place) for mark in ".!?") + 1
    found = [match["number"] for match in _WHO.finditer(text, start, place)]
    return f"person {found[-1]}" if found else None
