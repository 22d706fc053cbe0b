"""The facts of one person.

Left and right are the person's own, but for where a person faces: that is said of the picture. Angles and distances
are those of the projection, and a fact is only stated where the projection cannot be what makes it: a limb is straight
where its parts have their whole length, a hand is at the hip where they meet in the picture and the elbow agrees.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER as OTHER
from posetalk.facts.body import SIDES, Body, Numbers, both, judge
from posetalk.facts.fact import Fact, Facts, make_fact
from posetalk.facts.limbs import limb_facts
from posetalk.facts.posture import posture_facts

# Where shoulders and hips look as wide as this share of their width, a body is within 41 and 56 degrees of the camera.
FRONTAL, ROUGHLY = 0.75, 0.55


def body_facts(body: Body) -> Facts:
    """Everything that is looked for in one person."""
    return Facts(
        [
            *posture_facts(body),
            *_trunk(body),
            *_facing(body),
            *_head(body),
            *limb_facts(body),
            *_seen(body),
        ]
    )


def _trunk(body: Body) -> Iterator[Fact]:
    lean = body.lean
    yield make_fact("trunk", "upright", judge(lean, 12, 22), lean=lean)
    yield make_fact("trunk", "leaning", both(judge(lean, 22, 12), judge(lean, 55, 65)), lean=lean)
    yield make_fact("trunk", "level", both(judge(lean, 70, 55), judge(lean, 110, 125)), lean=lean)
    yield make_fact("trunk", "upside down", judge(lean, 130, 60), lean=lean)


def _facing(body: Body) -> Iterator[Fact]:
    """Where the trunk faces: by the order of left and right, and by how wide the shoulders look."""
    across: float | None = None
    size = body.size
    if size is not None:
        spans = [
            (right[0] - left[0]) / size / share
            for joint, share in (("shoulder", 0.75), ("hip", 0.45))
            if (left := body[f"left {joint}"]) is not None and (right := body[f"right {joint}"]) is not None
        ]
        lean = body.lean
        if len(spans) == 2 and lean is not None and lean < 50 and spans[0] * spans[1] > 0:
            across = float(np.mean(spans))  # below 0: the left is on the picture's right, as in a mirror
    face = _face(body)
    numbers: Numbers = {} if across is None else {"across": across}
    eyes = None if not _head_labelled(body) else face > 0
    for where, sign, seen in (("the camera", -1, eyes), ("away", 1, None if eyes is None else not eyes)):
        turned = None if across is None else sign * across
        yield make_fact("body", f"facing {where}", both(judge(turned, FRONTAL, 0.25), seen), numbers)
        roughly = both(judge(turned, ROUGHLY, 0.25), seen)
        slanted = roughly if turned is None or turned < FRONTAL else None
        yield make_fact("body", f"facing roughly {where}", slanted, numbers)
    # From the side: shoulders look narrow, and the nose tells which way.
    narrow = judge(None if across is None else abs(across), 0.3, 0.55)
    for side, sign in (("left", -1), ("right", 1)):
        ahead = _ahead(body)
        towards = None if ahead is None else judge(sign * ahead, 0.12, -0.05)
        yield make_fact("body", f"facing {side}", both(narrow, towards), numbers, ahead=ahead)


def _face(body: Body) -> int:
    """How many of nose and eyes can be seen."""
    return sum(name in body.points and name not in body.hidden for name in ("nose", "left eye", "right eye"))


def _head_labelled(body: Body) -> bool:
    """Whether the head is in the picture, so that a face which is not labelled is turned away."""
    return any(name in body.points for name in ("nose", "left eye", "right eye", "left ear", "right ear"))


def _ahead(body: Body) -> float | None:
    """How far the nose is to the right of the ears, in trunk lengths."""
    nose, size = body["nose"], body.size
    ears = [p for side in SIDES if (p := body[f"{side} ear"]) is not None]
    if nose is None or size is None or not ears:
        return None
    return float(nose[0] - np.mean(ears, 0)[0]) / size


def _head(body: Body) -> Iterator[Fact]:
    """Turned to the person's own side, where the person faces the camera: by the nose between the ears or eyes."""
    nose = body["nose"]
    turn: float | None = None
    for name in ("ear", "eye"):
        left, right = body[f"left {name}"], body[f"right {name}"]
        if nose is not None and left is not None and right is not None and left[0] - right[0] > 0:
            turn = float((2 * nose[0] - left[0] - right[0]) / (left[0] - right[0]))
            break
    if turn is None and nose is not None and _face(body) >= 2:  # one ear behind the head
        seen = [side for side in SIDES if f"{side} ear" in body.points]
        turn = None if len(seen) != 1 else (1.5 if seen == ["right"] else -1.5)
    yield make_fact("head", "turned to the left", judge(turn, 0.7, 0.3), turn=turn)
    yield make_fact("head", "turned to the right", judge(turn, -0.7, -0.3), turn=turn)
    straight = None if turn is None else judge(abs(turn), 0.3, 0.7)
    yield make_fact("head", "straight", straight, turn=turn)


def _seen(body: Body) -> Iterator[Fact]:
    """What of the body can be seen; a joint without a label may be outside the picture or behind something."""
    for name in sorted({*body.points, *body.missing}):
        hidden = None if name in body.missing else name in body.hidden
        yield make_fact(name, "hidden", hidden)
