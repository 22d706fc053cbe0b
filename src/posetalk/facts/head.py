"""The facts of where a body faces, and where its head does."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import SIDES, Body, Numbers, both, judge, negated
from posetalk.facts.fact import Fact, make_fact
from posetalk.types import Floats

# Apparent width of shoulders and hips as a share of their true width: the body is turned from the camera by at most
# 41 degrees, and by at most 56 degrees.
FRONTAL, ROUGHLY = 0.75, 0.55


def facing_facts(body: Body) -> Iterator[Fact]:
    """Where the trunk faces, from the order of left and right joints and the apparent width of the shoulders."""
    across = _across(body)
    face = _visible_face_points(body)
    numbers: Numbers = {} if across is None else {"across": across}
    face_visible = None if not _head_labelled(body) else face > 0
    # From the side: shoulders look narrow, and the nose tells which way.
    narrow = judge(None if across is None else abs(across), 0.3, 0.55)
    ahead = _nose_ahead(body)
    sideways = {
        side: both(narrow, None if ahead is None else judge(direction * ahead, 0.12, -0.05))
        for side, direction in (("left", -1), ("right", 1))
    }
    for target, direction, visible in (
        ("the camera", -1, face_visible),
        ("away", 1, negated(face_visible)),
    ):
        turned = None if across is None else direction * across
        # a hand or a book hides a face, a head looks back over the shoulder, and labels get left and right wrong:
        # the trunk and the face must both deny it
        turned_off = judge(turned, -ROUGHLY, -0.25) and visible is False
        denied = turned_off or any(sideways.values())
        full = both(judge(turned, FRONTAL, 0.25), visible)
        yield make_fact("body", f"facing {target}", True if full else False if denied else None, numbers)
        roughly = both(judge(turned, ROUGHLY, 0.25), visible)
        slanted = True if roughly and turned is not None and turned < FRONTAL else False if denied else None
        yield make_fact("body", f"facing roughly {target}", slanted, numbers)
    for side, value in sideways.items():
        yield make_fact("body", f"facing {side}", value, numbers, ahead=ahead)


def _across(body: Body) -> float | None:
    """The apparent width of shoulders and hips in true widths; below 0 for a body seen from the front."""
    size, lean = body.size, body.lean
    if size is None or lean is None or lean >= 50:
        return None
    spans = [
        (right[0] - left[0]) / size / share
        for joint, share in (("shoulder", 0.75), ("hip", 0.45))
        if (left := body[f"left {joint}"]) is not None and (right := body[f"right {joint}"]) is not None
    ]
    return float(np.mean(spans)) if len(spans) == 2 and spans[0] * spans[1] > 0 else None


def _visible_face_points(body: Body) -> int:
    """How many of nose and eyes are visible."""
    return sum(name in body.points and name not in body.hidden for name in ("nose", "left eye", "right eye"))


def _head_labelled(body: Body) -> bool:
    """Whether the head is in the image, so that a face without labels is turned away."""
    return any(name in body.points for name in ("nose", "left eye", "right eye", "left ear", "right ear"))


def _nose_ahead(body: Body) -> float | None:
    """How far the nose is to the right of the ears, in trunk lengths."""
    nose, size = body["nose"], body.size
    ears = [p for side in SIDES if (p := body[f"{side} ear"]) is not None]
    if nose is None or size is None or not ears:
        return None
    return float(nose[0] - np.mean(ears, 0)[0]) / size


def head_facts(body: Body) -> Iterator[Fact]:
    """Where the head of a person whose chest is towards the camera is turned, and how it is tilted.

    Measured along the line of the ears or eyes, so that a tilted head is not read as a turned one. Of a body seen from
    behind or from the side nothing is known: there the nose points elsewhere, or the head goes with the body.
    """
    turn = _turn(body) if _chest_visible(body) and not body.is_bowed else None
    yield make_fact("head", "turned to the left", judge(turn, 0.7, 0.3), turn=turn)
    yield make_fact("head", "turned to the right", judge(turn, -0.7, -0.3), turn=turn)
    straight = None if turn is None else judge(abs(turn), 0.3, 0.7)
    yield make_fact("head", "straight", straight, turn=turn)
    tilt = _tilt(body) if turn is not None and abs(turn) < 0.7 else None
    yield make_fact("head", "tilted to the left", judge(tilt, 18, 8), tilt=tilt)
    yield make_fact("head", "tilted to the right", judge(tilt, -18, -8), tilt=tilt)


def _chest_visible(body: Body) -> bool:
    left, right, size = body["left shoulder"], body["right shoulder"], body.size
    return (
        left is not None and right is not None and size is not None and float(left[0] - right[0]) > 0.4 * size
    )


def _turn(body: Body) -> float | None:
    """Where the nose is between the ears, or the eyes: 0 in the middle, 1 at the left one, along their line.

    None where ears and eyes do not agree, and with one ear labelled unless the eyes show the turn as well.
    """
    nose = body["nose"]
    if nose is None or "nose" in body.hidden:
        return None
    ears, eyes = (_between(nose, body[f"left {name}"], body[f"right {name}"]) for name in ("ear", "eye"))
    if ears is not None and eyes is not None:
        return ears if abs(ears) < 0.3 or ears * eyes > 0 else None
    if ears is not None:
        return ears
    labelled = [side for side in SIDES if f"{side} ear" in body.points]
    if eyes is not None and len(labelled) == 1:
        behind = -1.0 if labelled == ["left"] else 1.0  # the head turns towards the ear that is out of sight
        return 1.5 * behind if eyes * behind > 0.6 else None
    return None


def _between(nose: Floats, left: Floats | None, right: Floats | None) -> float | None:
    if left is None or right is None or not left[0] > right[0]:
        return None
    half = (left - right) / 2
    return float(np.dot(nose - (left + right) / 2, half) / np.dot(half, half))


def _tilt(body: Body) -> float | None:
    """How far the line of the ears, or eyes, is turned from that of the shoulders, degrees: above 0 to the left."""
    for name in ("ear", "eye"):
        left, right = body[f"left {name}"], body[f"right {name}"]
        a, b = body["left shoulder"], body["right shoulder"]
        if left is not None and right is not None and a is not None and b is not None:
            of_head = math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))
            of_shoulders = math.degrees(math.atan2(a[1] - b[1], a[0] - b[0]))
            # a head that only stays upright above slanted shoulders is not tilted
            return (
                min((of_head, of_head - of_shoulders), key=abs)
                if of_head * (of_head - of_shoulders) > 0
                else 0.0
            )
    return None
