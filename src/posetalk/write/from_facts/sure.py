"""Which facts are sure enough to be the right answer of a question."""

from __future__ import annotations

import re

from posetalk.facts.fact import Fact

# What the joints of a photo show without knowing how a body is supported or how far its parts are from the camera.
GEOMETRY = re.compile(
    r"picture: .*"  # the labels themselves, counted
    r"|trunk: (?:upright|upside down)"
    r"|(?:left|right) (?:elbow|knee): (?:straight|bent at a right angle|sharply bent)"
    r"|(?:left|right) hand: (?:above the head|below the hip)"
    r"|(?:left|right) arm: raised"
    r"|body: facing (?:the camera|away|left|right)"
)
# Facts that are sure only from a number on (at least or at most): key, value, number of the fact, and the number.
# Trunk lengths, degrees of the trunk's lean. A trunk that leans a little is called upright, an arm at the height of its
# shoulder raised; and what lies near a hand is not yet in it.
_AT_LEAST = (
    (re.compile(r"trunk: upright"), False, "lean", 45.0),
    (re.compile(r"(?:left|right) arm: raised"), False, "wrist", 0.4),
    (re.compile(r".+: at the (?:left|right) hand"), False, "near", 1.0),
    (re.compile(r"(?:left|right) (?:elbow|knee): straight"), True, "angle", 168.0),
)
_AT_MOST = ((re.compile(r".+: at the (?:left|right) hand"), True, "near", 0.15),)
_SAID = re.compile(r".+: carried")  # true where captions say it: a box at a hand may be a cake on a table
WITNESSES = (
    3  # captions that say the same count as two kinds of evidence: their writers did not know of each other
)
_CAPTIONS = re.compile(r"captions (\d+) of \d+")


def is_sure(fact: Fact) -> bool:
    """Whether a fact may be the right answer of a question.

    It is known, and rests on two kinds of evidence (joints, captions, an object, other people), on three captions, or
    on joints alone where these show it without doubt (GEOMETRY).
    """
    if fact.value is None or not _is_clear(fact):
        return False
    if fact.value and _SAID.fullmatch(fact.key) and "captions" not in fact.kinds:
        return False
    if len(fact.kinds) >= 2 or GEOMETRY.fullmatch(fact.key):
        return True
    said = (_CAPTIONS.fullmatch(entry) for entry in fact.evidence)
    return any(match is not None and int(match[1]) >= WITNESSES for match in said)


def _is_clear(fact: Fact) -> bool:
    numbers = dict(fact.numbers)
    for key, value, name, least in _AT_LEAST:
        if fact.value is value and key.fullmatch(fact.key) and not numbers.get(name, -1.0) >= least:
            return False
    for key, value, name, most in _AT_MOST:
        if fact.value is value and key.fullmatch(fact.key) and not numbers.get(name, most + 1) <= most:
            return False
    return True
