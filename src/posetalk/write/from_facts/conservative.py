"""Which facts may be put in words: not all true ones, because words say more than a projection shows."""

from __future__ import annotations

from dataclasses import replace

from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import ScenePerson

MIN_AHEAD = (
    0.05  # trunk lengths by which the nose must be beside the ears for a head that is turned to that side
)


def conservatively_true(person: ScenePerson) -> ScenePerson:
    """Restrict a person's facts to those that may be put in words.

    Args:
        person: The person.

    Returns:
        The person with the other facts set to not known.
    """
    facts = person.facts
    restricted = [
        replace(fact, value=None) if _nose_points_elsewhere(fact, facts) else fact for fact in facts
    ]
    return replace(person, facts=Facts(restricted))


def _nose_points_elsewhere(fact: Fact, facts: Facts) -> bool:
    """Whether the fact is a turned head whose nose is not on that side of its ears."""
    if not fact.value or not fact.key.startswith("head: turned to the "):
        return False
    # the person's left is the image's right
    ahead = dict(facts["body: facing right"].numbers).get("ahead", 0.0)
    return (ahead if fact.predicate.endswith("left") else -ahead) < MIN_AHEAD
