"""Claims of a text about bodies, checked against the facts: agrees, contradicts or cannot tell.

English only. Words are tagged (lexicon), a small grammar finds statements (grammar), and rules say what they claim
(meanings). Hedged words (might, about to, perhaps) claim nothing; a negation inverts a claim; what an object does (a
bus standing at a stop) is no claim about people. References such as `person 2`, `the person on the left` and `the third
person from the left` say whom a claim is about. A claim of a key that no fact has can neither agree nor contradict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from posetalk.facts.body import SIDES, either
from posetalk.facts.grammar import statements
from posetalk.facts.lexicon import TaggedWord, tagged_words
from posetalk.facts.meanings import meanings
from posetalk.facts.noun_phrases import BodyStatement
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.facts.subject import of_a_person
from posetalk.facts.who import Mentions, people_meant
from posetalk.resources import resource_toml

ClaimVerdict = Literal["agrees", "contradicts", "cannot tell"]


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
class _Doubt:
    """A false fact contradicts a claim only if its number is outside of low..high."""

    fact: re.Pattern[str]
    number: str
    low: float
    high: float


_FILE: dict[str, Any] = resource_toml("facts/claims.toml")
_DOUBTS = [
    _Doubt(re.compile(row["fact"]), row["number"], row.get("to", -math.inf), row.get("from", math.inf))
    for row in _FILE["doubt"]
]
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_COUNT = re.compile(
    rf"\b(?:there (?:is|are)|shows?|depicts?|picture of|photo of|image of) (?:exactly |only )?"
    rf"(?P<number>{'|'.join(_NUMBERS)}|\d+) (?P<of>person|people|men|women|children|individuals)\b"
    r"(?! (?:that|who|which|\w+ing)\b)",  # there may be more who do something else
    re.IGNORECASE,
)
_MEANS = frozenset(["after", "before", "by", "for", "from", "of", "through", "without"])
_ADJECTIVES = frozenset(["akimbo", "close", "hidden", "level", "open", "spread", "straight", "upright"])
_WINDOW = 60  # characters before a word in which a negation or a hedge counts


def find_claims(text: str) -> list[Claim]:
    """The claims a text makes about people's poses.

    Args:
        text: English text of any length.

    Returns:
        The claims in the order of the text; a claim that is repeated occurs twice. Empty where the text says nothing
        about bodies that is understood. A claim need not have a fact: nobody knows `action: talking` from keypoints.
    """
    words = tagged_words(text)
    found: list[tuple[int, Claim]] = []
    mentions: Mentions | None = None
    persons: dict[int, bool] = {}  # number of a verb -> whether its subject is a person
    for statement in statements(words):
        said = meanings(statement)
        if not said or _is_hedged(words, statement):
            continue
        persons[statement.head] = _is_of_a_person(text, words, statement, persons)
        if not persons[statement.head]:
            continue
        mentions = mentions or Mentions(text)
        first = statement.first
        while first < statement.head and {"possessive", "determiner"} & words[first].senses.keys():
            first += 1
        start = words[first].start
        who = mentions.before(start)
        for meaning in said:
            last = max(statement.head, meaning.last)
            is_affirmed = not _is_negated(words, statement.first, last)
            if is_affirmed or meaning.value:  # "not facing away" does not claim that someone faces the camera
                words_said = text[start : words[last].end]
                found.append(
                    (
                        start,
                        Claim(
                            meaning.key,
                            meaning.value == is_affirmed,
                            words_said,
                            who,
                            None,
                            meaning.thing or None,
                        ),
                    )
                )
    for match in _COUNT.finditer(text):
        word = match["number"].lower()
        number = _NUMBERS.get(word) or int(word)
        found.append((match.start(), Claim("picture: people", True, match[0], None, number)))
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def _before(words: Sequence[TaggedWord], i: int) -> Iterator[TaggedWord]:
    """The words before one in its clause, the nearest first."""
    start, clause = words[i].start, words[i].clause
    while i and words[i - 1].clause == clause and start - words[i - 1].end < _WINDOW:
        i -= 1
        yield words[i]


def _is_hedged(words: Sequence[TaggedWord], statement: BodyStatement) -> bool:
    after = statement.head + 1
    if after < len(words) and words[after].form in ("area", "room", "place"):
        return True
    if statement.is_limb and _is_wish(words, statement.first):
        return True
    return any("hedge" in word.senses for word in _before(words, statement.first))


def _is_wish(words: Sequence[TaggedWord], i: int) -> bool:
    """Whether a verb before a part is an order, an infinitive or a means: "raise an arm", "by raising the arm"."""
    form, lemma = words[i].form, words[i].senses.get("state")
    if form.endswith("ing"):
        begins = i > 0 and words[i - 1].form == "and" and (i < 2 or words[i - 2].clause < words[i].clause)
        return begins or (i > 0 and words[i - 1].form in _MEANS)
    is_base = form in (lemma, "straighten", "lift") and form not in _ADJECTIVES
    return is_base and not (i and {"person", "pronoun"} & words[i - 1].senses.keys())


def _is_negated(words: Sequence[TaggedWord], first: int, last: int) -> bool:
    if any("negation" in word.senses for word in (*_before(words, first), *words[first:last])):
        return True
    after = words[first]
    for word in _before(words, first):
        if word.form == "no" and ("person" in after.senses or "part" in after.senses):
            return True
        after = word
    return False


def _is_of_a_person(
    text: str, words: Sequence[TaggedWord], statement: BodyStatement, persons: Mapping[int, bool]
) -> bool:
    """Whether the subject of a statement is a person: animals have legs, buses stand, and statues of people sit."""
    if any("depiction" in word.senses for word in _before(words, statement.first)):
        return False
    if statement.is_limb:
        for word in _before(words, statement.first):
            if "person" in word.senses or "possessive" in word.senses or "pronoun" in word.senses:
                return True
            if "animal" in word.senses:
                return False
        return True
    head = words[statement.head]
    if statement.head and words[statement.head - 1].form == "and" and head.form.endswith("ing"):
        for i in range(statement.head - 2, max(-1, statement.head - 12), -1):
            if i in persons and words[i].form.endswith("ing") and words[i].clause == head.clause:
                return persons[i]  # "looking at the camera and smiling"
    first = head
    for word in _before(words, statement.head):
        first = word
    before = text[max(first.start, head.start - _WINDOW) : head.start]
    return of_a_person(before, head.form)


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
    if claim.key.startswith("one "):  # one of the two sides is enough
        sides = [replace(claim, key=side + claim.key.removeprefix("one")) for side in SIDES]
        return either(*(_agrees_for(person, one, scene) for one in sides))
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
