"""Words of a text with their tags: the lexicon of lexicon.toml, looked up with the longest form first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from posetalk.resources import resource_toml

Senses = Mapping[str, str]

_FILE: dict[str, Any] = resource_toml("facts/lexicon.toml")
_VERBS = ("state", "verb", "hold")
_TOKEN = re.compile(r"[a-z]+(?:['’][a-z]+)?|\d+|[.,;:!?]", re.IGNORECASE)
_ENDS = frozenset(".;:!?")
# After a comma these begin a clause; the others begin one anywhere.
_AFTER_COMMA = frozenset(["and", "but", "while", "with", "his", "her", "their", "the"])
_CLAUSE_WORDS = frozenset(["while", "whereas", "but"])
_DOUBLED = frozenset(
    [
        "sit",
        "squat",
        "run",
        "swim",
        "hug",
        "get",
        "cut",
        "put",
        "hop",
        "nap",
        "grip",
        "grab",
        "pet",
        "hit",
    ]
)
_IS = frozenset(["he", "she", "it", "that", "there", "who", "one"])
NOTHING: Senses = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word, or several that belong together.

    form:   the words in lower case, with single spaces.
    senses: what they may be: tag (`part`, `state`, `verb` ...) -> lemma; empty for other words, `stop` for a comma.
    start, end: characters of the text.
    clause: the number of the clause, within which negations and hedges apply.
    """

    form: str
    senses: Senses
    start: int
    end: int
    clause: int


def _inflected(verb: str) -> set[str]:
    """The regular forms of a verb."""
    stem = verb[:-1] if verb.endswith("e") else verb + verb[-1] if verb in _DOUBLED else verb
    third = verb + ("es" if verb.endswith(("ch", "sh", "s", "x")) else "s")
    if verb.endswith("y") and verb[-2] not in "aeo":
        return {verb, verb[:-1] + "ies", verb + "ing", verb[:-1] + "ied"}
    ing = "lying" if verb == "lie" else stem + "ing"
    return {verb, third, ing, stem + "ed"}


def _senses() -> tuple[dict[tuple[str, ...], Senses], dict[str, int]]:
    """Each form, as a tuple of words, with its senses; and the most words of the forms that begin with a word."""
    found: dict[tuple[str, ...], dict[str, str]] = {}

    def add(form: str, tag: str, lemma: str) -> None:
        found.setdefault(tuple(token[0] for token in _tokens(form)), {})[tag] = lemma

    for tag in (
        "part",
        "state",
        "direction",
        "grade",
        "relation",
        "place",
        "phrase",
        "verb",
        "hold",
        "words",
        "thing",
    ):
        for lemma, forms in _FILE[tag].items():
            name = lemma if tag == "words" else tag
            own = [] if tag == "words" else sorted(_inflected(lemma)) if tag in _VERBS else [lemma]
            for form in [*own, *filter(None, forms.split(", "))]:
                add(form, name, form.split()[0] if name == "side" else lemma)
    for name, tag in (("people", "person"), ("animals", "animal")):
        for word in _FILE[name].split():
            add(word, tag, word)
    for form in list(found):
        if "nothing" in found[form]:
            found[form] = {}
    longest: dict[str, int] = {}
    for form in found:
        longest[form[0]] = max(longest.get(form[0], 1), len(form))
    return {form: MappingProxyType(senses) for form, senses in found.items()}, longest


_STOP: Senses = MappingProxyType({"stop": ","})
_POSSESSIVE: Senses = MappingProxyType({"possessive": "'s"})
_NEGATION: Senses = MappingProxyType({"negation": "not"})
_BE: Senses = MappingProxyType({"be": "be"})


def tagged_words(text: str) -> list[TaggedWord]:
    """The words of a text.

    Args:
        text: English text of any length; the time is linear in it.

    Returns:
        The words in order. Compounds and phrases of the lexicon are one word; `'s` and `n't` are words of their own.
    """
    tokens = _tokens(text)
    words: list[TaggedWord] = []
    clause = i = 0
    after_comma = False
    while i < len(tokens):
        form, start, end, fixed = tokens[i]
        if form in _ENDS:
            clause, after_comma, i = clause + 1, False, i + 1
            continue
        if form in _CLAUSE_WORDS or (after_comma and form in _AFTER_COMMA):
            clause += 1
        after_comma = form == ","
        senses, width = (fixed, 1) if fixed is not None else _look_up(tokens, i)
        if width > 1:
            end = tokens[i + width - 1][2]
            form = " ".join(token[0] for token in tokens[i : i + width])
        words.append(TaggedWord(form, senses, start, end, clause))
        i += width
    return words


def _tokens(text: str) -> list[tuple[str, int, int, Senses | None]]:
    """Form, start, end and, where it is no matter of the lexicon, the senses of each token."""
    tokens: list[tuple[str, int, int, Senses | None]] = []
    for match in _TOKEN.finditer(text):
        form, start, end = match[0].lower(), match.start(), match.end()
        if form == ",":
            tokens.append((form, start, end, _STOP))
            continue
        mark = max(form.find("'"), form.find("’"))
        if mark < 0:
            tokens.append((form, start, end, None))
            continue
        base, ending = form[:mark], form[mark + 1 :]
        if ending == "t" and base.endswith("n"):
            tokens.append((form, start, end, _NEGATION))
            continue
        tokens.append((base, start, start + mark, None))
        is_possessive = ending == "s" and base not in _IS
        tokens.append(("'" + ending, start + mark, end, _POSSESSIVE if is_possessive else _BE))
    return tokens


def _look_up(tokens: list[tuple[str, int, int, Senses | None]], i: int) -> tuple[Senses, int]:
    """The senses of the longest form of the lexicon at a token, and its number of tokens."""
    first = tokens[i][0]
    for width in range(min(_LONGEST.get(first, 0), len(tokens) - i), 0, -1):
        senses = _SENSES.get(tuple(token[0] for token in tokens[i : i + width]))
        if senses is not None:
            return senses, width
    return NOTHING, 1


_SENSES, _LONGEST = _senses()
