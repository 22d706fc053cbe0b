"""The posture: standing, sitting, squatting, kneeling, lying or bending over; at most one is true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from posetalk.facts.body import FULL, OTHER, SIDES, Body, Numbers, both, either, judge, negated
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


@dataclass(frozen=True, slots=True)
class Support:
    """What is known of how a person is supported, beside the joints.

    captions: How many captions the image has.
    said:     Posture -> how many of them say it of this person.
    objects:  Posture -> the object that would carry the person in it, as evidence (`object chair at 3,40 60x80`).
    moves:    Whether captions say that the person walks, runs, jumps or rides, which is no standing.
    anybody:  Posture -> how many captions say it of somebody in the image.
    everybody: Posture -> how many captions say it of all the people they speak of.
    calm:     Whether there are captions, and nobody moves in them or does a sport.
    ground:   Whether somebody else stands as this person would, with the feet on about the same line of the image.
    """

    captions: int = 0
    said: Mapping[str, int] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    moves: bool = False
    anybody: Mapping[str, int] = field(default_factory=dict)
    everybody: Mapping[str, int] = field(default_factory=dict)
    calm: bool = False
    ground: bool = False

    def votes(self, posture: str) -> int:
        return self.said.get(posture, 0)

    def evidence(self, posture: str) -> tuple[str, ...]:
        votes = self.votes(posture) or self.everybody.get(posture, 0) or self.anybody.get(posture, 0)
        said = (f"captions {votes} of {self.captions}",) if votes else ()
        ground = ("people on the same ground",) if posture == "standing" and self.ground else ()
        return (*said, *ground, *([self.objects[posture]] if posture in self.objects else ()))

    def fits_a_caption(self, posture: str) -> bool:
        """Whether captions say it of somebody, and no other posture that a body like this might be in."""
        rivals = sum(self.anybody.get(other, 0) for other in EXCLUDED[posture])
        return self.anybody.get(posture, 0) > rivals


UNSUPPORTED = Support()


def posture_facts(body: Body, support: Support = UNSUPPORTED) -> Iterator[Fact]:
    """The facts of all postures.

    A projection alone does not tell a leap from a kneel. A posture is true where two captions say it and the joints do
    not show another one; or where the joints fit it and a caption or an object under the body supports it. Standing is
    also true on straight legs with both feet level below the hips: feet that carry.
    """
    fits = _fitting(body)
    lean = body.lean
    numbers: Numbers = {} if lean is None else {"lean": lean}
    for leg in _legs_of(body):
        numbers |= {f"{leg.side} {name}": value for name, value in leg.numbers().items()}
    values: dict[str, bool | None] = dict.fromkeys(POSTURES)
    evidence: dict[str, tuple[str, ...]] = {}
    true = [posture for posture in POSTURES if _is_supported(posture, fits, body, support)]
    if len(true) == 1:
        posture = true[0]
        shown = fits.get(posture) or (posture == "standing" and stands_on_one_line(body))
        from_joints = ("joints",) if shown else ()
        evidence[posture] = (*from_joints, *support.evidence(posture))
        values |= {posture: True} | dict.fromkeys(EXCLUDED[posture], False)
        evidence |= dict.fromkeys(EXCLUDED[posture], evidence[posture])
    elif not true:
        values |= _shown_not(body, support)
    for posture, value in values.items():
        fact = make_fact("body", posture, value, numbers)
        yield replace(fact, evidence=evidence[posture]) if posture in evidence else fact


def looks_standing(body: Body) -> bool | None:
    """Whether the trunk is upright above legs that are straight and reach down: also of a jump, or of a rider."""
    return _fitting(body).get("standing")


def stands_on_one_line(body: Body) -> bool:
    """Whether straight legs reach down from an upright trunk to level feet, near each other; of one leg if one is seen.

    Whoever hangs or leaps may look the same, so that more evidence is needed.
    """
    if body.lean is None or body.lean > 12 or body.trunk_share < FULL or body.looks_striding:
        return False
    if _feet_far_apart(body):
        return False
    legs = [leg for leg in _legs_of(body) if leg.drop is not None]
    feet = body.drop("left ankle", "right ankle")
    level = feet is None or abs(feet) < 0.15
    return (
        bool(legs) and level and all(judge(leg.drop, 1.0, 0.9) and judge(leg.knee, 155, 125) for leg in legs)
    )


def _legs_of(body: Body) -> list[_Leg]:
    return [leg for side in SIDES if (leg := _Leg(side, body)).thigh is not None]


def _feet_far_apart(body: Body) -> bool:
    left, right = body["left ankle"], body["right ankle"]
    if left is None or right is None or body.size is None:
        return False
    return abs(float(left[0] - right[0])) > 0.5 * body.size


def _hand_far_out(body: Body) -> bool:
    """Whether a hand is far beside the hips, as of those who leap or swing on bars. Set on 13 people of LSPET."""
    hips, size = body.middle("hip"), body.size
    if hips is None or size is None:
        return False
    hands = (body[f"{side} wrist"] for side in SIDES)
    return any(hand is not None and abs(float(hand[0] - hips[0])) > 0.65 * size for hand in hands)


@lru_cache(maxsize=256)
def _fitting(body: Body) -> dict[str, bool | None]:
    """Which postures the projection fits; empty without trunk or thighs."""
    legs, lean = _legs_of(body), body.lean
    if lean is None or not legs:
        return {}
    is_level = _is_level(body)
    return {
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


def _is_supported(
    posture: str,
    fits: dict[str, bool | None],
    body: Body,
    support: Support,
) -> bool:
    """Whether a posture is true: fitting joints with other evidence, or enough captions that nothing opposes."""
    carries, lean = body.stands_on_feet, body.lean
    stands_level = stands_on_one_line(body)
    votes = support.votes(posture)
    rivals = max((support.votes(other) for other in EXCLUDED[posture]), default=0)
    if rivals and votes < 2 * rivals:
        return False
    fit = fits.get(posture)
    met = [other for other in POSTURES if fits.get(other)]
    others = votes or posture in support.objects or support.fits_a_caption(posture)
    if posture == "standing" and not votes and _feet_far_apart(body):
        others = False  # somebody stands, but this one may walk
    if posture == "standing" and fit is None and not met:
        fit = stands_level
    if fit and others and len(met) <= 1:
        return posture != "standing" or not support.moves
    if (
        posture == "standing"
        and not support.moves
        and ((carries and not _hand_far_out(body)) or (stands_level and (support.calm or support.ground)))
    ):
        return True
    everybody = support.everybody.get(posture, 0)
    if everybody and everybody == sum(support.anybody.values()):
        votes = max(votes, everybody)
        if (posture != "sitting" and posture != "standing") or support.moves:
            return False
    if votes < min(2, max(1, support.captions)):
        return False
    if posture == "kneeling" and votes < 3:
        return False  # people write kneeling of a crouch
    if posture in ("sitting", "kneeling", "squatting", "lying") and carries:
        return False
    if posture == "lying" and lean is not None and lean < 25:
        return False  # or the photo was taken from above
    return not (posture == "standing" and (support.moves or fits.get("sitting") or fits.get("lying")))


def _shown_not(body: Body, support: Support) -> dict[str, bool | None]:
    """The postures that the joints show a body not to be in, where none is known to be true."""
    lean, legs = body.lean, _legs_of(body)
    shown: dict[str, bool | None] = {}
    folded = len(legs) == 2 and all(
        both(judge(leg.thigh, 0.3, 0.31), judge(leg.knee, 100, 101)) for leg in legs
    )
    if folded and not support.votes("standing"):
        shown["standing"] = False
    if lean is not None and body.trunk_share > FULL:
        if lean < 15 and not support.votes("bending over"):
            shown["bending over"] = False
        if lean < 20 and not support.votes("lying") and all((leg.drop or 0) > 0.6 for leg in legs) and legs:
            shown["lying"] = False
    return shown


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
