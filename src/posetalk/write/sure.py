"""Which facts are put in words: fewer than hold, because words say more than a projection shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from posetalk.facts.fact import Fact, Facts
from posetalk.facts.person import POSTURES
from posetalk.facts.scene import Figure

# Where shoulders look narrower than this share of their width, a body is at 40 degrees or more to the camera: it is
# said to be roughly turned to it, or away, and where its head is turned to is not compared with it.
FRONTAL = 0.75
AHEAD = 0.05  # trunk lengths: the nose is on the side of the ears that the head is said to be turned to
# Where captions speak of these, knees that are drawn up are rather a crouch, a jump or a ride than a seat.
_MOVING = re.compile(
    r"\b(?:skate\w*|surf\w*|snow ?board\w*|ski|skis|skier\w*|skiing|wave|waves|jump\w*|trick\w*|air|ramp|ball|"
    r"baseball|soccer|tennis|frisbee|catch\w*|bat|pitch\w*|squat\w*|crouch\w*|kneel\w*|danc\w*)\b",
    re.IGNORECASE,
)


def sure(figure: Figure, captions: Sequence[str]) -> Figure:
    """The person with the facts that may be put in words; the others are not known."""
    facts = figure.facts
    moving = facts.holds("body: sitting") and any(_MOVING.search(text) for text in captions)
    kept: list[Fact] = []
    for fact in facts:
        if (moving and fact.says in POSTURES) or _turned_otherwise(fact, facts):
            fact = replace(fact, holds=None)
        if fact.holds and fact.key in ("body: facing the camera", "body: facing away"):
            across = abs(dict(fact.numbers).get("across", 0.0))
            if across < FRONTAL:
                kept.append(replace(fact, says=fact.says.replace("facing ", "facing roughly ")))
                fact = replace(fact, holds=None)
        kept.append(fact)
    return replace(figure, facts=Facts(kept))


def _turned_otherwise(fact: Fact, facts: Facts) -> bool:
    """Whether a head is said to be turned to a side, and its nose is not on that side of its ears."""
    if not fact.holds or not fact.key.startswith("head: turned to the "):
        return False
    ahead = dict(facts["body: facing right"].numbers).get(
        "ahead", 0.0
    )  # the person's left is the picture's right
    return (ahead if fact.says.endswith("left") else -ahead) < AHEAD
