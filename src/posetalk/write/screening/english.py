"""Questions and answers as text: their words and sentences, what kind a question is, whether it is English at all.

The lists of words are those of screen.toml.
"""

from __future__ import annotations

import re
from typing import Any

from posetalk.resources import resource_toml

FILE: dict[str, Any] = resource_toml("write/screening/screen.toml")
_ASKS, _BODY, _ENGLISH, _OPEN, _PEOPLE = (
    frozenset(FILE["words"][name].split()) for name in ("asks", "body", "english", "open", "people")
)
COMMON = _ENGLISH | _BODY | _PEOPLE
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CLAUSE = re.compile(r"[.!,;:\n]")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+")
_ENDED = re.compile(r"(?<!\.\.)[.!?:][\"'”’)\]]*$")
_UNFINISHED = ("..", "…", ",", ";", "-", "–", "—", "(", "&", "/")
# "Can you describe ..." asks for a description, not for a yes.
_YES_OR_NO = re.compile(
    r"^(?!\w+ you\b)(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should|may|might|must)"
    r"(?:n['’]t)?\b",
    re.IGNORECASE,
)
YES = re.compile(r"^(?:yes|yeah|indeed|correct)\b", re.IGNORECASE)
NO = re.compile(r"^no\b(?! one\b)", re.IGNORECASE)
# A text is foreign if more of its letters than this share are of another script, or, from LEAST words on, fewer of its
# words are common ones.
FOREIGN, LEAST = 0.1, 8


def words(text: str) -> tuple[str, ...]:
    """In small letters, without marks."""
    return tuple(_WORD.findall(text.lower()))


def sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text.strip()) if one]


def part(text: str, most: int = 8) -> str:
    """The first words of a text, to name it by."""
    found = text.split()
    return " ".join(found[:most]) + (" ..." if len(found) > most else "")


def asks(question: str) -> bool:
    """Whether a text asks or orders something, if only after a comma."""
    return "?" in question or any(not _ASKS.isdisjoint(words(one)[:1]) for one in _CLAUSE.split(question))


def asked(question: str) -> str:
    """The question itself, where something is said before it."""
    return (sentences(question) or [""])[-1]


def yes_or_no(question: str) -> bool:
    """Whether a question wants a yes or a no; "standing or sitting" does not."""
    return bool(_YES_OR_NO.match(question)) and " or " not in question.lower()


def share(question: str, answer: str) -> bool:
    """Whether both speak of the body, or have a word in common that says more than who is meant."""
    one, other = set(words(question)), set(words(answer))
    if one & _BODY and other & _BODY:
        return True
    stems = [{w[:4] for w in some - _PEOPLE - _ENGLISH if len(w) > 2} for some in (one, other)]
    return bool(stems[0] & stems[1])


def foreign(text: str) -> bool:
    """Letters of another script, or hardly any of the words that no English sentence does without."""
    letters = [c for c in text if c.isalpha()]
    found = words(text)
    if sum(c > "\u024f" for c in letters) > FOREIGN * len(letters):
        return True
    return len(found) >= LEAST and sum(w in COMMON for w in found) < FOREIGN * len(found)


def cut_off(text: str, strict: bool) -> bool:
    """Whether a text ends within a sentence. One sentence without its full stop passes unless `strict`."""
    text, found = text.rstrip(), words(text)
    if not found or _ENDED.search(text):
        return False
    return strict or len(sentences(text)) > 1 or found[-1] in _OPEN or text.endswith(_UNFINISHED)
