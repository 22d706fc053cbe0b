"""Parse the two scores in a judge's reply, in the order in which the answers were shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from posetalk.bench.answers.review import MAX_SCORE, MIN_SCORE
from posetalk.llm.fault import Fault, Rejected

SCHEMA: dict[str, Any] = {
    "title": "marks",
    "type": "object",
    "properties": {
        "why": {"type": "string"},  # before the numbers, so that they follow from it
        # every server that supports schemas supports `enum`; some do not support limits of a number
        "first": {"type": "integer", "enum": list(range(int(MIN_SCORE), int(MAX_SCORE) + 1))},
        "second": {"type": "integer", "enum": list(range(int(MIN_SCORE), int(MAX_SCORE) + 1))},
    },
    "required": ["why", "first", "second"],
    "additionalProperties": False,
}
# Every repetition is bounded, because a reply may be any text of any length.
_NUMBER = r"(-?\d{1,4}(?:\.\d{1,9})?)(?:\s{0,9}(?:/|out of)\s{0,9}10(?!\d))?(?!\.?\d)"
# `Answer 1: 8` or `The second answer: 6` at the start of a line.
_LABELLED = {
    order: re.compile(
        rf"^[^\w\n]{{0,20}}(?:the\s{{1,9}})?(?:{word}(?:\s{{1,9}}answer)?|(?:answer|assistant|response)\s{{0,9}}{number})"
        rf"\s{{0,9}}[:=]\W{{0,20}}?{_NUMBER}",
        re.IGNORECASE | re.MULTILINE,
    )
    for order, (word, number) in {"first": ("first", 1), "second": ("second", 2)}.items()
}
# LLaVA's form: the first line holds two numbers and nothing else but punctuation.
_LINE = re.compile(
    rf"\W{{0,20}}?(?:scores?\s{{0,9}}:)?[^\w-]{{0,20}}?{_NUMBER}(?:[\s,;|&]|\band\b){{1,20}}{_NUMBER}\W{{0,20}}",
    re.IGNORECASE,
)
_MAX_OBJECTS = 100  # opening braces that are tried as JSON


def read_scores(reply: str) -> tuple[float, float]:
    """Parse a judge's reply.

    The scores are read from JSON anywhere in the reply, else from two numbers on the first line, else from a labelled
    line for each.

    Returns:
        Scores of the answers shown first and second, 1 to 10.

    Raises:
        Rejected: There are no scores, several different ones, or one out of range.
    """
    pairs = set(_pairs(reply))
    if len(pairs) != 1:
        raise _unreadable("it is not the JSON that was asked for" if not pairs else "it has several scores")
    pair = pairs.pop()
    if not all(MIN_SCORE <= score <= MAX_SCORE for score in pair):
        raise _unreadable(f"{pair[0]:g} and {pair[1]:g} are not both from {MIN_SCORE:g} to {MAX_SCORE:g}")
    return pair


def _pairs(reply: str) -> Iterator[tuple[float, float]]:
    """Score pairs by the first of the three forms that matches."""
    objects = list(_objects(reply))
    if objects:
        yield from objects
        return
    line = _LINE.fullmatch(reply.strip().split("\n", 1)[0])
    if line:
        yield float(line[1]), float(line[2])
        return
    first, second = (_LABELLED[order].findall(reply) for order in ("first", "second"))
    if len(first) == len(second):
        yield from ((float(left), float(right)) for left, right in zip(first, second, strict=True))


def _objects(reply: str) -> Iterator[tuple[float, float]]:
    decoder = json.JSONDecoder(strict=False)
    for number, match in enumerate(re.finditer(r"\{", reply)):
        if number == _MAX_OBJECTS:
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


def _unreadable(reason: str) -> Rejected:
    return Rejected((Fault("unreadable", reason),))
