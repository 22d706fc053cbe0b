"""The facts of one person.

Left and right are the person's own, except in `facing left` and `facing right`, which are directions in the image.
Angles and distances are measured in the image. A fact is only stated where perspective alone cannot explain it: a limb
is straight where its parts are not foreshortened, a hand is at the hip where both coincide in the image and the elbow
points outward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.facts.body import OTHER as OTHER
from posetalk.facts.body import SIDES, Body, Numbers, both, judge
from posetalk.facts.fact import Fact, Facts, make_fact
from posetalk.facts.limbs import limb_facts
from posetalk.facts.posture import UNSUPPORTED, Support, posture_facts

# Apparent width of shoulders and hips as a share of their true width: the body is turned from the camera by at most
# 41 degrees, and by at most 56 degrees.
FRONTAL, ROUGHLY = 0.75, 0.55


def pose_facts(keypoints: npt.ArrayLike, names: Sequence[str], visible: npt.ArrayLike | None = None) -> Facts:
    """What is true of one person's pose: posture, facing, head, arms, hands, legs, and which joints are hidden.

    Args:
        keypoints: (k, 2) px of the full image, xy, origin top left; or (k, 3) with COCO's flag as third column. Where
            no flags are given, a row with a NaN is a keypoint without a label, and all others are visible.
        names: The k names, such as `left shoulder` or `left_shoulder`. COCO's names are understood; other keypoints
            only get a `hidden` fact.
        visible: (k,) COCO flags: 0 not labelled, 1 labelled but hidden, 2 visible. Booleans as in `Poses.visible` are
            understood too: True visible, False hidden.

    Returns:
        The facts, in a fixed order; None is the value of those that the keypoints do not decide. Left and right are the
        person's own.

    Raises:
        PosetalkError: Shapes that do not agree, flags given twice or not 0, 1 or 2, a name twice, or a labelled
            keypoint that is not finite.
    """
    names = [name.replace("_", " ").lower() for name in names]
    if len(set(names)) < len(names):
        raise PosetalkError("two keypoints have the same name; give each name once")
    try:
        points = np.array(keypoints, dtype=np.float64)
    except (TypeError, ValueError):
        raise PosetalkError("the keypoints are not an array of numbers; give (k, 2) px") from None
    if points.ndim != 2 or points.shape[0] != len(names) or points.shape[1] not in (2, 3):
        raise PosetalkError(
            f"the keypoints have the shape {points.shape}; for {len(names)} names give ({len(names)}, 2) px, "
            f"or ({len(names)}, 3) with COCO's flags"
        )
    if points.shape[1] == 3:
        if visible is not None:
            raise PosetalkError("the flags are given twice, in the keypoints and as visible; leave one out")
        visible = points[:, 2]
        points = points[:, :2]
    if visible is None:
        flags = np.where(np.isfinite(points).all(1), 2.0, 0.0)
    else:
        flags = np.asarray(visible)
        flags = np.where(flags, 2.0, 1.0) if flags.dtype == bool else flags.astype(np.float64)
    if flags.shape != (len(names),) or not np.isin(flags, (0, 1, 2)).all():
        raise PosetalkError(f"visible is not {len(names)} flags of 0, 1 or 2 (not labelled, hidden, visible)")
    if not np.isfinite(points[flags > 0]).all():
        raise PosetalkError("a labelled keypoint is not finite; give it the flag 0")
    return body_facts(Body.from_keypoints(points, flags, names))


def body_facts(body: Body, support: Support = UNSUPPORTED) -> Facts:
    """All facts of one person; see `pose_facts`.

    Args:
        body: The joints.
        support: What captions and objects say of the posture.
    """
    parts = (_trunk, _facing, _head, limb_facts, _visibility)
    return Facts([*posture_facts(body, support), *(fact for part in parts for fact in part(body))])


def _trunk(body: Body) -> Iterator[Fact]:
    lean = body.lean
    yield make_fact("trunk", "upright", judge(lean, 12, 22), lean=lean)
    yield make_fact("trunk", "leaning", both(judge(lean, 22, 12), judge(lean, 55, 65)), lean=lean)
    yield make_fact("trunk", "level", both(judge(lean, 70, 55), judge(lean, 110, 125)), lean=lean)
    yield make_fact("trunk", "upside down", judge(lean, 130, 60), lean=lean)


def _facing(body: Body) -> Iterator[Fact]:
    """Where the trunk faces, from the order of left and right joints and the apparent width of the shoulders."""
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
            across = float(np.mean(spans))  # below 0: the left is on the image's right, as in a mirror
    face = _visible_face_points(body)
    numbers: Numbers = {} if across is None else {"across": across}
    face_visible = None if not _head_labelled(body) else face > 0
    for target, direction, visible in (
        ("the camera", -1, face_visible),
        ("away", 1, None if face_visible is None else not face_visible),
    ):
        turned = None if across is None else direction * across
        yield make_fact("body", f"facing {target}", both(judge(turned, FRONTAL, 0.25), visible), numbers)
        roughly = both(judge(turned, ROUGHLY, 0.25), visible)
        slanted = roughly if turned is None or turned < FRONTAL else None
        yield make_fact("body", f"facing roughly {target}", slanted, numbers)
    # From the side: shoulders look narrow, and the nose tells which way.
    narrow = judge(None if across is None else abs(across), 0.3, 0.55)
    for side, direction in (("left", -1), ("right", 1)):
        ahead = _nose_ahead(body)
        towards = None if ahead is None else judge(direction * ahead, 0.12, -0.05)
        yield make_fact("body", f"facing {side}", both(narrow, towards), numbers, ahead=ahead)


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


def _head(body: Body) -> Iterator[Fact]:
    """Where the head of a person who faces the camera is turned, from the nose between the ears or eyes."""
    nose = body["nose"]
    turn: float | None = None
    for name in ("ear", "eye"):
        left, right = body[f"left {name}"], body[f"right {name}"]
        if nose is not None and left is not None and right is not None and left[0] - right[0] > 0:
            turn = float((2 * nose[0] - left[0] - right[0]) / (left[0] - right[0]))
            break
    if turn is None and nose is not None and _visible_face_points(body) >= 2:  # one ear behind the head
        ears = [side for side in SIDES if f"{side} ear" in body.points]
        turn = None if len(ears) != 1 else (1.5 if ears == ["right"] else -1.5)
    yield make_fact("head", "turned to the left", judge(turn, 0.7, 0.3), turn=turn)
    yield make_fact("head", "turned to the right", judge(turn, -0.7, -0.3), turn=turn)
    straight = None if turn is None else judge(abs(turn), 0.3, 0.7)
    yield make_fact("head", "straight", straight, turn=turn)


def _visibility(body: Body) -> Iterator[Fact]:
    """Which joints are hidden; unknown for a joint without a label, which may be outside the image or occluded."""
    for name in sorted({*body.points, *body.missing}):
        hidden = None if name in body.missing else name in body.hidden
        yield make_fact(name, "hidden", hidden)
