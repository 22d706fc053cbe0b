"""The facts of elbows, knees and hands: how far they bend, where hands are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from posetalk.facts.arms import arm_facts, on_hip
from posetalk.facts.body import SIDES, Body, both, judge, negated
from posetalk.facts.fact import Fact, make_fact
from posetalk.facts.legs import leg_facts
from posetalk.types import Floats

BENDS = ("straight", "slightly bent", "bent at a right angle", "sharply bent")
HANDS = (
    "above the head",
    "at the face",
    "at the hip",
    "at the knee",
    "below the hip",
)
IN_PLANE = 0.75  # apparent share of its length from which a limb counts as not foreshortened
AT_DISTANCE = 0.3  # trunk lengths: a hand is at something
ON_KNEE = 0.22
AT_FACE = 0.2  # half a head: what is further may be held before the face


def limb_facts(body: Body) -> Iterator[Fact]:
    """The facts of elbows and knees, hands, arms, feet and legs."""
    for group in (_bends, _hand_places, arm_facts, leg_facts):
        yield from group(body)


def _bends(body: Body) -> Iterator[Fact]:
    for joint, upper, lower in (("elbow", "shoulder", "wrist"), ("knee", "hip", "ankle")):
        for side in SIDES:
            ends = f"{side} {upper}", f"{side} {joint}", f"{side} {lower}"
            angle = body.angle(*ends)
            lengths = [body.length(*ends[:2]), body.length(*ends[1:])]
            flat = None if None in lengths else min(v for v in lengths if v is not None) >= IN_PLANE
            numbers = {} if angle is None else {"angle": angle}
            # A bend in the image is a real one; its angle, and that a limb is straight, only limbs in the image plane
            # tell.
            flat = True if flat else None
            bent = judge(angle, 150, 162)
            yield make_fact(
                f"{side} {joint}", "straight", False if bent else both(flat, negated(bent)), numbers
            )
            for predicate, low, high in ((BENDS[1], 120, 150), (BENDS[2], 75, 110), (BENDS[3], 0, 65)):
                inside = both(
                    judge(angle, low + 5, low - 10) if low else True, judge(angle, high - 5, high + 10)
                )
                yield make_fact(
                    f"{side} {joint}",
                    predicate,
                    both(flat, inside) if inside is not False else False if flat else None,
                    numbers,
                )


def _hand_places(body: Body) -> Iterator[Fact]:
    """Where the hands are in the image; depth is unknown.

    Distances are measured from the middle of the hand rather than the wrist: a wrist near the shoulder belongs to a
    hand at the mouth more often than to one at the shoulder.
    """
    lean, size = body.lean, body.size
    is_upright = lean is not None and lean < 50
    face = _face(body)
    hips = body.middle("hip")
    for side in SIDES:
        wrist, hand = body[f"{side} wrist"], body.hand(side)
        distances = {
            place: (_nearest_distance(hand, spots, size), _nearest_distance(wrist, spots, size))
            for place, spots in _hand_targets(body, is_upright).items()
        }
        results: dict[str, tuple[bool | None, float | None]] = {}
        closest = min((of_hand for of_hand, _ in distances.values() if of_hand is not None), default=None)
        for place, (of_hand, of_wrist) in distances.items():
            value = judge(of_hand if of_hand is not None else of_wrist, AT_DISTANCE, 0.5)
            if value and (of_hand != closest or hand is None):
                value = None
            if value is False and (of_wrist is None or of_wrist < 0.5):
                value = None
            if value and place == "at the hip" and not on_hip(body, side):
                value = None  # it hangs there, lies in the lap or works in front of the body
            if value and place == "at the face" and (of_hand is None or of_hand > AT_FACE):
                value = None
            if value and place == "at the knee" and not _on_knee(body, hand):
                value = None
            results[place] = value, of_hand if of_hand is not None else of_wrist
        above = below = None
        if wrist is not None and size is not None and is_upright:
            above = (min(float(p[1]) for p in face) - float(wrist[1])) / size if face else None
            below = None if hips is None else float(wrist[1] - hips[1]) / size
        results["above the head"] = judge(above, 0.25, 0.0), above
        results["below the hip"] = judge(below, 0.15, -0.05), below
        for place in HANDS:
            value, distance = results[place]
            yield make_fact(f"{side} hand", place, value, distance=distance)


def _on_knee(body: Body, hand: Floats | None) -> bool:
    """Whether a hand is right at a knee that is bent, and not only in front of a leg, or behind it."""
    if hand is None or body.size is None:
        return False
    away = {
        side: float(np.linalg.norm(hand - knee))
        for side in SIDES
        if (knee := body[f"{side} knee"]) is not None
    }
    side = min(away, key=away.__getitem__, default=None)
    if side is None or away[side] >= ON_KNEE * body.size:
        return False
    bend = body.angle(f"{side} hip", f"{side} knee", f"{side} ankle")
    return bend is not None and bend < 130


def _face(body: Body) -> list[Floats]:
    names = ("nose", "left eye", "right eye", "left ear", "right ear")
    return [body.points[name] for name in names if name in body.points]


def _hand_targets(body: Body, is_upright: bool) -> dict[str, list[Floats]]:
    """The points (2,) px of each place where a hand may be; none if the place is not labelled."""
    face, shoulders, hips = _face(body), body.middle("shoulder"), body.middle("hip")
    spots: dict[str, list[Floats]] = {"at the face": [np.mean(face, 0)] if face else []}
    for joint in ("shoulder", "hip", "knee"):
        spots[f"at the {joint}"] = [p for s in SIDES if (p := body[f"{s} {joint}"]) is not None]
    spots["at the chest"] = []
    if is_upright and shoulders is not None and hips is not None:
        spots["at the chest"] = [shoulders + 0.3 * (hips - shoulders)]
    return spots


def _nearest_distance(point: Floats | None, targets: list[Floats], size: float | None) -> float | None:
    """The distance to the nearest target, in trunk lengths."""
    if point is None or size is None or not targets:
        return None
    return min(float(np.linalg.norm(point - spot)) for spot in targets) / size
