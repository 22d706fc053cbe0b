"""The facts of the arms: raised, hanging down, stretched out, crossed, on the hips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body, both, either, judge, negated
from posetalk.facts.fact import Fact, make_fact
from posetalk.types import Floats


def arm_facts(body: Body) -> Iterator[Fact]:
    """The facts of each arm and of both; false only where the arm is seen elsewhere."""
    lean = body.lean
    is_upright = lean is not None and lean < 50 and body.trunk_share > 0.6
    raised, spread = [], []
    for side in SIDES:
        wrist = body.drop(f"{side} shoulder", f"{side} wrist") if is_upright else None
        elbow = body.drop(f"{side} shoulder", f"{side} elbow") if is_upright else None
        low = both(judge(wrist, 0.25, 0.2), judge(elbow, 0.3, 0.25))
        up = both(judge(wrist, -0.2, 0.05), judge(elbow, 0.1, 0.3))
        raised.append(True if up else False if low else None)
        yield make_fact(f"{side} arm", "raised", raised[-1], wrist=wrist, elbow=elbow)
        tilt = _tilt(body, side) if is_upright else None
        hangs = both(judge(tilt, 25, 40), judge(wrist, 0.8, 0.6))
        if hangs and not _beside_leg(body, side):
            hangs = None  # it may reach for a handlebar, a table or a lap
        yield make_fact(f"{side} arm", "hanging down", hangs, tilt=tilt, wrist=wrist)
        beside = _sideways_reach(body, side)
        stretched = both(judge(beside, 0.85, 0.6), judge(None if wrist is None else abs(wrist), 0.35, 0.55))
        near = judge(None if beside is None else abs(beside), 0.3, 0.6)
        spread.append(True if stretched else False if near else None)
        yield make_fact(f"{side} arm", "stretched out to the side", spread[-1], beside=beside)
    yield make_fact("arms", "raised", both(*raised))
    yield make_fact("arms", "stretched out to the side", both(*spread))
    yield make_fact("arms", "crossed", _crossed(body))
    yield make_fact("arms", "on the hips", both(*(on_hip(body, side) for side in SIDES)))


def _tilt(body: Body, side: str) -> float | None:
    """The larger angle of upper arm and forearm to straight down, degrees in the image."""
    points = [body[f"{side} {joint}"] for joint in ("shoulder", "elbow", "wrist")]
    if points[0] is None or points[1] is None or points[2] is None:
        return None
    return max(_from_down(points[1] - points[0]), _from_down(points[2] - points[1]))


def _beside_leg(body: Body, side: str) -> bool:
    """Whether the leg of this side is straight below an upright trunk with the hand on its outer side."""
    wrist, hip, shoulder, other, size = (
        body[f"{side} wrist"], body[f"{side} hip"], body[f"{side} shoulder"], body[f"{OTHER[side]} shoulder"], body.size
    )  # fmt: skip
    if wrist is None or hip is None or shoulder is None or size is None or not judge(body.lean, 12, 12.1):
        return False
    if other is not None and abs(shoulder[0] - other[0]) > 0.4 * size:
        outward = np.sign(shoulder[0] - other[0])
        if float((wrist - hip)[0] * outward) < -0.05 * size:
            return False
    return leg_is_straight(body, side)


def leg_is_straight(body: Body, side: str) -> bool:
    """Whether the leg of this side reaches straight down."""
    thigh = body.drop(f"{side} hip", f"{side} knee")
    knee = body.angle(f"{side} hip", f"{side} knee", f"{side} ankle")
    return bool(judge(thigh, 0.6, 0.59) and (knee is None or knee > 150))


def _from_down(vector: Floats) -> float:
    return abs(math.degrees(math.atan2(vector[0], vector[1])))


def _sideways_reach(body: Body, side: str) -> float | None:
    """How far the wrist is outward of its own shoulder, in trunk lengths; None for a body seen from the side."""
    wrist, shoulder, other, size = (
        body[f"{side} wrist"], body[f"{side} shoulder"], body[f"{OTHER[side]} shoulder"], body.size
    )  # fmt: skip
    if wrist is None or shoulder is None or other is None or size is None:
        return None
    if abs(shoulder[0] - other[0]) < 0.3 * size:
        return None
    return float((wrist[0] - shoulder[0]) * np.sign(shoulder[0] - other[0])) / size


def _crossed(body: Body) -> bool | None:
    """Forearms in front of the chest: each wrist at the other elbow, both elbows bent, all above the hips.

    Unknown without hips, because arms that lie on a table look the same.
    """
    conditions: list[bool | None] = []
    for side in SIDES:
        distance = body.apart(f"{side} wrist", f"{OTHER[side]} elbow")
        angle = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
        conditions.append(both(judge(distance, 0.35, 0.6), judge(angle, 110, 140)))
        lowest = max(
            (v for joint in ("elbow", "wrist") if (v := body.drop(f"{side} shoulder", f"{side} {joint}"))),
            default=None,
        )
        hips = body.drop(f"{side} shoulder", f"{side} hip")
        conditions.append(True if lowest is not None and hips is not None and hips - lowest > 0.15 else None)
    return both(*conditions)


def on_hip(body: Body, side: str) -> bool | None:
    """The hand is at its own hip, and the elbow is bent and outside of shoulder and hand."""
    hand, hip, size = body.hand(side), body[f"{side} hip"], body.size
    elbow, wrist, shoulder, other = (
        body[f"{side} elbow"], body[f"{side} wrist"], body[f"{side} shoulder"], body[f"{OTHER[side]} shoulder"]
    )  # fmt: skip
    distance = body.apart(f"{side} wrist", f"{side} hip")
    if judge(distance, 0.8, 0.79):
        return False
    if hand is None or hip is None or elbow is None or wrist is None or shoulder is None or other is None:
        return None
    if size is None or abs(shoulder[0] - other[0]) < 0.4 * size or body.lean is None or body.lean > 15:
        return None
    if not all(leg_is_straight(body, either_side) for either_side in SIDES):
        return None  # a hand in the lap, or swung by a runner
    outward = np.sign(shoulder[0] - other[0])
    elbow_out = min(float((elbow - joint)[0] * outward) for joint in (shoulder, wrist)) / size
    above = float(hip[1] - wrist[1]) / size
    at_hip = either(judge(distance, 0.3, 0.31), judge(float(np.linalg.norm(hand - hip)) / size, 0.25, 0.26))
    angle = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
    shown = both(at_hip, judge(elbow_out, 0.15, 0.1), judge(angle, 125, 126), judge(above, -0.05, -0.06))
    return True if shown and not negated(judge(angle, 50, 45)) else None
