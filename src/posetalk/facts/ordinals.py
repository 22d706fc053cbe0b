"""Ordinal numbers as words, for writing and for reading."""

from __future__ import annotations

import re

_WORDS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
ORDINAL = rf"(?:{'|'.join(_WORDS)}|\d{{1,3}}(?:st|nd|rd|th))"
"""A regular expression of ordinals in lower case."""


def ordinal(number: int) -> str:
    """The ordinal of a number from 1: 1 is `first`, 21 is `21st`."""
    if number <= len(_WORDS):
        return _WORDS[number - 1]
    end = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"


def ordinal_number(word: str) -> int:
    """The number of an ordinal that ORDINAL matches: `first` and `1st` are 1."""
    word = word.lower()
    return _WORDS.index(word) + 1 if word in _WORDS else int(re.sub(r"\D", "", word))
