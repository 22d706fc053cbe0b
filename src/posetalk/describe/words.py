"""A place on a body in words of three lengths."""

from __future__ import annotations

import re
from dataclasses import dataclass

from posetalk.describe.figure import Facing
from posetalk.describe.parts import parts
from posetalk.describe.place import Place
from posetalk.write.from_facts.speaker import Subject

SHARES = {
    1 / 4: "a quarter",
    1 / 3: "a third",
    1 / 2: "halfway",
    2 / 3: "two thirds",
    3 / 4: "three quarters",
}
NEAR = 0.42  # of a limb, from either end, that is called near the joint
_NOUN = re.compile(r"the (?:[\w-]+ )*?([\w-]+)(?= (?:on|in|from) |$)")
_SURFACES = {"front": "on the front of the trunk", "back": "on the back of the trunk"}


@dataclass(frozen=True, slots=True)
class Words:
    """The words for a place.

    name:     `left forearm`.
    phrase:   `the outer side of his left forearm`.
    sentence: `the outer side of his left forearm, a third of the way from elbow to wrist`.
    full:     The sentence with the person's name: `the outer side of the left forearm of the man on the left, ...`.
    """

    name: str
    phrase: str
    sentence: str
    full: str


def words_of(place: Place, subject: Subject, facing: Facing | None) -> Words:
    """The words for a place of a person who is called `subject`."""
    name, phrase, detail = _name(place), _phrase(place, facing), _detail(place, facing)
    own = phrase.replace("{his}", possessive(subject), 1).replace("{his}", subject.forms["his"])
    return Words(
        name,
        own,
        f"{own}, {detail}",
        f"{phrase.replace('{his}', 'the')} of {subject.name}, {detail}",
    )


def possessive(subject: Subject) -> str:
    """`his`, `her`, or of somebody whose pronoun is not known `the surfer's`."""
    if subject.forms["his"] != "their":
        return subject.forms["his"]
    noun = _NOUN.match(subject.name)
    return f"the {noun[1] if noun else 'person'}'s"


def _name(place: Place) -> str:
    if place.between:
        return f"between the {_said(place.part, place.side)} and the {_said(*place.between)}"
    return _said(place.part, place.side)


def _said(part: str, side: str) -> str:
    """A part with its side, which the names of named points hold already."""
    return part if not side or side in part.split() else f"{side} {part}"


def _phrase(place: Place, facing: Facing | None) -> str:
    own = _own(_said(place.part, place.side))
    if place.between:
        return f"between {own} and {_own(_said(*place.between))}"
    if place.limb is None or place.share is None:
        return own
    if place.across in ("front", "back"):
        return f"the {place.across} of {own}"
    if place.across:
        return f"the {place.across} side of {own}"
    if place.part == "thigh" and facing in ("front", "back"):
        return f"the {facing} of {own}"
    if NEAR <= place.share <= 1 - NEAR:
        return f"the middle of {own}"
    return f"{own} near the {place.limb.ends[place.share > 0.5]}"


def _own(said: str) -> str:
    """`{his} left forearm`, `the fingers of {his} left hand`."""
    start, of, end = said.rpartition(" of the ")
    return f"the {start} of {{his}} {end}" if of else f"{{his}} {said}"


def _detail(place: Place, facing: Facing | None) -> str:
    if place.limb is not None and place.share is not None:
        first, last = place.limb.ends
        share = place.share
        nearest = min(SHARES, key=lambda known: abs(known - share))
        if nearest == 0.5:
            return f"halfway between {first} and {last}"
        return f"{SHARES[nearest]} of the way from {first} to {last}"
    if place.between:
        return "on the head" if place.region == "head" else _SURFACES.get(facing or "", "on the trunk")
    if place.point is not None:
        return place.point.where
    return parts().joints[place.part].format(side=place.side)
