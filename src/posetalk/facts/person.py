"""The facts of one person.

Left and right are the person's own, but for where a person faces: that is said of the picture. Angles and distances
are those of the projection, and a fact is only stated where the projection cannot be what makes it: a limb is straight
where its parts have their whole length, a hand is at the hip where they meet in the picture and the elbow agrees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import SIDES, Body, Numbers, both, either, judge, negated
from posetalk.facts.fact import Fact, Facts, fact

POSTURES = ("standing", "sitting", "squatting", "kneeling", "lying", "bending over")
# What one posture rules out. The others stay open: people call a deep crouch standing, squatting or kneeling, and many
# a body that is bent towards the camera, or seen from above, looks like something else in the projection.
EXCLUDED = {
    "standing": ("sitting", "squatting", "kneeling", "lying"),
    "sitting": ("standing", "lying"),
    "squatting": ("lying",),
    "kneeling": ("standing", "lying"),
    "lying": ("standing", "squatting", "kneeling"),
    "bending over": ("sitting", "squatting", "lying"),
}
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
OTHER = {"left": "right", "right": "left"}
IN_PLANE = 0.75  # share of its length from which a limb counts as not foreshortened
NEAR = 0.3  # trunk lengths: a hand is at something


def facts_of(body: Body) -> Facts:
    """Everything that is looked for in one person."""
    return Facts(
        [
            *_posture(body),
            *_trunk(body),
            *_facing(body),
            *_head(body),
            *_bends(body),
            *_hands(body),
            *_arms(body),
            *_feet(body),
            *_legs(body),
            *_seen(body),
        ]
    )


def _posture(body: Body) -> Iterator[Fact]:
    legs = [leg for side in SIDES if (leg := _leg(body, side)) is not None]
    lean = body.lean
    numbers: Numbers = {} if lean is None else {"lean": lean}
    if lean is None or not legs:
        for posture in POSTURES:
            yield fact("body", posture, None, numbers)
        return
    for leg in legs:
        numbers |= {f"{leg.side} {name}": value for name, value in leg.numbers().items()}
    level = _level(body)
    shown = {
        "standing": both(judge(lean, 35, 55), _every([leg.stands for leg in legs], legs)),
        "sitting": both(judge(lean, 40, 60), _every([leg.sits for leg in legs], legs)),
        "squatting": both(judge(lean, 60, 75), len(legs) == 2, *(leg.squats for leg in legs)),
        "kneeling": both(
            judge(lean, 50, 70), either(*(both(leg.kneels, _lowest(body, leg.side)) for leg in legs))
        ),
        "lying": both(judge(lean, 62, 45), judge(lean, 118, 135), level),
        "bending over": both(
            judge(lean, 55, 40), judge(lean, 130, 131), negated(level), either(*(leg.stands for leg in legs))
        ),
    }
    true = [posture for posture, holds in shown.items() if holds]
    # Where two seem to hold, the geometry does not tell which.
    found: dict[str, bool | None] = dict.fromkeys(POSTURES)
    if len(true) == 1:
        found |= {true[0]: True} | dict.fromkeys(EXCLUDED[true[0]], False)
    elif not true:
        folded = len(legs) == 2 and all(
            both(judge(leg.thigh, 0.3, 0.31), judge(leg.knee, 100, 101)) for leg in legs
        )
        found["standing"] = False if folded else None
    whole = body.trunk is not None and body.size is not None and np.linalg.norm(body.trunk) > 0.75 * body.size
    if whole and lean < 15 and found["bending over"] is None:
        found["bending over"] = False
    for posture, holds in found.items():
        yield fact("body", posture, holds, numbers)


class _Leg:
    """drop: of hip to ankle; thigh, shin: drops of its parts; knee: degrees; beside: of the ankle from the hip."""

    def __init__(self, side: str, body: Body) -> None:
        hip, knee, ankle = (f"{side} {joint}" for joint in ("hip", "knee", "ankle"))
        self.side = side
        self.thigh, self.shin, self.drop = body.drop(hip, knee), body.drop(knee, ankle), body.drop(hip, ankle)
        self.knee = body.angle(hip, knee, ankle)
        a, b, size = body[hip], body[ankle], body.size
        self.beside = None if a is None or b is None or size is None else abs(float(a[0] - b[0])) / size

    def numbers(self) -> Numbers:
        named = {"thigh": self.thigh, "shin": self.shin, "knee": self.knee, "drop": self.drop}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def stands(self) -> bool | None:
        return both(judge(self.drop, 1.2, 0.9), judge(self.knee, 155, 125))

    @property
    def sits(self) -> bool | None:
        """The thigh does not go down, and the foot is not under the hip."""
        if self.drop is None:  # the foot is out of sight, under a table or below the picture
            return judge(self.thigh, 0.2, 0.65)
        off_heels = either(judge(self.knee, 85, 70), judge(self.drop, 0.7, 0.6))
        on_seat = both(
            judge(self.thigh, 0.4, 0.65), judge(self.shin, 0.4, 0.15), judge(self.drop, 0.5, 0.3), off_heels
        )
        ahead = both(judge(self.thigh, 0.35, 0.6), judge(self.drop, 0.45, 0.7), judge(self.beside, 0.6, 0.4))
        knees_up = both(judge(self.thigh, 0.1, 0.4), judge(self.drop, 0.25, 0.4))
        return either(on_seat, ahead, knees_up)

    @property
    def squats(self) -> bool | None:
        return both(
            judge(self.thigh, 0.3, 0.5), judge(self.drop, 0.7, 0.9), judge(self.drop, 0.4, 0.25),
            judge(self.knee, 80, 100), judge(self.beside, 0.5, 0.7), judge(self.shin, 0.3, 0.15),
        )  # fmt: skip

    @property
    def kneels(self) -> bool | None:
        """The thigh goes down and the shin does not."""
        return both(judge(self.thigh, 0.6, 0.45), judge(self.shin, 0.2, 0.4))


def _leg(body: Body, side: str) -> _Leg | None:
    leg = _Leg(side, body)
    return leg if leg.thigh is not None else None


def _every(values: list[bool | None], legs: list[_Leg]) -> bool | None:
    """Of both legs; one leg alone proves nothing but what is false, or that a thigh which is level is no stander's."""
    found = both(*values)
    if len(legs) == 2 or found is False:
        return found
    return found if (legs[0].thigh or 0) < 0.1 else None


def _lowest(body: Body, side: str) -> bool | None:
    """Whether the other foot is no lower than this knee, as when one kneels and not when one runs."""
    below = body.drop(f"{side} knee", f"{OTHER[side]} ankle")
    return judge(below, 0.3, 0.5)


def _level(body: Body) -> bool | None:
    """Whether shoulders and lowest known leg joint lie beside each other rather than one above the other."""
    shoulders = body.middle("shoulder")
    if shoulders is None:
        shoulders = next((p for side in SIDES if (p := body[f"{side} shoulder"]) is not None), None)
    for joint in ("ankle", "knee"):
        ends = [p for side in SIDES if (p := body[f"{side} {joint}"]) is not None]
        if ends and shoulders is not None:
            dx, dy = np.abs(np.mean(ends, 0) - shoulders)
            return judge(math.degrees(math.atan2(dy, dx)), 30, 45)
    return None


def _trunk(body: Body) -> Iterator[Fact]:
    lean = body.lean
    yield fact("trunk", "upright", judge(lean, 12, 22), lean=lean)
    yield fact("trunk", "leaning", both(judge(lean, 22, 12), judge(lean, 55, 65)), lean=lean)
    yield fact("trunk", "level", both(judge(lean, 70, 55), judge(lean, 110, 125)), lean=lean)
    yield fact("trunk", "upside down", judge(lean, 130, 60), lean=lean)


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
    camera = both(judge(across, -0.55, -0.25), True if eyes else None if eyes is None else False)
    away = both(judge(across, 0.55, 0.25), True if eyes is False else None if eyes is None else False)
    yield fact("body", "facing the camera", camera, numbers)
    yield fact("body", "facing away", away, numbers)
    # From the side: shoulders look narrow, and the nose tells which way.
    narrow = judge(None if across is None else abs(across), 0.3, 0.55)
    for side, sign in (("left", -1), ("right", 1)):
        ahead = _ahead(body)
        towards = None if ahead is None else judge(sign * ahead, 0.12, -0.05)
        yield fact("body", f"facing {side}", both(narrow, towards), numbers, ahead=ahead)


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
    yield fact("head", "turned to the left", judge(turn, 0.7, 0.3), turn=turn)
    yield fact("head", "turned to the right", judge(turn, -0.7, -0.3), turn=turn)
    straight = None if turn is None else judge(abs(turn), 0.3, 0.7)
    yield fact("head", "straight", straight, turn=turn)


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
            yield fact(f"{side} {joint}", "straight", False if bent else both(flat, negated(bent)), numbers)
            for says, low, high in ((BENDS[1], 120, 150), (BENDS[2], 75, 110), (BENDS[3], 0, 65)):
                inside = both(
                    judge(angle, low + 5, low - 10) if low else True, judge(angle, high - 5, high + 10)
                )
                yield fact(
                    f"{side} {joint}",
                    says,
                    both(flat, inside) if inside is not False else False if flat else None,
                    numbers,
                )


def _hands(body: Body) -> Iterator[Fact]:
    """Where the wrists are. Depth is not seen: `at` is said of the picture."""
    shoulders, hips = body.middle("shoulder"), body.middle("hip")
    face = [
        body.points[n] for n in ("nose", "left eye", "right eye", "left ear", "right ear") if n in body.points
    ]
    size, lean = body.size, body.lean
    up = lean is not None and lean < 50
    for side in SIDES:
        wrist = body[f"{side} wrist"]
        places: dict[str, float | None] = dict.fromkeys(HANDS)
        if wrist is not None and size is not None:
            if face:
                head = np.mean(face, 0)
                top = min(p[1] for p in face)
                places["above the head"] = (top - wrist[1]) / size if up else None
                places["at the face"] = float(np.linalg.norm(wrist - head)) / size
            for where, joint in (
                ("at the shoulder", "shoulder"),
                ("at the hip", "hip"),
                ("at the knee", "knee"),
            ):
                near = [body.apart(f"{side} wrist", f"{s} {joint}") for s in SIDES]
                known = [v for v in near if v is not None]
                places[where] = min(known) if known else None
            if shoulders is not None and hips is not None and up:
                chest = shoulders + 0.3 * (hips - shoulders)
                places["at the chest"] = float(np.linalg.norm(wrist - chest)) / size
                places["below the hip"] = float(wrist[1] - hips[1]) / size
        nearest = min((v for k, v in places.items() if k.startswith("at") and v is not None), default=None)
        for where, value in places.items():
            if where.startswith("at"):
                holds = judge(value, NEAR, 0.5)
                if holds and value != nearest:
                    holds = None
            else:
                holds = judge(value, *{"above the head": (0.25, 0.0), "below the hip": (0.15, -0.05)}[where])
            yield fact(f"{side} hand", where, holds, distance=value)


def _arms(body: Body) -> Iterator[Fact]:
    lean = body.lean
    up = lean is not None and lean < 50
    raised, spread = [], []
    for side in SIDES:
        wrist = body.drop(f"{side} shoulder", f"{side} wrist") if up else None
        elbow = body.drop(f"{side} shoulder", f"{side} elbow") if up else None
        raised.append(both(judge(wrist, -0.2, 0.05), judge(elbow, 0.1, 0.3)))
        yield fact(f"{side} arm", "raised", raised[-1], wrist=wrist, elbow=elbow)
        down = both(judge(wrist, 0.8, 0.6), judge(elbow, 0.4, 0.25))
        yield fact(f"{side} arm", "hanging down", down, wrist=wrist, elbow=elbow)
        away = _beside(body, side)
        spread.append(both(judge(away, 0.85, 0.6), judge(None if wrist is None else abs(wrist), 0.35, 0.55)))
        yield fact(f"{side} arm", "stretched out to the side", spread[-1], beside=away)
    yield fact("arms", "raised", both(*raised))
    yield fact("arms", "stretched out to the side", both(*spread))
    yield fact("arms", "crossed", _crossed(body))
    yield fact("arms", "on the hips", both(*(_on_hip(body, side) for side in SIDES)))


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
    """Forearms before the chest: each wrist at the other arm's elbow, both bent."""
    found = []
    for side in SIDES:
        near = body.apart(f"{side} wrist", f"{OTHER[side]} elbow")
        angle = body.angle(f"{side} shoulder", f"{side} elbow", f"{side} wrist")
        found.append(both(judge(near, 0.35, 0.6), judge(angle, 110, 140)))
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
    yield fact("left foot", "lifted", judge(higher, 0.4, 0.15), higher=higher)
    yield fact("right foot", "lifted", judge(None if higher is None else -higher, 0.4, 0.15), higher=higher)
    level = judge(None if higher is None else abs(higher), 0.12, 0.4)
    yield fact("feet", "on one line", level, higher=higher)


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
    yield fact("legs", "together", both(judge(gap, 0.2, 0.4)), gap=gap)
    yield fact(
        "legs", "apart", both(judge(gap, 0.7, 0.45), judge(order, 0.7, 0.4), frontal, *straight), gap=gap
    )
    yield fact("legs", "crossed", both(judge(order, -0.15, 0.0), frontal), order=order)
    stride = both(judge(gap, 0.7, 0.45), judge(wide, 0.15, 0.3), *straight)
    yield fact("legs", "in a stride", stride, gap=gap)


def _seen(body: Body) -> Iterator[Fact]:
    """What of the body can be seen; a joint without a label may be outside the picture or behind something."""
    for name in sorted({*body.points, *body.missing}):
        hidden = None if name in body.missing else name in body.hidden
        yield fact(name, "hidden", hidden)
