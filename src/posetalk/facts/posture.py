"""The posture: standing, sitting, squatting, kneeling, lying or bending over; at most one is true."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from posetalk.facts.body import OTHER, SIDES, Body, Numbers, both, either, judge, negated
from posetalk.facts.fact import Fact, make_fact

POSTURES = ("standing", "sitting", "squatting", "kneeling", "lying", "bending over")
# The postures that each one rules out. The others stay unknown: people call a deep crouch standing, squatting or
# kneeling, and a body bent towards the camera or seen from above may look like another posture.
EXCLUDED = {
    "standing": ("sitting", "squatting", "kneeling", "lying"),
    "sitting": ("standing", "lying"),
    "squatting": ("lying",),
    "kneeling": ("standing", "lying"),
    "lying": ("standing", "squatting", "kneeling"),
    "bending over": ("sitting", "squatting", "lying"),
}


def posture_facts(body: Body) -> Iterator[Fact]:
    """The facts of all postures; all unknown without trunk or thighs."""
    legs = [leg for side in SIDES if (leg := _Leg(side, body)).thigh is not None]
    lean = body.lean
    numbers: Numbers = {} if lean is None else {"lean": lean}
    if lean is None or not legs:
        for posture in POSTURES:
            yield make_fact("body", posture, None, numbers)
        return
    for leg in legs:
        numbers |= {f"{leg.side} {name}": value for name, value in leg.numbers().items()}
    is_level = _is_level(body)
    conditions = {
        "standing": both(judge(lean, 35, 55), _for_both_legs([leg.stands for leg in legs], legs)),
        "sitting": both(judge(lean, 20, 60), _for_both_legs([leg.sits for leg in legs], legs)),
        "squatting": both(judge(lean, 60, 75), len(legs) == 2, *(leg.squats for leg in legs)),
        "kneeling": both(
            judge(lean, 50, 70),
            either(*(both(leg.kneels, _other_foot_not_lower(body, leg.side)) for leg in legs)),
        ),
        "lying": both(judge(lean, 62, 45), judge(lean, 118, 135), is_level),
        "bending over": both(
            judge(lean, 55, 40),
            judge(lean, 130, 131),
            negated(is_level),
            either(*(leg.stands for leg in legs)),
        ),
    }
    met = [posture for posture, value in conditions.items() if value]
    # if two postures fit, the geometry does not tell which it is
    values: dict[str, bool | None] = dict.fromkeys(POSTURES)
    if len(met) == 1:
        values |= {met[0]: True} | dict.fromkeys(EXCLUDED[met[0]], False)
        if _looks_striding(body):  # walking is not standing
            values["standing"] = None if values["standing"] else values["standing"]
    elif not met:
        folded = len(legs) == 2 and all(
            both(judge(leg.thigh, 0.3, 0.31), judge(leg.knee, 100, 101)) for leg in legs
        )
        values["standing"] = False if folded else None
    has_full_trunk = (
        body.trunk is not None and body.size is not None and np.linalg.norm(body.trunk) > 0.75 * body.size
    )
    if has_full_trunk and lean < 15 and values["bending over"] is None:
        values["bending over"] = False
    for posture, value in values.items():
        yield make_fact("body", posture, value, numbers)


class _Leg:
    """Measurements of one leg.

    thigh, shin, drop: how far the knee is below the hip, the ankle below the knee, the ankle below the hip; trunk
    lengths. knee: its angle, degrees. beside: horizontal distance of ankle and hip, trunk lengths.
    """

    def __init__(self, side: str, body: Body) -> None:
        hip, knee, ankle = (f"{side} {joint}" for joint in ("hip", "knee", "ankle"))
        self.side = side
        self.thigh, self.shin, self.drop = body.drop(hip, knee), body.drop(knee, ankle), body.drop(hip, ankle)
        self.knee = body.angle(hip, knee, ankle)
        a, b, size = body[hip], body[ankle], body.size
        self.beside = None if a is None or b is None or size is None else abs(float(a[0] - b[0])) / size

    def numbers(self) -> Numbers:
        values = {"thigh": self.thigh, "shin": self.shin, "knee": self.knee, "drop": self.drop}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def stands(self) -> bool | None:
        return both(judge(self.drop, 1.2, 0.9), judge(self.knee, 155, 125))

    @property
    def sits(self) -> bool | None:
        """The thigh is horizontal, and the foot is not under the hip.

        Unknown for a knee well above the hip, which people who squat on their heels or jump have too.
        """
        if self.drop is None:  # the foot is out of sight, under a table or below the image
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
        """The thigh points down and the shin does not."""
        return both(judge(self.thigh, 0.6, 0.45), judge(self.shin, 0.2, 0.4))


def _for_both_legs(values: list[bool | None], legs: list[_Leg]) -> bool | None:
    """And over both legs. One leg alone can only refute, or confirm where its thigh is horizontal."""
    result = both(*values)
    if len(legs) == 2 or result is False:
        return result
    return result if (legs[0].thigh or 0) < 0.1 else None


def _looks_striding(body: Body) -> bool:
    """Whether the feet are far apart while the hips look narrow, as for a person who walks past the camera."""
    hips, ankles = ([body[f"{side} {joint}"] for side in SIDES] for joint in ("hip", "ankle"))
    size = body.size
    if hips[0] is None or hips[1] is None or ankles[0] is None or ankles[1] is None or size is None:
        return False
    hip_width, foot_gap = (abs(float(left[0] - right[0])) / size for left, right in (hips, ankles))  # type: ignore[index]
    return hip_width < 0.25 and foot_gap > 0.6


def _other_foot_not_lower(body: Body, side: str) -> bool | None:
    """Whether the other foot is no lower than this knee: true of kneeling, not of running."""
    below = body.drop(f"{side} knee", f"{OTHER[side]} ankle")
    return judge(below, 0.3, 0.5)


def _is_level(body: Body) -> bool | None:
    """Whether the line from the shoulders to the lowest labelled leg joint is nearer to horizontal than to vertical."""
    shoulders = body.middle("shoulder")
    if shoulders is None:
        shoulders = next((p for side in SIDES if (p := body[f"{side} shoulder"]) is not None), None)
    for joint in ("ankle", "knee"):
        ends = [p for side in SIDES if (p := body[f"{side} {joint}"]) is not None]
        if ends and shoulders is not None:
            dx, dy = np.abs(np.mean(ends, 0) - shoulders)
            return judge(math.degrees(math.atan2(dy, dx)), 30, 45)
    return None
