"""Noun phrases and relations of a text: "on her left knee", "the back of the chair"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from posetalk.facts.lexicon import TaggedWord

PLURAL = frozenset(["feet", "toes", "thighs"])
_LONGEST = 7  # words of a noun phrase
_SKIPPED = frozenset(["determiner", "possessive", "grade", "filler"])
# Relations to one's own body that are directions.
_DIRECTIONS = {"behind": "backward", "in front of": "forward"}
_UPRIGHT = ("relation", "direction")


@dataclass(slots=True)
class BodyStatement:
    """What is said of a part of a body, or of a person.

    subject:    the lemma of the part, or of the verb or phrase that is said of a person.
    is_limb:    whether the subject is a part.
    head:       the number of the subject's word.
    first:      the number of the first word.
    form:       the word of the part.
    side:       `left`, `right`, `both`, or `one` where the text leaves it open; of a part.
    is_counted: whether the text says `both`.
    features:   what is said, such as `bend`, `above head`, `forward` or `horse` -> the number of its last word.
    sides:      features whose noun has a side -> that side: `at leg` of "on the left leg".
    things:     the things among the features -> COCO's name.
    """

    subject: str
    is_limb: bool
    head: int
    first: int
    form: str = ""
    side: str = "one"
    is_counted: bool = False
    features: dict[str, int] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)

    def add(self, feature: str, found: NounPhrase) -> None:
        """Adds a feature that ends with a noun phrase."""
        self.features.setdefault(feature, found.after - 1)
        if found.side:
            self.sides[feature] = found.side
        if found.thing:
            self.things[feature] = found.thing


@dataclass(slots=True)
class NounPhrase:
    """A noun phrase.

    noun:  its noun; empty for somebody, or somebody else's part.
    thing: COCO's name of it, if it is a thing.
    side:  `left`, `right`, `both`, `one`; empty if it is no part of a body.
    after: the number of the word after it.
    """

    noun: str
    thing: str
    side: str
    after: int


class PhraseReader:
    """Reads phrases at given words. used: words that a statement has taken."""

    def __init__(self, words: Sequence[TaggedWord]) -> None:
        self.words = words
        self.used = bytearray(len(words))

    def has(self, i: int, *tags: str) -> bool:
        """Whether there is a word of that number with one of the tags."""
        return 0 <= i < len(self.words) and any(tag in self.words[i].senses for tag in tags)

    def is_adverb(self, i: int) -> bool:
        """Whether a word that the lexicon lacks is an adverb in -ly."""
        return not self.words[i].senses and self.words[i].form.endswith("ly")

    def noun_phrase(self, start: int) -> NounPhrase | None:
        """The noun phrase that begins at a word; None if there is none."""
        words, i, side, is_other, unknown = self.words, start, "", False, 0
        while i < min(len(words), start + _LONGEST) and words[i].clause == words[start].clause:
            senses = words[i].senses
            if "side" in senses or "both" in senses:
                side = senses.get("side", "both")
            elif "part" in senses:
                if not self.has(i + 1, "part"):
                    return NounPhrase(senses["part"], "", side or self._number(i), i + 1)
            elif "place" in senses or "thing" in senses:
                noun = senses.get("place") or senses["thing"]
                return NounPhrase(noun, "" if "place" in senses else noun, side, i + 1)
            elif "person" in senses or "pronoun" in senses:
                if not self.has(i + 1, "possessive"):
                    if not self.has(i + 1, "person"):
                        return NounPhrase("", "", "", i + 1)
                elif any(word.form == words[i].form for word in words[max(0, start - 10) : start]):
                    i += 1  # the same person's
                else:
                    return NounPhrase("", "", "", self._part_of_other(i + 2))
            elif "one" in senses:
                is_other = True
            elif not senses and unknown < 2:
                unknown += 1
            elif not (_SKIPPED & senses.keys() and "relation" not in senses) and not (
                i > start and "state" in senses and not self.has(i, *_UPRIGHT)
            ):
                break
            i += 1
        if is_other:
            return NounPhrase("other", "", side, i)
        return NounPhrase(f"the {side}", "", side, i) if side and not unknown else None

    def _number(self, i: int) -> str:
        """`both` for a plural part, `one` for a single one."""
        form = self.words[i].form
        return "both" if form.endswith("s") or form in PLURAL else "one"

    def _part_of_other(self, i: int) -> int:
        """The word after somebody else's part: "the man's left shoulder"."""
        while self.has(i, "side") or (i < len(self.words) and not self.words[i].senses):
            i += 1
        return min(i + 1, len(self.words))

    def thing(self, start: int) -> NounPhrase | None:
        """The thing that a verb before a word has as its object; None if there is none."""
        for i in range(start, min(start + _LONGEST, len(self.words))):
            senses = self.words[i].senses
            if "thing" in senses:
                if not self.has(i + 1, "thing"):
                    return NounPhrase(senses["thing"], senses["thing"], "", i + 1)
            elif {"part", "stop", "verb", "hold", "conjunction"} & senses.keys():
                return None
        return None

    def complement(self, statement: BodyStatement, i: int) -> int:
        """Adds a direction, or a relation with its noun phrase; returns the word after it, i if there is none."""
        senses = self.words[i].senses
        direction = senses.get("direction")
        if "relation" in senses:
            found = self.noun_phrase(i + 1)
            own = _DIRECTIONS.get(senses["relation"])
            if own and (found is None or found.noun in ("", "trunk")):
                statement.features.setdefault(own, i)
                return i + 1 if found is None else found.after
            if found is not None:
                relation = senses["relation"]
                if relation == "near" and found.noun != "hip":
                    relation = "at"  # only of hips it matters: hands near the hips are not on them
                if found.noun:
                    statement.add(f"{relation} {found.noun}", found)
                return found.after
        if direction is None:
            return i
        statement.features.setdefault(direction, i)
        return i + 1
