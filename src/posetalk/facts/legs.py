"""The facts of feet and legs: lifted, level, together, apart, crossed, in a stride."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body, both, either, judge
from posetalk.facts.fact import Fact, make_fact


def leg_facts(body: Body) -> Iterator[Fact]:
    """The facts of feet and legs; false only where the opposite is seen."""
    yield from _feet(body)
    yield from _legs(body)


def _feet(body: Body) -> Iterator[Fact]:
    """A foot is lifted if it is much higher than the other and its shin does not reach down.

    A foot that is only higher may stand on a step, or further away, or the camera may be tilted.
    """
    higher = body.drop("left ankle", "right ankle")  # above 0: the left is higher
    lean = body.lean
    if lean is None or lean > 30:
        higher = None
    for side, sign in (("left", 1), ("right", -1)):
        above = None if higher is None else sign * higher
        shin = body.drop(f"{side} knee", f"{side} ankle")
        knee = body.angle(f"{side} hip", f"{side} knee", f"{side} ankle")
        drawn_up = either(judge(shin, 0.45, 0.46), both(judge(above, 0.7, 0.69), judge(knee, 120, 121)))
        # the other leg reaches down: a foot of somebody who sits may be on a step
        other = body.angle(f"{OTHER[side]} hip", f"{OTHER[side]} knee", f"{OTHER[side]} ankle")
        reaches = both(
            judge(other, 130, 129), judge(body.drop(f"{OTHER[side]} hip", f"{OTHER[side]} ankle"), 1.0, 0.9)
        )
        lifted = True if both(judge(above, 0.4, 0.15), judge(knee, 140, 141), drawn_up, reaches) else None
        yield make_fact(
            f"{side} foot",
            "lifted",
            False if body.stands_on_feet else lifted,
            higher=higher,
            shin=shin,
            knee=knee,
        )
    level = judge(None if higher is None else abs(higher), 0.12, 0.4)
    yield make_fact("feet", "on one line", level, higher=higher)


def _legs(body: Body) -> Iterator[Fact]:
    gap, order = _ankles(body)
    hips, size = [body[f"{side} hip"] for side in SIDES], body.size
    knees = [body.angle(f"{s} hip", f"{s} knee", f"{s} ankle") for s in SIDES]
    wide = None
    if hips[0] is not None and hips[1] is not None and size is not None:
        wide = abs(float(hips[0][0] - hips[1][0])) / size
    frontal = judge(wide, 0.3, 0.15)
    near = judge(gap, 0.2, 0.4)
    straight = both(*(judge(knee, 140, 120) for knee in knees))
    knees_apart = body.apart("left knee", "right knee")
    together = both(near, straight, judge(knees_apart, 0.3, 0.5))
    yield make_fact("legs", "together", together if near is not False else False, gap=gap)
    apart = both(judge(gap, 0.7, 0.45), judge(order, 0.7, 0.4), frontal, straight)
    yield make_fact("legs", "apart", True if apart else False if both(near, straight) else None, gap=gap)
    yield make_fact("legs", "crossed", _crossed(body, order, knees), order=order)
    bends = both(*(judge(knee, 100, 99) for knee in knees))
    stride = both(judge(gap, 0.7, 0.45), judge(wide, 0.15, 0.3), bends)
    yield make_fact(
        "legs", "in a stride", True if stride else False if both(near, straight) else None, gap=gap
    )


def _ankles(body: Body) -> tuple[float | None, float | None]:
    """How far the ankles are apart along x, and with the sign of the hips' order, in trunk lengths."""
    ankles, hips = ([body[f"{side} {joint}"] for side in SIDES] for joint in ("ankle", "hip"))
    lean, size = body.lean, body.size
    if ankles[0] is None or ankles[1] is None or size is None or lean is None or lean >= 50:
        return None, None
    across = float(ankles[0][0] - ankles[1][0]) / size
    if hips[0] is None or hips[1] is None:
        return abs(across), None
    return abs(across), across * float(np.sign(hips[0][0] - hips[1][0]))


def _crossed(body: Body, order: float | None, knees: list[float | None]) -> bool | None:
    """Ankles on each other's side: of folded legs, or of straight ones that stand. A stride crosses them as well."""
    if body.stands_on_feet and order is not None and order > 0:
        return False
    if any(f"{side} {joint}" in body.hidden for side in SIDES for joint in ("knee", "ankle")):
        return None
    folded = both(judge(order, -0.3, -0.29), *(judge(knee, 110, 111) for knee in knees))
    feet = body.drop("left ankle", "right ankle")
    level = judge(None if feet is None else abs(feet), 0.1, 0.11)
    upright = both(
        judge(order, -0.2, -0.19), *(judge(k, 165, 164) for k in knees), level, judge(body.lean, 10, 11)
    )
    return True if either(folded, upright) and _looks_broad(body) else None


def _looks_broad(body: Body) -> bool | None:
    """True if the shoulders look so broad that the body is not seen from the side, else None."""
    left, right, size = body["left shoulder"], body["right shoulder"], body.size
    across = None if left is None or right is None or size is None else abs(float(left[0] - right[0])) / size
    return True if judge(across, 0.4, 0.2) else None
