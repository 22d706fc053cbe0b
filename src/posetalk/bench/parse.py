"""Which answer a model meant by its words. Uses the standard library alone: exports carry a copy of this file."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")
# What a model says before it answers: "The answer is (B)", "Answer: B", "Option B".
_LEAD = r"(?i:(?:the\s+)?(?:(?:right|correct|best|final)\s+)?(?:answer|choice|option)(?:\s+(?:is|would\s+be))?[\s:*]*)"
_MARKED = re.compile(rf"^\W*(?:{_LEAD})*[(\[*]*([A-Da-d])(?:[)\].:,;*]|\s*$|\s*\n|\s+[-–—])")
# A small letter in a sentence is an article.
_SAID = re.compile(rf"\b{_LEAD}[(\[*]*([A-D])\b(?!')")
_SEVERAL = re.compile(
    rf"(?:^\W*|\b{_LEAD})[(\[*]*([A-D])[)\].*]*\s*(?:,|/|&|\bor\b|\band\b)\s*(?:or\s+|and\s+)?[(\[*]*(?!\1)[A-D]\b"
)
_YES, _NO = frozenset(("yes", "yeah", "yep", "true")), frozenset(("no", "nope", "false"))
_ENDS = re.compile(r"\b(yes|no)\b(?=\s*(?:[.,;:!)\"'*]|$))")  # "there is no chair" says nothing


def answer_of(text: str, choices: Sequence[str] = ()) -> str | None:
    """`yes` or `no`, or with choices a letter from `A` on; None where it is not clear what is meant.

    A letter counts where it stands alone, in brackets or with a mark behind it, at the beginning or after "the answer
    is"; the words of a choice where those of no other are there. More than one answer is none.
    """
    text = text.strip()
    return _letter(text, choices) if choices else _yes_or_no(text)


def _yes_or_no(text: str) -> str | None:
    words = _WORD.findall(text.lower())
    if not words:
        return None
    # "no one", "no doubt", "yes or no" are no answers
    if words[0] in _YES | _NO:
        unclear = words[1:2] in (["one"], ["doubt"], ["or"], ["and"])
        return None if unclear else "yes" if words[0] in _YES else "no"
    found = set(_ENDS.findall(text.lower()))
    return found.pop() if len(found) == 1 else None


def _letter(text: str, choices: Sequence[str]) -> str | None:
    letters = "ABCD"[: len(choices)]
    if _SEVERAL.search(text):
        return None
    marked = _MARKED.match(text)
    if marked:
        letter = marked[1].upper()
        return letter if letter in letters else None
    said = {match[1].upper() for match in _SAID.finditer(text)}
    if len(said) == 1:
        letter = said.pop()
        return letter if letter in letters else None
    if said:
        return None
    words = f" {' '.join(_WORD.findall(text.lower()))} "
    named = [
        (letter, f" {' '.join(_WORD.findall(choice.lower()))} ")
        for letter, choice in zip(letters, choices, strict=True)
    ]
    there = [(letter, choice) for letter, choice in named if choice.strip() and choice in words]
    # "at the hip" is also in "not at the hip": of two of which one is part of the other, the longer is meant
    longest = [
        letter
        for letter, choice in there
        if not any(choice in other and choice != other for _, other in there)
    ]
    return longest[0] if len(longest) == 1 else None
