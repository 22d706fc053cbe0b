"""Which part of a person's body a place in the image belongs to, and where on that part it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from posetalk.describe.figure import Figure, unit
from posetalk.describe.parts import NamedPoint, Region, Segment, parts
from posetalk.facts.body import OTHER, SIDES
from posetalk.types import Floats

Across = Literal["outer", "inner", "front", "back", "upper", "lower", ""]

# All lengths are in trunk lengths. Chosen on coco_people train2017, see runs/describe_round_trip.py.
ON_BODY = 1.2  # the largest cost of a place that is on a person
JOINT_SHARE = 0.15  # of a limb, next to a joint, that is called by the joint
EDGE = 0.4  # of a limb's radius, from which a place is at its side
ARM_FIRST = 0.15  # taken off the cost of an arm, which mostly is in front of the trunk
HIDDEN = 0.4  # added to the cost of a limb whose ends are hidden
FLAT = 0.8  # the cost of a place inside trunk and head, where nothing says how far the edge is
NECK_LAST = 0.05  # added to the cost of a neck
JOINT_FIRST = 0.1  # taken off the distance of a joint among named points
FACE_FIRST = 0.05  # the same for the joints of the head
BETWEEN = 0.08  # from this distance of the nearest named point on, a place is between two
THICK = {"head": 0.24, "neck": 0.16, "hand": 0.12, "foot": 0.12}
HAND, FOOT = 0.28, 0.2  # the lengths of a hand and a foot beyond wrist and ankle
OF_REGION = {
    "trunk": ("shoulder", "hip"),
    "hand": ("wrist",),
    "foot": ("ankle",),
    "head": ("nose", "eye", "ear"),
}


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


def places(figure: Figure, xy: Floats) -> list[Place]:
    """The places of a person's body that a point in the image may be, the likeliest first.

    Args:
        figure: The person.
        xy: (2,) px of the full image.
    """
    found = [*_on_limbs(figure, xy), *_in_regions(figure, xy)]
    return sorted(found, key=lambda place: place.cost)


def _on_limbs(figure: Figure, xy: Floats) -> Iterator[Place]:
    for limb in parts().limbs:
        for side in SIDES:
            names = tuple(f"{side} {joint}" for joint in limb.ends)
            start, end = (figure.body[name] for name in names)
            if start is None or end is None:
                continue
            share, distance = _along(xy, start, end)
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


def _along(xy: Floats, start: Floats, end: Floats) -> tuple[float, float]:
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


def _in_regions(figure: Figure, xy: Floats) -> Iterator[Place]:
    if figure.trunk is not None:
        cost = FLAT + figure.trunk.outside(xy) / (0.2 * figure.size)
        yield from _named(figure, "trunk", "", xy, cost)
    lines: list[tuple[Region, str, Floats, Floats]] = []
    shoulders = figure.body.middle("shoulder")
    by_name = {point.name: point for point in parts().points}
    top, chin = figure.place(by_name["head top"]), figure.place(by_name["chin"])
    if top is not None and chin is not None:
        lines.append(("head", "", chin + (top - chin) * 0.2, top))
        if shoulders is not None:
            lines.append(("neck", "", shoulders, chin))
    for side in SIDES:
        for region, first, last, length, tip in (
            ("hand", "elbow", "wrist", HAND, "tip of the {} middle finger"),
            ("foot", "knee", "ankle", FOOT, "{} big toe"),
        ):
            before, start = figure.body[f"{side} {first}"], figure.body[f"{side} {last}"]
            end = figure.located.get(tip.format(side))
            if start is None:
                continue
            if end is None and before is not None and (onward := unit(start - before)) is not None:
                end = start + onward * length * figure.size
            if end is not None:
                lines.append((region, side, start, end))  # type: ignore[arg-type]
            heel = figure.located.get(f"{side} heel")
            if region == "foot" and heel is not None and end is not None:
                lines.append(("foot", side, heel, end))
    for region, side, start, end in lines:
        _, distance = _along(xy, start, end)
        cost = distance / (THICK[region] * figure.size)
        if not side:  # a neck gives way to the head and the trunk
            cost = max(cost, FLAT) + (NECK_LAST if region == "neck" else 0.0)
        cost -= ARM_FIRST if region == "hand" else 0.0
        if side and f"{side} {OF_REGION[region][0]}" in figure.body.hidden:
            cost += HIDDEN
        yield from _named(figure, region, side, xy, cost)


def _named(figure: Figure, region: Region, side: str, xy: Floats, cost: float) -> Iterator[Place]:
    """The named place of a region that is nearest, or the two that a place is between."""
    candidates: list[tuple[float, str, str, Floats, NamedPoint | None]] = []
    for joint in OF_REGION.get(region, ()):
        for own in ("",) if joint == "nose" else (side,) if side else SIDES:
            name = f"{own} {joint}".strip()
            if (at := figure.body[name]) is not None and not (
                region == "head" and figure.facing == "back" and joint != "ear"
            ):
                distance = float(np.linalg.norm(xy - at))
                first = FACE_FIRST if region == "head" else JOINT_FIRST
                candidates.append((distance - first * figure.size, joint, own, at, None))
    for point in figure.points(region):
        if side and point.side != side:
            continue
        if (at := figure.place(point)) is not None:
            distance = float(np.linalg.norm(xy - at))
            candidates.append((distance, point.said, point.side, at, point))
    if not candidates:
        return
    candidates.sort(key=lambda row: row[0])
    _, part, own, at, named = candidates[0]
    used: tuple[str, ...] = (named.name if named else f"{own} {part}".strip(),)
    between = None
    distance = float(np.linalg.norm(xy - at))
    if distance > BETWEEN * figure.size and region in ("trunk", "head"):
        between = _other_end(figure, xy, at, candidates)
        used += (between[2],) if between else ()
    yield Place(
        cost, part, own, region, used, point=named, between=between and between[:2], distance=distance
    )


def _other_end(
    figure: Figure,
    xy: Floats,
    at: Floats,
    candidates: list[tuple[float, str, str, Floats, NamedPoint | None]],
) -> tuple[str, str, str] | None:
    """The second named place, so that a place is on the line between both: its part, side and keypoint."""
    best: tuple[float, tuple[str, str, str]] | None = None
    _, _, first, _, nearest = candidates[0]
    for _, part, own, other, point in candidates[1:]:
        surfaces = {named.seen for named in (nearest, point) if named}
        if {first, own} == {"left", "right"} or surfaces >= {"front", "back"}:
            continue
        share, off = _along(xy, at, other)
        length = float(np.linalg.norm(other - at))
        if 0.25 < share < 0.75 and off < 0.06 * figure.size and length < 0.6 * figure.size:
            name = point.name if point else f"{own} {part}".strip()
            if best is None or length < best[0]:
                best = (length, (part, own, name))
    return best and best[1]


def other_side(place: Place, found: list[Place]) -> Place | None:
    """The same part of the other side, if the place may as well be there."""
    for other in found:
        if place.side and other.part == place.part and other.side == OTHER[place.side]:
            return other
    return None
