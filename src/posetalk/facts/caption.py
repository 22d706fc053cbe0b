"""Captions: who does what with which thing, read by the order of words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from posetalk.resources import resource_toml

_FILE = resource_toml("facts/captions.toml")


def _words(name: str) -> frozenset[str]:
    return frozenset(_FILE[name].split())


_PERSON, _PEOPLE, _PRONOUNS, _ANIMATE = map(_words, ("person", "people", "pronouns", "animate"))
_DETERMINERS, _PREPOSITIONS, _STOPS = map(_words, ("determiners", "prepositions", "stops"))
_ADVERBS, _PARTS, _CLOTHES = map(_words, ("adverbs", "parts", "clothes"))
_SAME: dict[str, str] = _FILE["same"]
_COMPOUNDS = sorted((" ".join(c.split()) for c in _FILE["compounds"].split(";") if c.strip()), key=len)[::-1]
_COMPOUND = re.compile(rf"\b({'|'.join(map(re.escape, _COMPOUNDS))})(?=s?\b)")
_TOKEN = re.compile(r"[a-z][a-z_'-]*|[.,;:!?]")
_NUMBERS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "couple": 2,
    "pair": 2,
}
_TO_BE = frozenset(["is", "are", "was", "were"])
_JOINS = frozenset(["and", ",", "while", "then", "but", "or"])
_HEDGES = frozenset(["not", "no", "about", "to", "trying", "preparing", "ready", "going"])
_LONGEST_TAIL = 12  # words after a verb that may belong to it


@dataclass(frozen=True, slots=True)
class Mention:
    """Words for one or several people in a caption.

    noun:   `man`, `skiers`.
    number: How many they are; 0 where the words do not say.
    looks:  What they wear, as written: `in a red shirt`; empty if nothing is said.
    place:  `left` or `right` of the image; empty if nothing is said.
    """

    noun: str
    number: int
    looks: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Doing:
    """What people do, of a caption.

    who:   The people.
    verb:  Its base form.
    first: The first word after the verb; empty if there is none.
    thing: The noun of the verb's object, or of the phrase after its preposition.
    nouns: All words after the verb in the same clause, things by one name each.
    """

    who: Mention
    verb: str
    first: str
    thing: str
    nouns: frozenset[str]


@dataclass(frozen=True, slots=True)
class CaptionReading:
    """What a caption says: the people it speaks of, and what they do."""

    people: tuple[Mention, ...]
    doings: tuple[Doing, ...]


def _gerunds(verb: str) -> str:
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb
    return f"{stem}ing {verb}{'es' if verb.endswith(('s', 'sh', 'ch', 'x')) else 's'}"


_VERB_OF: dict[str, str] = {
    form: verb
    for verb in {say.split()[0] for row in _FILE["action"] for say in row["say"]}
    for form in _FILE["irregular"].get(verb, _gerunds(verb)).split()
}


_SLIPS = {"women": "woman", "men": "man"}  # "a women" is one
# What somebody is on in "a man on a horse".
_CARRIERS = frozenset(
    say.removeprefix("be on ") for row in _FILE["action"] for say in row["say"] if say.startswith("be on ")
)


@lru_cache(maxsize=4096)
def read_caption(text: str) -> CaptionReading:
    """Read a caption.

    Args:
        text: An English sentence such as "A man in a red shirt is riding a wave on a surfboard."

    Returns:
        The people and what each does. A verb whose subject may be an animal, a thing or one of several people is left
        out.
    """
    return _Reader(_tokens(text)).read()


def _tokens(text: str) -> list[str]:
    text = _COMPOUND.sub(lambda found: found[1].replace(" ", "_"), text.lower().replace("t-shirt", "tshirt"))
    return [_plain(token) for token in _TOKEN.findall(text)]


def _plain(token: str) -> str:
    token = token.replace("_", " ")
    if " " in token and token.endswith("s") and token[:-1] in _COMPOUNDS:
        token = token[:-1]
    return _SAME.get(token, token)


class _Reader:
    """Goes through the words of a caption; remembers its subject and the last being that could act."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.people: list[Mention] = []
        self.doings: list[Doing] = []
        self.subject: Mention | None = None  # of the clause; None if it is no person
        self.nearest: Mention | None = None  # the last being before a word; None if it is no person
        self.nearest_at = -9
        self.several = False  # whether another being came after the subject

    def read(self) -> CaptionReading:
        for at, token in enumerate(self.tokens):
            if token in _PERSON or token in _PEOPLE:
                self._meet(at)
            elif token in _ANIMATE and self._before(at) not in ("'s",):
                if self._starts_clause(at):
                    self.subject, self.several = None, False
                else:
                    self.several = True
                self.nearest, self.nearest_at = None, at
            elif token in _VERB_OF:
                self._act(at)
        return CaptionReading(tuple(self.people), tuple(self.doings))

    def _before(self, at: int, skip: frozenset[str] = frozenset()) -> str:
        at -= 1
        while at >= 0 and self.tokens[at] in skip:
            at -= 1
        return self.tokens[at] if at >= 0 else ""

    def _start(self, at: int) -> int:
        """Where the noun phrase that ends at a word begins."""
        start = at
        while start > 0 and at - start < 5:
            word = self.tokens[start - 1]
            if word in _STOPS or word in _PREPOSITIONS or word in ".,;:!?" or word in _VERB_OF:
                break
            start -= 1
            if word in _DETERMINERS:
                break
        return start

    def _starts_clause(self, at: int) -> bool:
        start = self._start(at)
        before = self.tokens[start - 1] if start else ""
        return before in (
            "",
            ".",
            ",",
            ";",
            ":",
            "while",
            "as",
            "where",
            "when",
            "but",
            "there",
            "is",
            "are",
        ) or (before == "of" and not any(t in _VERB_OF for t in self.tokens[:start]))

    def _meet(self, at: int) -> None:
        """Remember the people of a noun phrase."""
        after = self.tokens[at + 1] if at + 1 < len(self.tokens) else ""
        token = self.tokens[at]
        if token in ("couple", "pair", "group", "crowd", "team") and after == "of":
            return
        if after in _PERSON or after in _PEOPLE:
            return  # "a baby girl", "a police officer"
        start = self._start(at)
        number = 1
        if token in _SLIPS and self.tokens[at - 1] == "a":
            token = _SLIPS[token]
        elif token in _PEOPLE:
            words = self.tokens[max(0, start - 3) : at]
            number = next(
                (_NUMBERS[w] for w in words if _NUMBERS.get(w, 0) > 1), 2 if token == "couple" else 0
            )
        mention = Mention(token, number, self._looks(at), self._place(at))
        joined = start > 1 and self.tokens[start - 1] == "and" and self.nearest_at >= start - 4
        if joined and self.nearest is not None and self.people and self.people[-1] == self.nearest:
            number = self.nearest.number + number if self.nearest.number and number else 0
            mention = Mention("people", number)
            self.people.append(Mention(token, 1 if token in _PERSON else 0))
            self.subject = mention if self.subject is self.nearest else self.subject
        else:
            self.people.append(mention)
            if self._starts_clause(at) or (self.subject is None and not self.doings and not self.several):
                self.subject, self.several = mention, False
            else:
                self.several = True
        self.nearest, self.nearest_at = mention, at
        rest = self.tokens[at + 1 :]
        rest = rest[1:] if rest[:1] and rest[0] in _TO_BE else rest
        if rest[:1] == ["on"] and (things := _CARRIERS.intersection(rest[1:4])):
            self.doings.append(Doing(mention, "be", "on", min(things), things))

    def _looks(self, at: int) -> str:
        """What somebody wears, right after the noun."""
        rest = self.tokens[at + 1 : at + 8]
        if rest[:1] and rest[0] in ("in", "with", "wearing"):
            for end, word in enumerate(rest[1:], 1):
                if word in _CLOTHES:
                    return " ".join(rest[: end + 1])
                if word in _STOPS or word in _PREPOSITIONS or word in _VERB_OF:
                    break
        return ""

    def _place(self, at: int) -> str:
        rest = " ".join(self.tokens[at + 1 : at + 6])
        found = re.match(r"(?:in [\w ]{0,14})?(?:on|at|to) the (?:far )?(left|right)\b(?! of)", rest)
        return found[1] if found else ""

    def _act(self, at: int) -> None:
        """Take down a verb with its subject and what comes after it."""
        token, before = self.tokens[at], self._before(at, _ADVERBS)
        if (
            self.tokens[at - 1] in _DETERMINERS
            or before in _PREPOSITIONS
            or _HEDGES & {*self.tokens[at - 4 : at]}
        ):
            return
        who = self._subject_of(at, token.endswith("ing"), before)
        if who is None:
            return
        tail = list(self._tail(at))
        first = tail[0] if tail else ""
        self.doings.append(Doing(who, _VERB_OF[token], first, _head(tail), frozenset(tail)))

    def _subject_of(self, at: int, participle: bool, before: str) -> Mention | None:
        adjacent = not any(
            token not in _ADVERBS and token not in _TO_BE and token != "who"
            for token in self.tokens[self.nearest_at + 1 : at]
        )
        if adjacent and self.nearest_at >= 0:
            return self.nearest
        if before in _JOINS:
            return (
                self.doings[-1].who
                if self.doings and not self.several
                else self.subject
                if not self.several
                else None
            )
        if before in _TO_BE or before in _PRONOUNS or (not participle and before not in _DETERMINERS):
            return self.subject
        return None if self.several else self.subject

    def _tail(self, at: int) -> Iterator[str]:
        for token in self.tokens[at + 1 : at + 1 + _LONGEST_TAIL]:
            if token in _STOPS or token in ".,;:!?" or (token in _VERB_OF and token.endswith("ing")):
                return
            yield token


def _head(tail: list[str]) -> str:
    """The noun of the first noun phrase, after a preposition or not."""
    words = tail
    while words and (words[0] in _PREPOSITIONS or words[0] in _ADVERBS):
        words = words[1:]
    phrase: list[str] = []
    for index, word in enumerate(words):
        if word == "of" and phrase and phrase[-1] in _PARTS:
            return _head(words[index + 1 :])
        if word in _PREPOSITIONS or word in _ADVERBS:
            break
        phrase.append(word)
    if phrase and phrase[-1] in _DETERMINERS:
        phrase.pop()
    return phrase[-1] if phrase else ""
