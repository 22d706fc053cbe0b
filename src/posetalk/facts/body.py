"""One person's keypoints as a body: joints by name, relative lengths, angles; and logic with True, False, None."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posetalk.types import Floats

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
# From the wrist to the middle of the hand, as a share of the forearm; the same source.
HAND = 0.108 / 0.146 / 2
FULL = 0.75  # apparent share of its length from which a part of the body counts as not foreshortened
SIDES = ("left", "right")
OTHER = {"left": "right", "right": "left"}


@dataclass(frozen=True, eq=False)
class Body:
    """The labelled joints of one person.

    points:  name -> (2,) px of the full image; labelled joints, visible or hidden.
    hidden:  labelled joints that are occluded (COCO flag 1).
    missing: joints without a label (COCO flag 0).
    """

    points: dict[str, Floats]
    hidden: frozenset[str]
    missing: frozenset[str]

    @classmethod
    def from_keypoints(cls, keypoints: Floats, visible: Floats, names: Sequence[str]) -> Body:
        """The body of a person: keypoints (k, 2) px, COCO flags (k,), and the k keypoint names."""
        labels = list(zip(names, keypoints, visible, strict=True))
        return cls(
            {name: np.asarray(xy) for name, xy, flag in labels if flag > 0},
            frozenset(name for name, _, flag in labels if flag == 1),
            frozenset(name for name, _, flag in labels if flag <= 0),
        )

    def __getitem__(self, name: str) -> Floats | None:
        return self.points.get(name)

    def middle(self, joint: str) -> Floats | None:
        """The midpoint of the left and the right joint, (2,) px; None if one of them is not labelled."""
        left, right = self[f"left {joint}"], self[f"right {joint}"]
        return None if left is None or right is None else (left + right) / 2

    @cached_property
    def size(self) -> float | None:
        """The trunk's length in px, estimated from the longest limb: projection only ever shortens limbs.

        None if fewer than two lengths are known.
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
        # the longest may be a labelling error; the second longest is rarely much shorter
        if len(implied) < 2:
            return None
        longest, second = sorted(implied, reverse=True)[:2]
        size = min(longest, 1.15 * second)
        return size if size > 1 else None

    @cached_property
    def trunk(self) -> Floats | None:
        """The vector from the hips to the shoulders, (2,) px; of one side if the other is not labelled."""
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
        """Angle of the trunk to the vertical in the image, degrees: 0 upright, 90 horizontal, 180 head down."""
        trunk = self.trunk
        if trunk is None or not trunk.any():
            return None
        return math.degrees(math.atan2(abs(trunk[0]), -trunk[1]))

    @cached_property
    def trunk_share(self) -> float:
        """The trunk's apparent length as a share of its full one; 0 where it is not known."""
        return (
            0.0 if self.trunk is None or self.size is None else float(np.linalg.norm(self.trunk)) / self.size
        )

    @cached_property
    def is_bowed(self) -> bool:
        """Whether the face is as low as the shoulders: a trunk that leans to the camera looks upright."""
        shoulders, size = self.middle("shoulder"), self.size
        face = [p for name in ("nose", "left eye", "right eye") if (p := self[name]) is not None]
        if shoulders is None or size is None or not face:
            return False
        return float(shoulders[1] - np.mean(face, 0)[1]) < 0.15 * size

    @cached_property
    def stands_on_feet(self) -> bool:
        """Whether the feet carry: both legs straight, nothing foreshortened, level feet apart around the hips.

        Feet close together, or apart as in a stride, may hang, leap or walk: then it is not known.
        """
        hips, lean, size = self.middle("hip"), self.lean, self.size
        left, right = self["left ankle"], self["right ankle"]
        if hips is None or lean is None or size is None or left is None or right is None:
            return False
        for side in SIDES:
            knee = self.angle(f"{side} hip", f"{side} knee", f"{side} ankle")
            thigh, shin = (
                self.length(f"{side} {a}", f"{side} {b}") for a, b in (("hip", "knee"), ("knee", "ankle"))
            )
            if knee is None or knee < 155 or thigh is None or thigh < FULL or shin is None or shin < FULL:
                return False
        gap = abs(float(left[0] - right[0])) / size
        near, far = sorted((float(left[0]), float(right[0])))
        return bool(
            lean < 15
            and self.trunk_share > 0.85
            and abs(float(left[1] - right[1])) < 0.12 * size
            and 0.22 < gap < 0.8
            and near - 0.15 * size < hips[0] < far + 0.15 * size
            and min(float(left[1]), float(right[1])) - float(hips[1]) > 1.2 * size
            and not self.looks_striding
        )

    @cached_property
    def looks_striding(self) -> bool:
        """Whether the feet are far apart while the hips look narrow, as for a person who walks past the camera."""
        (hip, other), (ankle, opposite) = (
            [self[f"{side} {joint}"] for side in SIDES] for joint in ("hip", "ankle")
        )
        if hip is None or other is None or ankle is None or opposite is None or self.size is None:
            return False
        return (
            abs(float(hip[0] - other[0])) < 0.25 * self.size
            and abs(float(ankle[0] - opposite[0])) > 0.6 * self.size
        )

    def length(self, first: str, second: str) -> float | None:
        """Length of a limb as a share of the length it would have without foreshortening."""
        a, b, size = self[first], self[second], self.size
        if a is None or b is None or size is None:
            return None
        full_length = LENGTHS[first.split()[1], second.split()[1]] * size
        return float(np.linalg.norm(a - b)) / full_length

    def angle(self, first: str, joint: str, second: str) -> float | None:
        """The angle at a joint in the image, degrees: 180 is straight."""
        a, b, c = self[first], self[joint], self[second]
        if a is None or b is None or c is None:
            return None
        return angle_between(a - b, c - b)

    def hand(self, side: str) -> Floats | None:
        """The middle of a hand, (2,) px, extrapolated along the forearm; None if elbow or wrist is not labelled."""
        elbow, wrist, size = self[f"{side} elbow"], self[f"{side} wrist"], self.size
        if elbow is None or wrist is None or size is None:
            return None
        forearm = LENGTHS["elbow", "wrist"] * size
        return (
            wrist
            + (wrist - elbow) * min(1.0, forearm / max(1e-6, float(np.linalg.norm(wrist - elbow)))) * HAND
        )

    def drop(self, upper: str, lower: str) -> float | None:
        """How far the joint `lower` is below the joint `upper` in the image, in trunk lengths."""
        a, b, size = self[upper], self[lower], self.size
        return None if a is None or b is None or size is None else float(b[1] - a[1]) / size

    def apart(self, first: str, second: str) -> float | None:
        """Distance of two joints in the image, in trunk lengths."""
        a, b, size = self[first], self[second], self.size
        return None if a is None or b is None or size is None else float(np.linalg.norm(a - b)) / size


def angle_between(a: Floats, b: Floats) -> float | None:
    """The angle between two vectors, degrees; None if one of them has length 0."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return None
    return math.degrees(math.acos(float(np.clip(np.dot(a, b) / norms, -1, 1))))


def judge(value: float | None, yes: float, no: float) -> bool | None:
    """True if the value passes the threshold `yes`, False if it passes `no`, None between the two or for None."""
    if value is None:
        return None
    if yes > no:
        return True if value >= yes else False if value <= no else None
    return True if value <= yes else False if value >= no else None


def both(*values: bool | None) -> bool | None:
    """Logical and with None for unknown: False if any is False, None if any is None, else True."""
    if any(value is False for value in values):
        return False
    return None if any(value is None for value in values) else True


def either(*values: bool | None) -> bool | None:
    """Logical or with None for unknown: True if any is True, None if any is None, else False."""
    if any(value is True for value in values):
        return True
    return None if any(value is None for value in values) else False


def negated(value: bool | None) -> bool | None:
    """Logical not; None stays None."""
    return None if value is None else not value
