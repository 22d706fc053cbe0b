"""A small grammar of English about bodies: tagged words -> statements, a subject with what is said of it.

    limb       := [state] [both | one] [of] [possessive] [grade] [state] [side] part [of owner]
    predicate  := (be | grade | state | direction | relation noun-phrase | and | which)*
    person     := verb | phrase, then (grade | direction | state | relation noun-phrase | noun-phrase)*

"raising both of her bent arms above her head" is a limb with its states before and a relation behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from posetalk.facts.lexicon import TaggedWord
from posetalk.facts.limb_phrases import LimbReader
from posetalk.facts.noun_phrases import BodyStatement, PhraseReader

_END_OF_VERB = ("verb", "hold", "stop", "conjunction", "be", "phrase", "relative")


def statements(words: Sequence[TaggedWord]) -> list[BodyStatement]:
    """The statements of a text about bodies; each word is part of one at most.

    Args:
        words: The words of the text, from `tagged_words`.

    Returns:
        Statements about parts of bodies, then about persons, each in the order of the text.
    """
    limbs = LimbReader(words)
    found = limbs.read()
    return [*found, *_DoingReader(words, limbs.used).read()]


class _DoingReader(PhraseReader):
    """Statements about a person: verbs and phrases that no limb has taken."""

    def __init__(self, words: Sequence[TaggedWord], used: bytearray) -> None:
        super().__init__(words)
        self.used = used

    def read(self) -> Iterator[BodyStatement]:
        for i, word in enumerate(self.words):
            senses = word.senses
            if self.used[i] or not self.has(i, "verb", "hold", "phrase"):
                continue
            if "phrase" in senses:
                if not self._is_adjective(i):
                    yield BodyStatement(senses["phrase"], False, i, i)
            elif self._is_noun(i):
                continue
            elif "hold" in senses:
                held = self.thing(i + 1)
                if held is not None:
                    doing = BodyStatement("hold", False, i, i)
                    doing.add(held.noun, held)
                    yield doing
            else:
                doing = BodyStatement(senses["verb"], False, i, i)
                self._objects(doing, i + 1)
                yield doing

    def _is_adjective(self, i: int) -> bool:
        """Whether a phrase belongs to the noun behind it: an upside down umbrella."""
        if i + 1 == len(self.words) or self.words[i + 1].clause != self.words[i].clause:
            return False
        return not self.words[i + 1].senses or (self.has(i + 1, "thing") and not self.has(i + 1, "verb"))

    def _is_noun(self, i: int) -> bool:
        """Whether a verb's form stands where a noun, an adjective or an infinitive does."""
        word = self.words[i]
        if i and self.words[i - 1].form == "to":
            return True
        if " " in word.form:
            return False
        if word.senses.get("verb") == "lie" and self.has(i + 1, "determiner", "possessive"):
            return True  # laying a trap
        if "thing" in word.senses and not self.has(i - 1, "person", "pronoun", "relative"):
            return True  # with skis
        is_determined = self.has(i - 1, "determiner", "possessive")
        if word.form.endswith(("ing", "ed")):  # a standing lamp, but a sitting man
            return is_determined and not self.has(i + 1, "person", "stop", "relation")
        return is_determined

    def _objects(self, doing: BodyStatement, i: int) -> None:
        """Adds the directions, states and noun phrases behind a verb."""
        words, clause, end = self.words, self.words[doing.head].clause, min(len(self.words), i + 9)
        while i < end and words[i].clause == clause:
            senses = words[i].senses
            if self.has(i, "relation", "direction"):
                after = self.complement(doing, i)
                if after == i:
                    return
                i = after
                continue
            if "side" in senses:
                is_direction = i + 1 == len(words) or bool(words[i + 1].senses) or words[i + 1].form == "side"
                if is_direction and not self.has(i + 1, "part"):
                    doing.features.setdefault("to the " + senses["side"], i)
            elif senses.get("state") in ("upright", "straight"):
                doing.features.setdefault(senses["state"], i)
            elif not self.has(i, "grade", "filler") and not self.is_adverb(i):
                found = None
                if not self.has(i, *_END_OF_VERB) or self.has(i, "thing", "place"):
                    found = self.noun_phrase(i)
                if found is None:
                    return
                if found.noun:
                    doing.add(found.noun, found)
                i = found.after
                continue
            i += 1
