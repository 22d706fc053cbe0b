"""A person's keypoints as a body: joints by name, lengths against what a body of this size has, angles, directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetalk.types import Floats, Person

Numbers = dict[str, float]

# Lengths between joints as shares of the trunk's (shoulders to hips, 0.288 of the height): D. A. Winter, Biomechanics
# and Motor Control of Human Movement, 4th ed. 2009, figure 4.1, after Drillis and Contini 1966.
LENGTHS = {
    ("shoulder", "elbow"): 0.186 / 0.288,
    ("elbow", "wrist"): 0.146 / 0.288,
    ("hip", "knee"): 0.245 / 0.288,
    ("knee", "ankle"): 0.246 / 0.288,
}
SHOULDERS = 0.259 / 0.288  # across, the same source
HAND = (
    0.108 / 0.146 / 2
)  # from the wrist to the middle of the hand, as a share of the forearm; the same source
SIDES = ("left", "right")
OTHER = {"left": "right", "right": "left"}


@dataclass(frozen=True, eq=False)
class Body:
    """The labelled joints of one person.

    points: name -> (2,) px, of the joints that are labelled, hidden ones too. hidden: those that cannot be seen.
    missing: those that are not labelled: outside the image, or nobody knows.
    """

    points: dict[str, Floats]
    hidden: frozenset[str]
    missing: frozenset[str]

    @classmethod
    def of(cls, person: Person, names: tuple[str, ...]) -> Body:
        """The body of a person whose keypoints have these names."""
        found = dict(zip(names, zip(person.keypoints, person.visible, strict=True), strict=True))
        return cls(
            {name: np.asarray(xy) for name, (xy, v) in found.items() if v > 0},
            frozenset(name for name, (_, v) in found.items() if v == 1),
            frozenset(name for name, (_, v) in found.items() if v <= 0),
        )

    def __getitem__(self, name: str) -> Floats | None:
        return self.points.get(name)

    def middle(self, joint: str) -> Floats | None:
        """Between the left and the right joint; None where one of them is not known."""
        left, right = self[f"left {joint}"], self[f"right {joint}"]
        return None if left is None or right is None else (left + right) / 2

    @cached_property
    def size(self) -> float | None:
        """The trunk's length in px as the longest limb implies it: projection makes limbs shorter, never longer.

        None where under two lengths are known.
        """
        implied = [
            float(np.linalg.norm(a - b)) / share
            for (first, second), share in LENGTHS.items()
            for side in SIDES
            if (a := self[f"{side} {first}"]) is not None and (b := self[f"{side} {second}"]) is not None
        ]
        if (trunk := self.trunk) is not None:
            implied.append(float(np.linalg.norm(trunk)))
        left, right = self["left shoulder"], self["right shoulder"]
        if left is not None and right is not None:
            implied.append(float(np.linalg.norm(left - right)) / SHOULDERS)
        # the longest may be a slip of the labeller's; the second longest rarely is much shorter
        if len(implied) < 2:
            return None
        longest, second = sorted(implied, reverse=True)[:2]
        size = min(longest, 1.15 * second)
        return size if size > 1 else None

    @cached_property
    def trunk(self) -> Floats | None:
        """From the hips to the shoulders, px; of one side where the other is not known."""
        shoulders, hips = self.middle("shoulder"), self.middle("hip")
        if shoulders is not None and hips is not None:
            return shoulders - hips
        for side in SIDES:
            shoulder, hip = self[f"{side} shoulder"], self[f"{side} hip"]
            if shoulder is not None and hip is not None:
                return shoulder - hip
        return None

    @cached_property
    def lean(self) -> float | None:
        """Of the trunk from the vertical, degrees: 0 upright, 90 level, 180 head down. In the projection."""
        trunk = self.trunk
        if trunk is None or not trunk.any():
            return None
        return math.degrees(math.atan2(abs(trunk[0]), -trunk[1]))

    def length(self, first: str, second: str) -> float | None:
        """Of a limb, as a share of what this body's would be if nothing were foreshortened."""
        a, b, size = self[first], self[second], self.size
        if a is None or b is None or size is None:
            return None
        full_length = LENGTHS[first.split()[1], second.split()[1]] * size
        return float(np.linalg.norm(a - b)) / full_length

    def angle(self, first: str, joint: str, second: str) -> float | None:
        """At a joint, degrees in the projection: 180 is straight."""
        a, b, c = self[first], self[joint], self[second]
        if a is None or b is None or c is None:
            return None
        return angle_between(a - b, c - b)

    def hand(self, side: str) -> Floats | None:
        """The middle of a hand: beyond the wrist, in line with the forearm. None where one of its ends is not known."""
        elbow, wrist, size = self[f"{side} elbow"], self[f"{side} wrist"], self.size
        if elbow is None or wrist is None or size is None:
            return None
        forearm = LENGTHS["elbow", "wrist"] * size
        return wrist + (wrist - elbow) * min(1.0, forearm / max(1e-6, _norm(wrist - elbow))) * HAND

    def drop(self, upper: str, lower: str) -> float | None:
        """How far `lower` is below `upper` in the image, in trunk lengths."""
        a, b, size = self[upper], self[lower], self.size
        return None if a is None or b is None or size is None else float(b[1] - a[1]) / size

    def apart(self, first: str, second: str) -> float | None:
        """Distance in trunk lengths, in the projection."""
        a, b, size = self[first], self[second], self.size
        return None if a is None or b is None or size is None else float(np.linalg.norm(a - b)) / size


def _norm(vector: Floats) -> float:
    return float(np.linalg.norm(vector))


def angle_between(a: Floats, b: Floats) -> float | None:
    """The angle between two vectors, degrees; None where one of them has no length."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return None
    return math.degrees(math.acos(float(np.clip(np.dot(a, b) / norms, -1, 1))))


def judge(value: float | None, yes: float, no: float) -> bool | None:
    """True beyond `yes`, False beyond `no` on the other side, None between them or where nothing is known."""
    if value is None:
        return None
    if yes > no:
        return True if value >= yes else False if value <= no else None
    return True if value <= yes else False if value >= no else None


def both(*values: bool | None) -> bool | None:
    """And, in three values: one False is enough."""
    if any(value is False for value in values):
        return False
    return None if any(value is None for value in values) else True


def either(*values: bool | None) -> bool | None:
    """Or, in three values: one True is enough."""
    if any(value is True for value in values):
        return True
    return None if any(value is None for value in values) else False


def negated(value: bool | None) -> bool | None:
    return None if value is None else not value
