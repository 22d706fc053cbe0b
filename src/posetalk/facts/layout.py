"""How the parts of a body lie to each other in the image: heights, directions, and how the two sides differ.

Only facts that are true are made: each is one of several that exclude each other, or a comparison. All are of joints
that are seen, and of limbs that the projection does not shorten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body
from posetalk.facts.fact import Fact, make_fact
from posetalk.types import Floats

IN_PLANE = 0.7  # apparent share of its length from which a limb has a direction in the image
STEEP, LEVEL = 20.0, 18.0  # degrees off the vertical, and off the horizontal
# Heights of a hand between shoulders (0) and hips (1).
HEIGHTS = (
    ("at shoulder height", -0.15, 0.12),
    ("at chest height", 0.28, 0.58),
    ("at waist height", 0.75, 1.02),
)
HIGHER, ALIKE = 0.4, 0.1  # trunk lengths: one hand is higher, both are at one height
CLOSE, WIDE = 0.22, 1.7  # trunk lengths between the hands
BENT_MORE, BENT_ALIKE = 35.0, 12.0  # degrees between the two elbows, or knees
LEAN = 17.0, 55.0  # degrees between which a trunk leans to a side of the image
LOOKS_DOWN = 22.0  # degrees by which the eye is below the ear of a head that is seen from the side


def layout_facts(body: Body, posture: str, facing: str) -> Iterator[Fact]:
    """The facts of one body.

    Args:
        body: The joints.
        posture: The posture that is known, such as `standing`; empty if none is.
        facing: Where the body faces: `the camera`, `away`, `left` or `right` of the image; empty if it is not known.
    """
    size = body.size
    if size is None:
        return
    for side in SIDES:
        yield from _arm(body, side, facing)
        yield from _leg(body, side)
    yield from _hands(body, size)
    yield from _bends(body)
    yield from _trunk(body, facing)
    yield from _stance(body, size, posture, facing)
    if (down := _looks_down(body, facing)) is not None and down > LOOKS_DOWN:
        yield make_fact("action", "looking down", True, angle=down)


def _seen(body: Body, *names: str) -> list[Floats] | None:
    """The joints, if all are visible."""
    found = [point for name in names if name not in body.hidden and (point := body[name]) is not None]
    return found if len(found) == len(names) else None


def _direction(body: Body, first: str, second: str) -> float | None:
    """Where a limb points, degrees from straight down towards the right of the image, from -180 to 180."""
    ends, length = _seen(body, first, second), body.length(first, second)
    if ends is None or length is None or length < IN_PLANE:
        return None
    along = ends[1] - ends[0]
    return math.degrees(math.atan2(float(along[0]), float(along[1])))


def _is_erect(body: Body) -> bool:
    return body.lean is not None and body.lean < 30 and body.trunk_share > 0.75 and not body.is_bowed


def _leans_less(body: Body, degrees: float) -> bool:
    return body.lean is not None and body.lean < degrees


def _arm(body: Body, side: str, facing: str) -> Iterator[Fact]:
    bend = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
    upper = _direction(body, f"{side} shoulder", f"{side} elbow")
    forearm = _direction(body, f"{side} elbow", f"{side} wrist")
    if forearm is not None and bend is not None and bend < 145:
        if abs(forearm) > 180 - STEEP:
            yield make_fact(f"{side} forearm", "pointing up", True, angle=forearm)
        elif abs(abs(forearm) - 90) < LEVEL:
            to = "right" if forearm > 0 else "left"
            yield make_fact(f"{side} forearm", f"pointing to the {to}", True, angle=forearm)
        if upper is not None and abs(upper) < STEEP:
            yield make_fact(f"{side} upper arm", "hanging down", True, angle=upper)
        elif upper is not None and abs(abs(upper) - 90) < LEVEL:
            yield make_fact(f"{side} upper arm", "level", True, angle=upper)
    elif forearm is not None and bend is not None and bend > 155:
        ahead = {"left": -90.0, "right": 90.0}.get(facing)
        if upper is not None and ahead is not None and max(abs(upper - ahead), abs(forearm - ahead)) < 30:
            yield make_fact(f"{side} arm", "stretched out forward", True, angle=forearm)
        elif upper is not None and min(abs(upper), abs(forearm)) > 155:
            yield make_fact(f"{side} arm", "stretched out upward", True, angle=forearm)
    hand, shoulders, hips = body.hand(side), body.middle("shoulder"), body.middle("hip")
    if (
        hand is None
        or shoulders is None
        or hips is None
        or f"{side} wrist" in body.hidden
        or not _is_erect(body)
    ):
        return
    height = float(hand[1] - shoulders[1]) / float(hips[1] - shoulders[1])
    for predicate, low, high in HEIGHTS:
        if low < height < high and (bend is None or bend < 150 or "shoulder" in predicate):
            yield make_fact(f"{side} hand", predicate, True, height=height)


def _leg(body: Body, side: str) -> Iterator[Fact]:
    thigh = _direction(body, f"{side} hip", f"{side} knee")
    shin = _direction(body, f"{side} knee", f"{side} ankle")
    bend = body.angle(f"{side} hip", f"{side} knee", f"{side} ankle")
    if bend is None or bend > 140:
        return
    if thigh is not None and abs(abs(thigh) - 90) < LEVEL:
        yield make_fact(f"{side} thigh", "level", True, angle=thigh)
    if shin is not None and abs(shin) < STEEP:
        yield make_fact(f"{side} shin", "upright", True, angle=shin)
    elif shin is not None and abs(abs(shin) - 90) < LEVEL:
        yield make_fact(f"{side} shin", "level", True, angle=shin)
    above = body.drop(f"{side} knee", f"{side} hip")
    if (
        above is not None
        and above > 0.15
        and _seen(body, f"{side} knee", f"{side} hip")
        and _leans_less(body, 45)
    ):
        yield make_fact(f"{side} knee", "drawn up", True, above=above)


def _hands(body: Body, size: float) -> Iterator[Fact]:
    left, right = body.hand("left"), body.hand("right")
    if left is None or right is None or _seen(body, "left wrist", "right wrist") is None:
        return
    apart, higher = float(np.linalg.norm(left - right)) / size, float(right[1] - left[1]) / size
    across = _seen(body, "left shoulder", "right shoulder")
    broad = across is not None and abs(float(across[0][0] - across[1][0])) > 0.45 * size
    if apart < CLOSE and broad:
        yield make_fact("hands", "close together", True, apart=apart)
    elif apart > WIDE:
        yield make_fact("hands", "wide apart", True, apart=apart)
    if abs(higher) > HIGHER and _leans_less(body, 40):
        side = "left" if higher > 0 else "right"
        yield make_fact("hands", f"the {side} one higher", True, higher=abs(higher))
    elif abs(higher) < ALIKE and apart > 0.4 and _leans_less(body, 40):
        yield make_fact("hands", "at one height", True, higher=higher)


def _bends(body: Body) -> Iterator[Fact]:
    for joint, upper, lower in (("elbow", "shoulder", "wrist"), ("knee", "hip", "ankle")):
        angles = []
        for side in SIDES:
            ends = f"{side} {upper}", f"{side} {joint}", f"{side} {lower}"
            lengths = [body.length(*ends[:2]), body.length(*ends[1:])]
            angle = body.angle(*ends)
            if angle is None or any(v is None or v < IN_PLANE for v in lengths) or _seen(body, *ends) is None:
                break
            angles.append(angle)
        if len(angles) < 2 or min(angles) > 140:
            continue
        more = angles[1] - angles[0]
        if abs(more) > BENT_MORE:
            side = "left" if more > 0 else "right"
            yield make_fact(f"{joint}s", f"the {side} one bent more", True, more=abs(more))
        elif abs(more) < BENT_ALIKE:
            yield make_fact(f"{joint}s", "bent alike", True, more=more)


def _trunk(body: Body, facing: str) -> Iterator[Fact]:
    trunk, lean = body.trunk, body.lean
    if trunk is None or lean is None or body.middle("shoulder") is None or body.middle("hip") is None:
        return
    if LEAN[0] < lean < LEAN[1] and body.trunk_share > 0.75:
        to = "right" if trunk[0] > 0 else "left"
        yield make_fact("trunk", f"leaning {to}", True, lean=lean)
        if facing in ("left", "right"):
            yield make_fact(
                "trunk", "leaning forward" if to == facing else "leaning backward", True, lean=lean
            )
    line = _seen(body, "left shoulder", "right shoulder")
    if line is not None and facing in ("the camera", "away") and lean < 35:
        across = line[0] - line[1]
        tilt = math.degrees(math.atan2(float(across[1]), abs(float(across[0]))))
        if 13 < abs(tilt) < 50:
            side = "left" if tilt > 0 else "right"
            yield make_fact("shoulders", f"the {side} one lower", True, tilt=abs(tilt))


def _stance(body: Body, size: float, posture: str, facing: str) -> Iterator[Fact]:
    """Knees and feet of a body that is seen from the front or from behind; a lunge of one seen from the side."""
    hips, ankles = _seen(body, "left hip", "right hip"), _seen(body, "left ankle", "right ankle")
    knees = _seen(body, "left knee", "right knee")
    bends = [body.angle(f"{s} hip", f"{s} knee", f"{s} ankle") for s in SIDES]
    if facing in ("the camera", "away") and knees is not None and hips is not None:
        gap = float(np.linalg.norm(knees[0] - knees[1])) / size
        if gap > 0.95:
            yield make_fact("knees", "wide apart", True, gap=gap)
        elif gap < 0.22:
            yield make_fact("knees", "close together", True, gap=gap)
    known = [bend for bend in bends if bend is not None]
    if hips is None or ankles is None or len(known) < 2:
        return
    gap, level = (abs(float(v)) / size for v in ankles[0] - ankles[1])
    shoulders = _seen(body, "left shoulder", "right shoulder")
    if posture == "standing" and facing in ("the camera", "away") and level < 0.15 and shoulders is not None:
        width = abs(float(shoulders[0][0] - shoulders[1][0])) / size
        if width > 0.5 and 0.8 < gap / width < 1.25 and min(known) > 150:
            yield make_fact("feet", "as far apart as the shoulders", True, gap=gap)
        middle = (hips[0] + hips[1]) / 2
        for side, ankle, other, bend in zip(SIDES, ankles, ankles[::-1], known, strict=True):
            away = abs(float(other[0] - middle[0])) / size
            if abs(float(ankle[0] - middle[0])) / size < 0.12 and away > 0.4 and bend > 160:
                yield make_fact("body", f"weight on the {side} leg", True, away=away)
    narrow = abs(float(hips[0][0] - hips[1][0])) / size < 0.3
    if facing in ("left", "right") and narrow and gap > 1.1 and level < 0.25:
        front = max(SIDES, key=lambda s: float(ankles[SIDES.index(s)][0]) * (1 if facing == "right" else -1))
        bent, rear = known[SIDES.index(front)], known[SIDES.index(OTHER[front])]
        if 70 < bent < 130 and rear > 145:
            yield make_fact("action", "lunging", True, gap=gap)


def _looks_down(body: Body, facing: str) -> float | None:
    """How far a head that is seen from the side is bent down: the slope from ear to eye, degrees; else None."""
    if facing not in ("left", "right") or not _is_erect(body):
        return None
    ear = next((p for s in SIDES if (p := _seen(body, f"{s} ear", f"{s} eye")) is not None), None)
    if ear is None or body.size is None:
        return None
    ahead = float(ear[1][0] - ear[0][0]) * (1 if facing == "right" else -1)
    if ahead < 0.1 * body.size:
        return None
    return math.degrees(math.atan2(float(ear[1][1] - ear[0][1]), ahead))
