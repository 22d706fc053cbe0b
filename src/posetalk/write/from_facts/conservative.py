"""Which facts are put in words: fewer than hold, because words say more than a projection shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from posetalk.facts.fact import Fact, Facts
from posetalk.facts.posture import POSTURES
from posetalk.facts.scene import ScenePerson

AHEAD = 0.05  # trunk lengths: the nose is on the side of the ears that the head is said to be turned to
# Knees that are drawn up are a seat as well as a crouch, a jump or a ride on a board: that somebody sits is only said
# where a caption says so, or speaks of a seat and of nothing that is done on bent legs.
_SITS = re.compile(r"\b(?:sit|sits|sitting|seated|sat)\b", re.IGNORECASE)
_SEAT = re.compile(
    r"\b(?:chairs?|wheelchair|couch|sofa|bench|toilet|stool|bed|desk|tables?|horses?|horseback|elephants?|camel|"
    r"motorcycles?|motorbikes?|bikes?|bicycles?|scooter|carriage|wagon|boat|canoe|train|bus|meal|dinner|lunch|eating)\b",
    re.IGNORECASE,
)
_ON_BENT_LEGS = re.compile(
    r"\b(?:skat\w*|surf\w*|snow ?board\w*|ski|skis|skier\w*|skiing|waves?|jump\w*|tricks?|air|ramp|ball|"
    r"baseball|soccer|tennis|frisbee|catch\w*|bat|pitch\w*|squat\w*|crouch\w*|kneel\w*|danc\w*|work\w*|fix\w*)\b",
    re.IGNORECASE,
)


def conservatively_true(figure: ScenePerson, captions: Sequence[str]) -> ScenePerson:
    """The person with the facts that may be put in words; the others are not known."""
    facts = figure.facts
    doubtful = facts.value("body: sitting") and not _seated(captions)
    kept: list[Fact] = []
    for fact in facts:
        if (doubtful and fact.predicate in POSTURES) or _turned_otherwise(fact, facts):
            fact = replace(fact, value=None)
        kept.append(fact)
    return replace(figure, facts=Facts(kept))


def _seated(captions: Sequence[str]) -> bool:
    text = " ".join(captions)
    return bool(_SITS.search(text) or (_SEAT.search(text) and not _ON_BENT_LEGS.search(text)))


def _turned_otherwise(fact: Fact, facts: Facts) -> bool:
    """Whether a head is said to be turned to a side, and its nose is not on that side of its ears."""
    if not fact.value or not fact.key.startswith("head: turned to the "):
        return False
    ahead = dict(facts["body: facing right"].numbers).get(
        "ahead", 0.0
    )  # the person's left is the picture's right
    return (ahead if fact.predicate.endswith("left") else -ahead) < AHEAD
