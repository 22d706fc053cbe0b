"""Places in a row as words: what is written and what is read."""

from __future__ import annotations

import re

_WORDS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
ORDINAL = rf"(?:{'|'.join(_WORDS)}|\d{{1,3}}(?:st|nd|rd|th))"
"""A pattern of them, small letters."""


def ordinal(number: int) -> str:
    """Of 1 `first`, of 21 `21st`."""
    if number <= len(_WORDS):
        return _WORDS[number - 1]
    end = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"


def ordinal_number(word: str) -> int:
    """Of `first` or `1st` 1; of what ORDINAL matches."""
    word = word.lower()
    return _WORDS.index(word) + 1 if word in _WORDS else int(re.sub(r"\D", "", word))
