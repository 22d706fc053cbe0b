"""A place on a person's body, and places on limbs: how far along, and at which side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from posetalk.describe.figure import Figure, unit
from posetalk.describe.parts import NamedPoint, Segment, parts
from posetalk.facts.body import SIDES
from posetalk.types import Floats

Across = Literal["outer", "inner", "front", "back", "upper", "lower", ""]

# All lengths are in trunk lengths. Chosen on coco_people train2017, see runs/describe_round_trip.py.
ON_BODY = 1.2  # the largest cost of a place that is on a person
JOINT_SHARE = 0.15  # of a limb, next to a joint, that is called by the joint
EDGE = 0.4  # of a limb's radius, from which a place is at its side
ARM_FIRST = 0.15  # taken off the cost of an arm, which mostly is in front of the trunk
HIDDEN = 0.4  # added to the cost of a limb whose ends are hidden


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a person's body.

    cost:     How far it is from the middle of the part, 1 at the part's edge; lower is surer.
    part:     The part without side: `forearm`, `elbow`, `navel`.
    side:     `left`, `right`, or nothing.
    region:   `limb`, or where the part is.
    uses:     The keypoints that it was decided by.
    limb:     The limb, for a place on one.
    share:    How far along the limb, 0 at the joint nearer to the trunk; None elsewhere.
    across:   At which side of the limb; empty in its middle, or where that is not known.
    point:    The named point, if it is one.
    between:  A second named place: then it is between the two.
    distance: From the named place, or the middle line of the limb, px.
    """

    cost: float
    part: str
    side: str
    region: str
    uses: tuple[str, ...]
    limb: Segment | None = None
    share: float | None = None
    across: Across = ""
    point: NamedPoint | None = None
    between: tuple[str, str] | None = None
    distance: float = 0.0


def on_limbs(figure: Figure, xy: Floats) -> Iterator[Place]:
    """The place as one of each limb that is known, or of the joint at its end. xy: (2,) px of the full image."""
    for limb in parts().limbs:
        for side in SIDES:
            names = tuple(f"{side} {joint}" for joint in limb.ends)
            start, end = (figure.body[name] for name in names)
            if start is None or end is None:
                continue
            share, distance = along(xy, start, end)
            cost = distance / (limb.radius * figure.size)
            cost -= ARM_FIRST if limb.is_arm else 0.0
            cost += HIDDEN if all(name in figure.body.hidden for name in names) else 0.0
            joint = 0 if share < JOINT_SHARE else 1 if share > 1 - JOINT_SHARE else None
            if joint is not None:
                point = start if joint == 0 else end
                yield Place(
                    cost, limb.ends[joint], side, "joint", (names[joint],),
                    distance=float(np.linalg.norm(xy - point)),
                )  # fmt: skip
                continue
            word = {"front": limb.front, "back": limb.back}.get(figure.facing or "", limb.name)
            across = _across(figure, limb, side, xy, start, end)
            yield Place(cost, word, side, "limb", names, limb, share, across, distance=distance)


def along(xy: Floats, start: Floats, end: Floats) -> tuple[float, float]:
    """How far along a segment a place is, and its distance from the segment in px."""
    line = end - start
    length2 = float(line @ line)
    share = float((xy - start) @ line) / length2 if length2 > 1e-9 else 0.5
    nearest = start + line * min(max(share, 0.0), 1.0)
    return share, float(np.linalg.norm(xy - nearest))


def _across(figure: Figure, limb: Segment, side: str, xy: Floats, start: Floats, end: Floats) -> Across:
    """At which side of a limb a place is, as far as the trunk's direction and facing say that."""
    direction = unit(end - start)
    if direction is None:
        return ""
    right = np.array([-direction[1], direction[0]])  # of somebody who looks along the limb
    offset = float((xy - start) @ right) / (limb.radius * figure.size)
    if abs(offset) < EDGE:
        return ""
    down = np.array([0.0, 1.0]) if figure.trunk is None else figure.trunk.down
    turned = float(direction @ down)
    if turned > 0.35:  # hanging: at most 70 degrees off the trunk
        match figure.facing:
            case "front" | "back":
                # of a hanging left limb seen from the front the outer side is to the right in the image
                outer = -1.0 if (side == "left") == (figure.facing == "front") else 1.0
                return "outer" if offset * outer > 0 else "inner"
            case "left" | "right":
                ahead = 1.0 if figure.facing == "left" else -1.0
                return "front" if offset * ahead > 0 else "back"
            case _:
                return ""
    if abs(direction[0]) > 0.8:  # level in the image
        return "upper" if (right * offset)[1] < 0 else "lower"
    return ""
