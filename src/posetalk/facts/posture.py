"""How a body is held as a whole: standing, sitting, squatting, kneeling, lying, bending over; one at most."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body, Numbers, both, either, judge, negated
from posetalk.facts.fact import Fact, make_fact

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


def posture_facts(body: Body) -> Iterator[Fact]:
    legs = [leg for side in SIDES if (leg := _leg(body, side)) is not None]
    lean = body.lean
    numbers: Numbers = {} if lean is None else {"lean": lean}
    if lean is None or not legs:
        for posture in POSTURES:
            yield make_fact("body", posture, None, numbers)
        return
    for leg in legs:
        numbers |= {f"{leg.side} {name}": value for name, value in leg.numbers().items()}
    level = _level(body)
    shown = {
        "standing": both(judge(lean, 35, 55), _every([leg.stands for leg in legs], legs)),
        "sitting": both(judge(lean, 20, 60), _every([leg.sits for leg in legs], legs)),
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
        if _strides(body):  # who walks is on the feet, and does not stand
            found["standing"] = None if found["standing"] else found["standing"]
    elif not true:
        folded = len(legs) == 2 and all(
            both(judge(leg.thigh, 0.3, 0.31), judge(leg.knee, 100, 101)) for leg in legs
        )
        found["standing"] = False if folded else None
    whole = body.trunk is not None and body.size is not None and np.linalg.norm(body.trunk) > 0.75 * body.size
    if whole and lean < 15 and found["bending over"] is None:
        found["bending over"] = False
    for posture, holds in found.items():
        yield make_fact("body", posture, holds, numbers)


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
        """The thigh is level, and the foot is not under the hip.

        A knee well above the hip is left open: whoever squats on the heels or jumps has it as well.
        """
        if self.drop is None:  # the foot is out of sight, under a table or below the picture
            return judge(self.thigh, 0.3, 0.65)
        level = both(judge(self.thigh, 0.26, 0.65), judge(self.thigh, -0.25, -0.9))
        off_heels = either(judge(self.knee, 85, 70), judge(self.drop, 0.7, 0.6))
        on_seat = both(judge(self.shin, 0.5, 0.15), judge(self.drop, 0.5, 0.3), off_heels)
        ahead = both(judge(self.drop, 0.45, 0.7), judge(self.beside, 0.6, 0.4))
        return both(level, either(on_seat, ahead))

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


def _strides(body: Body) -> bool:
    """Whether the feet are far apart while the hips look narrow, as a walker's do from the side."""
    hips, ankles = ([body[f"{side} {joint}"] for side in SIDES] for joint in ("hip", "ankle"))
    size = body.size
    if hips[0] is None or hips[1] is None or ankles[0] is None or ankles[1] is None or size is None:
        return False
    wide, gap = (abs(float(left[0] - right[0])) / size for left, right in (hips, ankles))  # type: ignore[index]
    return wide < 0.25 and gap > 0.6


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
