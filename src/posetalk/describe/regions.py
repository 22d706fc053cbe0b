"""Places on head, neck, trunk, hands and feet: the nearest named point, or the two that a place lies between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from posetalk.describe.figure import Figure, unit
from posetalk.describe.parts import NamedPoint, Region, Seen, parts
from posetalk.describe.place import ARM_FIRST, HIDDEN, Place, along, on_limbs
from posetalk.facts.body import SIDES
from posetalk.types import Floats

# All lengths are in trunk lengths. Chosen on coco_people train2017, see runs/describe_round_trip.py.
FLAT = 0.8  # the cost of a place inside trunk and head, where nothing says how far the edge is
NECK_FIRST = 0.05  # taken off that for a place inside the neck
# Taken off the distance of a joint among the named points of a region.
JOINT_FIRST = {"trunk": 0.08, "head": 0.05, "neck": 0.0, "hand": 0.03, "foot": 0.03}
BETWEEN = 0.12  # from this distance of the nearest named point on, a place is between two
BESIDE = 0.06  # how far off the line of the two it may be
APART = 0.6  # how far apart the two may be
EDGE = 0.2  # the distance outside the trunk at which its cost has grown by 1
THICK = {"head": 0.24, "neck": 0.12, "hand": 0.12, "foot": 0.2}
HAND, FOOT = 0.28, 0.2  # the lengths of a hand and a foot beyond wrist and ankle
JOINTS = {
    "trunk": ("shoulder", "hip"),
    "hand": ("wrist",),
    "foot": ("ankle",),
    "head": ("nose", "eye", "ear"),
    "neck": (),
}


@dataclass(frozen=True, slots=True)
class _Named:
    """A named place of a region. rank: its distance from the point in question, less what is taken off."""

    rank: float
    part: str
    side: str
    at: Floats
    point: NamedPoint | None = None

    @property
    def keypoint(self) -> str:
        return self.point.name if self.point else f"{self.side} {self.part}".strip()

    @property
    def seen(self) -> Seen:
        return self.point.seen if self.point else ""


def places(figure: Figure, xy: Floats) -> list[Place]:
    """The places of a person's body that a point in the image may be, the likeliest first.

    Args:
        figure: The person.
        xy: (2,) px of the full image.
    """
    found = [*on_limbs(figure, xy), *_in_regions(figure, xy)]
    return sorted(found, key=lambda place: place.cost)


def _in_regions(figure: Figure, xy: Floats) -> Iterator[Place]:
    if figure.trunk is not None:
        cost = FLAT + figure.trunk.outside(xy) / (EDGE * figure.size)
        yield from _place(figure, "trunk", "", xy, cost)
    for region, side, start, end in _lines(figure):
        cost = along(xy, start, end)[1] / (THICK[region] * figure.size)
        match region:
            case "head":
                cost = max(cost, FLAT)
            case "neck":
                cost = max(cost, FLAT - NECK_FIRST)
            case _:
                cost += HIDDEN if f"{side} {JOINTS[region][0]}" in figure.body.hidden else 0.0
                cost -= ARM_FIRST if region == "hand" else 0.0
        yield from _place(figure, region, side, xy, cost)


def _lines(figure: Figure) -> Iterator[tuple[Region, str, Floats, Floats]]:
    """The middle lines of the regions but the trunk, with their sides, px."""
    shoulders = figure.body.middle("shoulder")
    named = {point.name: point for point in parts().points}
    top, chin = figure.place(named["head top"]), figure.place(named["chin"])
    if top is not None and chin is not None:
        yield "head", "", chin + (top - chin) * 0.2, top
        if shoulders is not None:
            yield "neck", "", shoulders + (chin - shoulders) * 0.25, chin
    for side in SIDES:
        wrist, ankle = figure.body[f"{side} wrist"], figure.body[f"{side} ankle"]
        fingers = figure.located.get(f"tip of the {side} middle finger")
        if wrist is not None and (end := _end(figure, f"{side} elbow", wrist, HAND, fingers)) is not None:
            yield "hand", side, wrist, end
        toes, heel = figure.located.get(f"{side} big toe"), figure.located.get(f"{side} heel")
        if ankle is not None and (end := _end(figure, f"{side} knee", ankle, FOOT, toes)) is not None:
            yield "foot", side, ankle, end
            if heel is not None:
                yield "foot", side, heel, end


def _end(figure: Figure, before: str, joint: Floats, length: float, located: Floats | None) -> Floats | None:
    """The end of a hand or foot: as located, else onwards from the joint before."""
    start = figure.body[before]
    if located is not None or start is None or (onward := unit(joint - start)) is None:
        return located
    return np.asarray(joint + onward * length * figure.size)


def _place(figure: Figure, region: Region, side: str, xy: Floats, cost: float) -> Iterator[Place]:
    """The named place of a region that is nearest, or the two that a place is between."""
    candidates = sorted(_candidates(figure, region, side, xy), key=lambda named: named.rank)
    if not candidates:
        return
    nearest = candidates[0]
    distance = float(np.linalg.norm(xy - nearest.at))
    other = None
    if distance > BETWEEN * figure.size and region in ("trunk", "head"):
        other = _other_end(figure, xy, candidates)
    yield Place(
        cost,
        nearest.part,
        nearest.side,
        region,
        (nearest.keypoint, other.keypoint) if other else (nearest.keypoint,),
        point=nearest.point,
        between=(other.part, other.side) if other else None,
        distance=distance,
    )


def _candidates(figure: Figure, region: Region, side: str, xy: Floats) -> Iterator[_Named]:
    for joint in JOINTS[region]:
        if figure.facing == "back" and joint in ("nose", "eye"):
            continue
        for own in ("",) if joint == "nose" else (side,) if side else SIDES:
            if (at := figure.body[f"{own} {joint}".strip()]) is not None:
                rank = float(np.linalg.norm(xy - at)) - JOINT_FIRST[region] * figure.size
                yield _Named(rank, joint, own, at)
    near = figure.points("head") if region == "neck" else []
    for point in (*figure.points(region), *near):
        if side in ("", point.side) and (at := figure.place(point)) is not None:
            yield _Named(float(np.linalg.norm(xy - at)), point.said, point.side, at, point)


def _other_end(figure: Figure, xy: Floats, candidates: list[_Named]) -> _Named | None:
    """The named place nearest to the first of `candidates` so that a place is about halfway between both."""
    nearest = candidates[0]
    best: tuple[float, _Named] | None = None
    for other in candidates[1:]:
        if {nearest.side, other.side} == {"left", "right"} or {nearest.seen, other.seen} == {"front", "back"}:
            continue
        share, beside = along(xy, nearest.at, other.at)
        length = float(np.linalg.norm(other.at - nearest.at))
        if 0.25 < share < 0.75 and beside < BESIDE * figure.size and length < APART * figure.size:
            best = (length, other) if best is None or length < best[0] else best
    return best and best[1]
