"""Which facts may be put in words: not all true ones, because words say more than a projection shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from posetalk.facts.fact import Fact, Facts
from posetalk.facts.posture import POSTURES
from posetalk.facts.scene import ScenePerson

MIN_AHEAD = (
    0.05  # trunk lengths by which the nose must be beside the ears for a head that is turned to that side
)
# Drawn-up knees may be a crouch, a jump or a ride on a board: that somebody sits is only said where a caption says so,
# or names a seat and nothing that is done on bent legs.
_SITTING = re.compile(r"\b(?:sit|sits|sitting|seated|sat)\b", re.IGNORECASE)
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


def conservatively_true(person: ScenePerson, captions: Sequence[str]) -> ScenePerson:
    """Restrict a person's facts to those that may be put in words.

    Args:
        person: The person.
        captions: The captions of the image.

    Returns:
        The person with the other facts set to not known.
    """
    facts = person.facts
    sitting_unsure = facts.value("body: sitting") and not _seated_in_captions(captions)
    restricted: list[Fact] = []
    for fact in facts:
        if (sitting_unsure and fact.predicate in POSTURES) or _nose_points_elsewhere(fact, facts):
            fact = replace(fact, value=None)
        restricted.append(fact)
    return replace(person, facts=Facts(restricted))


def _seated_in_captions(captions: Sequence[str]) -> bool:
    text = " ".join(captions)
    return bool(_SITTING.search(text) or (_SEAT.search(text) and not _ON_BENT_LEGS.search(text)))


def _nose_points_elsewhere(fact: Fact, facts: Facts) -> bool:
    """Whether the fact is a turned head whose nose is not on that side of its ears."""
    if not fact.value or not fact.key.startswith("head: turned to the "):
        return False
    # the person's left is the image's right
    ahead = dict(facts["body: facing right"].numbers).get("ahead", 0.0)
    return (ahead if fact.predicate.endswith("left") else -ahead) < MIN_AHEAD
