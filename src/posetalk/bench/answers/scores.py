"""What a judge's reply says: the two scores, in the order in which the answers were shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from posetalk.bench.answers.review import LEAST, MOST
from posetalk.llm.fault import Fault, Rejected

SCHEMA: dict[str, Any] = {
    "title": "marks",  # the reason first, so that the numbers follow from it
    "type": "object",
    "properties": {
        "why": {"type": "string"},
        # every server that takes schemas takes a list of values; limits of a number some do not
        "first": {"type": "integer", "enum": list(range(int(LEAST), int(MOST) + 1))},
        "second": {"type": "integer", "enum": list(range(int(LEAST), int(MOST) + 1))},
    },
    "required": ["why", "first", "second"],
    "additionalProperties": False,
}
# Every repetition has an end: a judge may say anything, at any length.
_NUMBER = r"(-?\d{1,4}(?:\.\d{1,9})?)(?:\s{0,9}(?:/|out of)\s{0,9}10(?!\d))?(?!\.?\d)"
# `Answer 1: 8`, `The second answer: 6`, at the start of a line.
_LABELLED = {
    place: re.compile(
        rf"^[^\w\n]{{0,20}}(?:the\s{{1,9}})?(?:{word}(?:\s{{1,9}}answer)?|(?:answer|assistant|response)\s{{0,9}}{number})"
        rf"\s{{0,9}}[:=]\W{{0,20}}?{_NUMBER}",
        re.IGNORECASE | re.MULTILINE,
    )
    for place, (word, number) in {"first": ("first", 1), "second": ("second", 2)}.items()
}
# LLaVA's form: two numbers on the first line and nothing else but marks between.
_LINE = re.compile(
    rf"\W{{0,20}}?(?:scores?\s{{0,9}}:)?[^\w-]{{0,20}}?{_NUMBER}(?:[\s,;|&]|\band\b){{1,20}}{_NUMBER}\W{{0,20}}",
    re.IGNORECASE,
)
_OBJECTS = 100  # that are looked for in a reply, at most


def read_scores(reply: str) -> tuple[float, float]:
    """The scores of the answers shown first and second, 1..10.

    From JSON, alone or amid talk; else from two numbers on the first line, or a labelled line for each. Errors:
    Rejected where there are none, more than one pair, or one out of range.
    """
    found = set(_pairs(reply))
    if len(found) != 1:
        raise _unreadable("it is not the JSON that was asked for" if not found else "it has several scores")
    pair = found.pop()
    if not all(LEAST <= score <= MOST for score in pair):
        raise _unreadable(f"{pair[0]:g} and {pair[1]:g} are not both from {LEAST:g} to {MOST:g}")
    return pair


def _pairs(reply: str) -> Iterator[tuple[float, float]]:
    """By the first way of reading that gives anything."""
    objects = list(_objects(reply))
    if objects:
        yield from objects
        return
    line = _LINE.fullmatch(reply.strip().split("\n", 1)[0])
    if line:
        yield float(line[1]), float(line[2])
        return
    first, second = (_LABELLED[place].findall(reply) for place in ("first", "second"))
    if len(first) == len(second):
        yield from ((float(one), float(two)) for one, two in zip(first, second, strict=True))


def _objects(reply: str) -> Iterator[tuple[float, float]]:
    decoder = json.JSONDecoder(strict=False)
    for number, match in enumerate(re.finditer(r"\{", reply)):
        if number == _OBJECTS:
            raise _unreadable("it is not the JSON that was asked for")
        try:
            value, _ = decoder.raw_decode(reply, match.start())
            yield _score(value["first"]), _score(value["second"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue


def _score(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        match = re.fullmatch(rf"\s*{_NUMBER}\s*", value)
        value = match[1] if match else value
    return float(value)


def _unreadable(words: str) -> Rejected:
    return Rejected((Fault("unreadable", words),))
