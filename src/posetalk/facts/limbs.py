"""The facts of arms and legs: how they bend, where hands and feet are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body, both, judge, negated
from posetalk.facts.fact import Fact, make_fact
from posetalk.types import Floats

BENDS = ("straight", "slightly bent", "bent at a right angle", "sharply bent")
HANDS = (
    "above the head",
    "at the face",
    "at the shoulder",
    "at the chest",
    "at the hip",
    "at the knee",
    "below the hip",
)
IN_PLANE = 0.75  # share of its length from which a limb counts as not foreshortened
NEAR = 0.3  # trunk lengths: a hand is at something


def limb_facts(body: Body) -> Iterator[Fact]:
    """Of elbows and knees, hands, arms, feet and legs."""
    for part in (_bends, _hands, _arms, _feet, _legs):
        yield from part(body)


def _bends(body: Body) -> Iterator[Fact]:
    for joint, upper, lower in (("elbow", "shoulder", "wrist"), ("knee", "hip", "ankle")):
        for side in SIDES:
            ends = f"{side} {upper}", f"{side} {joint}", f"{side} {lower}"
            angle = body.angle(*ends)
            whole = [body.length(*ends[:2]), body.length(*ends[1:])]
            flat = None if None in whole else min(v for v in whole if v is not None) >= IN_PLANE
            numbers = {} if angle is None else {"angle": angle}
            # What bends in the projection bends; how much, and whether a straight line is one, only flat limbs tell.
            flat = True if flat else None
            bent = judge(angle, 150, 162)
            yield make_fact(
                f"{side} {joint}", "straight", False if bent else both(flat, negated(bent)), numbers
            )
            for says, low, high in ((BENDS[1], 120, 150), (BENDS[2], 75, 110), (BENDS[3], 0, 65)):
                inside = both(
                    judge(angle, low + 5, low - 10) if low else True, judge(angle, high - 5, high + 10)
                )
                yield make_fact(
                    f"{side} {joint}",
                    says,
                    both(flat, inside) if inside is not False else False if flat else None,
                    numbers,
                )


def _hands(body: Body) -> Iterator[Fact]:
    """Where the hands are. Depth is not seen: `at` is said of the picture.

    A hand is at something where its middle is, and not merely its wrist: a wrist near the shoulder belongs to a hand at
    the mouth more often than to one at the shoulder.
    """
    lean, size = body.lean, body.size
    up = lean is not None and lean < 50
    face = _face(body)
    hips = body.middle("hip")
    for side in SIDES:
        wrist, hand = body[f"{side} wrist"], body.hand(side)
        near = {
            where: (_nearest(hand, spots, size), _nearest(wrist, spots, size))
            for where, spots in _places(body, up).items()
        }
        found: dict[str, tuple[bool | None, float | None]] = {}
        closest = min((value for value, _ in near.values() if value is not None), default=None)
        for where, (value, of_wrist) in near.items():
            holds = judge(value if value is not None else of_wrist, NEAR, 0.5)
            if holds and (value != closest or hand is None):
                holds = None
            if holds is False and (of_wrist is None or of_wrist < 0.5):
                holds = None
            if holds and where in ("at the shoulder", "at the chest") and not _clear_of(hand, face, size):
                holds = None
            found[where] = holds, value if value is not None else of_wrist
        above = below = None
        if wrist is not None and size is not None and up:
            above = (min(float(p[1]) for p in face) - float(wrist[1])) / size if face else None
            below = None if hips is None else float(wrist[1] - hips[1]) / size
        found["above the head"] = judge(above, 0.25, 0.0), above
        found["below the hip"] = judge(below, 0.15, -0.05), below
        for where in HANDS:
            holds, distance = found[where]
            yield make_fact(f"{side} hand", where, holds, distance=distance)


def _face(body: Body) -> list[Floats]:
    names = ("nose", "left eye", "right eye", "left ear", "right ear")
    return [body.points[name] for name in names if name in body.points]


def _places(body: Body, up: bool) -> dict[str, list[Floats]]:
    """Where a hand may be: the spots of each place; none where the place is not known."""
    face, shoulders, hips = _face(body), body.middle("shoulder"), body.middle("hip")
    found: dict[str, list[Floats]] = {"at the face": [np.mean(face, 0)] if face else []}
    for joint in ("shoulder", "hip", "knee"):
        found[f"at the {joint}"] = [p for s in SIDES if (p := body[f"{s} {joint}"]) is not None]
    found["at the chest"] = []
    if up and shoulders is not None and hips is not None:
        found["at the chest"] = [shoulders + 0.3 * (hips - shoulders)]
    return found


def _nearest(point: Floats | None, spots: list[Floats], size: float | None) -> float | None:
    """In trunk lengths."""
    if point is None or size is None or not spots:
        return None
    return min(float(np.linalg.norm(point - spot)) for spot in spots) / size


def _clear_of(hand: Floats | None, face: list[Floats], size: float | None) -> bool:
    """Whether a hand is surely not at the face."""
    away = _nearest(hand, face, size)
    return away is not None and away > 0.36


def _arms(body: Body) -> Iterator[Fact]:
    lean = body.lean
    up = lean is not None and lean < 50
    raised, spread = [], []
    for side in SIDES:
        wrist = body.drop(f"{side} shoulder", f"{side} wrist") if up else None
        elbow = body.drop(f"{side} shoulder", f"{side} elbow") if up else None
        raised.append(both(judge(wrist, -0.2, 0.05), judge(elbow, 0.1, 0.3)))
        yield make_fact(f"{side} arm", "raised", raised[-1], wrist=wrist, elbow=elbow)
        down = both(judge(wrist, 0.8, 0.6), judge(elbow, 0.4, 0.25))
        yield make_fact(f"{side} arm", "hanging down", down, wrist=wrist, elbow=elbow)
        away = _beside(body, side)
        spread.append(both(judge(away, 0.85, 0.6), judge(None if wrist is None else abs(wrist), 0.35, 0.55)))
        yield make_fact(f"{side} arm", "stretched out to the side", spread[-1], beside=away)
    yield make_fact("arms", "raised", both(*raised))
    yield make_fact("arms", "stretched out to the side", both(*spread))
    yield make_fact("arms", "crossed", _crossed(body))
    yield make_fact("arms", "on the hips", both(*(_on_hip(body, side) for side in SIDES)))


def _beside(body: Body, side: str) -> float | None:
    """How far the wrist is outside its own shoulder, away from the other one, in trunk lengths."""
    wrist, shoulder, other, size = (
        body[f"{side} wrist"], body[f"{side} shoulder"], body[f"{OTHER[side]} shoulder"], body.size
    )  # fmt: skip
    if wrist is None or shoulder is None or other is None or size is None:
        return None
    if abs(shoulder[0] - other[0]) < 0.3 * size:
        return None  # seen from the side, there is no outside
    return float((wrist[0] - shoulder[0]) * np.sign(shoulder[0] - other[0])) / size


def _crossed(body: Body) -> bool | None:
    """Forearms before the chest: each wrist at the other arm's elbow, both bent, all of it above the hips.

    Where hips are not seen, arms that lie on a table look the same.
    """
    found: list[bool | None] = []
    for side in SIDES:
        near = body.apart(f"{side} wrist", f"{OTHER[side]} elbow")
        angle = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
        found.append(both(judge(near, 0.35, 0.6), judge(angle, 110, 140)))
        low = max(
            (v for joint in ("elbow", "wrist") if (v := body.drop(f"{side} shoulder", f"{side} {joint}"))),
            default=None,
        )
        hips = body.drop(f"{side} shoulder", f"{side} hip")
        found.append(True if low is not None and hips is not None and hips - low > 0.15 else None)
    return both(*found)


def _on_hip(body: Body, side: str) -> bool | None:
    near = body.apart(f"{side} wrist", f"{side} hip")
    angle = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
    elbow, wrist, shoulder = (body[f"{side} {joint}"] for joint in ("elbow", "wrist", "shoulder"))
    out: bool | None = None
    other, size = body[f"{OTHER[side]} shoulder"], body.size
    if (
        elbow is not None
        and wrist is not None
        and shoulder is not None
        and other is not None
        and size is not None
    ):
        out = judge(float((elbow[0] - wrist[0]) * np.sign(shoulder[0] - other[0])) / size, 0.12, 0.0)
    return both(judge(near, 0.4, 0.6), judge(angle, 125, 145), out)


def _feet(body: Body) -> Iterator[Fact]:
    """A foot is lifted where the other is much lower; level feet are both taken to be on the ground line."""
    higher = body.drop("left ankle", "right ankle")  # above 0: the left is higher
    lean = body.lean
    if lean is None or lean > 60:
        higher = None
    yield make_fact("left foot", "lifted", judge(higher, 0.4, 0.15), higher=higher)
    yield make_fact(
        "right foot", "lifted", judge(None if higher is None else -higher, 0.4, 0.15), higher=higher
    )
    level = judge(None if higher is None else abs(higher), 0.12, 0.4)
    yield make_fact("feet", "on one line", level, higher=higher)


def _legs(body: Body) -> Iterator[Fact]:
    ankles, size = [body[f"{side} ankle"] for side in SIDES], body.size
    hips = [body[f"{side} hip"] for side in SIDES]
    gap = order = None
    lean = body.lean
    if (
        ankles[0] is not None
        and ankles[1] is not None
        and size is not None
        and lean is not None
        and lean < 50
    ):
        gap = float(abs(ankles[0][0] - ankles[1][0])) / size
        if hips[0] is not None and hips[1] is not None:
            order = float((ankles[0][0] - ankles[1][0]) * np.sign(hips[0][0] - hips[1][0])) / size
    straight = [judge(body.angle(f"{s} hip", f"{s} knee", f"{s} ankle"), 140, 120) for s in SIDES]
    wide = None if hips[0] is None or hips[1] is None or size is None else abs(hips[0][0] - hips[1][0]) / size
    frontal = judge(wide, 0.3, 0.15)
    yield make_fact("legs", "together", both(judge(gap, 0.2, 0.4)), gap=gap)
    yield make_fact(
        "legs", "apart", both(judge(gap, 0.7, 0.45), judge(order, 0.7, 0.4), frontal, *straight), gap=gap
    )
    # from the side, hips that are not level look wide too
    yield make_fact("legs", "crossed", both(judge(order, -0.15, 0.0), frontal, _broad(body)), order=order)
    stride = both(judge(gap, 0.7, 0.45), judge(wide, 0.15, 0.3), *straight)
    yield make_fact("legs", "in a stride", stride, gap=gap)


def _broad(body: Body) -> bool | None:
    """Whether the shoulders look so broad that the body is not seen from the side."""
    left, right, size = body["left shoulder"], body["right shoulder"], body.size
    across = None if left is None or right is None or size is None else abs(float(left[0] - right[0])) / size
    return True if judge(across, 0.4, 0.2) else None
