"""Clothes, skin, hair and faces: the colour of each place of a body, and how far cloth stands off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from runs.atlas.cloth import Cloth, Waves
from runs.atlas.regions import ARM, BRIM, EYE, FOOT, HAND, HEAD, LEG, LOCKS, SKIRT, TRUNK

SKIN = np.array(
    [[244, 208, 180], [226, 180, 148], [198, 146, 110], [150, 103, 72], [104, 70, 48], [70, 47, 34]], float
)
SKIN_SHARES = (0.22, 0.24, 0.18, 0.14, 0.12, 0.1)
HAIR = np.array(
    [
        [18, 14, 12],
        [45, 30, 22],
        [85, 55, 35],
        [140, 95, 55],
        [205, 170, 110],
        [150, 60, 30],
        [175, 172, 168],
    ],
    float,
)
WAIST = 0.13  # m, of the average body
COLLAR = 0.535


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one person wears. Lengths run along a limb, 0 to 1; 0 leaves it bare, and under 0 there is no garment."""

    sleeves: float
    hem: float  # height of the lower edge of what is worn above, m of the average body
    collar: float
    legs: float
    waist: float
    shoes: bool
    socks: float
    gloves: bool
    skirt: tuple[float, float] | None  # hem's height on the average body and flare, m
    locks: tuple[float, float, float] | None  # end's height, m off the head, radians free of hair
    brim: tuple[float, float] | None  # width, m, and radians to each side
    hair: float  # how far the hair's edge is moved inwards, m; above 0.2 there is none
    cap: bool
    beard: float
    top: Cloth
    bottom: Cloth
    shoe: np.ndarray
    sock: np.ndarray
    hat: Cloth
    skin: np.ndarray
    hair_colour: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    loose: tuple[float, float, float]  # m, how far top, trousers and hair stand off
    waves: Waves
    blotches: Waves


def draw_look(rng: np.random.Generator, photos: list[np.ndarray], gender: float, grown: bool) -> Look:
    """A random look. gender as anny's: near 0 beards are likelier, near 1 long hair and skirts."""
    manly = 1 - gender
    skin = SKIN[rng.choice(len(SKIN), p=SKIN_SHARES)] * rng.uniform(0.92, 1.06)
    skin = skin + rng.normal(size=3) * 4
    bare_top = rng.random() < 0.06 + 0.06 * manly
    sleeves = _either(rng, {(0, 0.08): 0.16, (0.15, 0.38): 0.36, (0.4, 0.7): 0.1, (0.88, 1.02): 0.38})
    legs = _either(rng, {(0, 0.12): 0.1, (0.2, 0.5): 0.3, (0.55, 0.85): 0.1, (0.9, 1.05): 0.5})
    waist = WAIST + rng.normal() * 0.03
    same = rng.random() < 0.12
    top = Cloth(rng, photos)
    hat = rng.random() < 0.2
    skirt = rng.random() < 0.3 * (1 - manly)
    locks = None
    if rng.random() < 0.55 * (1 - manly) + 0.05:
        locks = (
            float(rng.uniform(0.42, 0.63)),
            float(rng.uniform(0.008, 0.03)),
            float(rng.uniform(0.9, 1.5)),
        )
    return Look(
        sleeves=-1.0 if bare_top else float(sleeves),
        hem=float(waist - _either(rng, {(-0.02, 0.02): 0.5, (0, 0.12): 0.4, (-0.12, 0): 0.1})),
        collar=float(COLLAR + rng.uniform(-0.06, 0.03)),
        legs=float(legs),
        waist=float(waist),
        shoes=bool(rng.random() < 0.72),
        socks=_either(rng, {(0, 0): 0.5, (0, 0.15): 0.35, (0.15, 0.45): 0.15}),
        gloves=bool(rng.random() < 0.06),
        skirt=(float(rng.uniform(-0.65, -0.12)), float(rng.uniform(0, 0.1))) if skirt else None,
        locks=locks,
        brim=(float(rng.uniform(0.04, 0.09)), float(rng.choice([0.9, 3.15]))) if hat and rng.random() < 0.6 else None,
        hair=0.0 if locks else _either(rng, {(0, 0): 0.55, (0, 0.03): 0.35, (1, 1): 0.1}),
        cap=bool(hat),
        beard=float(rng.random() < 0.35 * manly * grown) * float(rng.uniform(0.3, 0.95)),
        top=top,
        bottom=top if same else Cloth(rng, photos),
        shoe=rng.choice([rng.uniform(10, 60), rng.uniform(200, 250)]) + rng.normal(size=3) * 25,
        sock=rng.choice([rng.uniform(15, 60), rng.uniform(190, 250)]) + rng.normal(size=3) * 15,
        hat=Cloth(rng, photos),
        skin=skin,
        hair_colour=HAIR[rng.integers(len(HAIR))] * rng.uniform(0.8, 1.2),
        lips=skin * np.array([0.92, 0.68, 0.68]) * rng.uniform(0.85, 1.05),
        iris=np.array([[60, 40, 25], [90, 65, 40], [70, 95, 110], [75, 95, 65]])[rng.integers(4)].astype(float),
        loose=(
            _either(rng, {(0.002, 0.002): 0.5, (0.004, 0.02): 0.5}),
            _either(rng, {(0.002, 0.002): 0.5, (0.004, 0.025): 0.5}),
            _either(rng, {(0.004, 0.004): 0.4, (0.005, 0.02): 0.45, (0.02, 0.06): 0.15}),
        ),
        waves=Waves(rng, 0.2),
        blotches=Waves(rng, 0.08),
    )  # fmt: skip


def _either(rng: np.random.Generator, ranges: dict[tuple[float, float], float]) -> float:
    """A number from one of some ranges, each of which is as likely as it says."""
    ends = list(ranges)
    return float(rng.uniform(*ends[rng.choice(len(ends), p=list(ranges.values()))]))


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """n places of a body: part (n,), along (n,), scalp (n,) as in `Regions`, and where they are on the average body
    at rest, (n, 3) m."""

    part: np.ndarray
    along: np.ndarray
    scalp: np.ndarray
    rest: np.ndarray

    @classmethod
    def joined(cls, some: Sequence[Places]) -> Places:
        """All places of `some`, in order."""
        names = ("part", "along", "scalp", "rest")
        return cls(*(np.concatenate([getattr(one, name) for one in some]) for name in names))


def worn(look: Look, at: Places) -> dict[str, np.ndarray]:
    """Which places are under the top, the bottom, shoes, socks, gloves, and hair: bool (n,) each."""
    x, y, z = at.rest.T
    neck = (
        look.collar
        - np.where(y < -0.03, np.clip(0.05 - abs(x) * 0.7, 0, 0.05), 0)
        + 0.8 * np.clip(abs(x) - 0.055, 0, 1)
    )
    sleeve = (at.part == ARM) & (at.along < look.sleeves)
    above = (np.isin(at.part, (TRUNK, HEAD)) & (z > look.hem) & (z < neck)) | (
        (at.part == LEG) & (z > look.hem)
    )
    top = (sleeve | above) if look.sleeves >= 0 else np.zeros(len(x), bool)
    bottom = ((at.part == TRUNK) & (z < look.waist)) | ((at.part == LEG) & (at.along < look.legs))
    foot = at.part == FOOT
    leg_end = (at.part == LEG) & (at.along > 1 - look.socks)
    return {
        "top": top,
        "bottom": bottom & ~top,
        "shoe": foot & look.shoes,
        "sock": ((foot & (look.socks > 0)) | leg_end) & ~(foot & look.shoes) & ~bottom,
        "glove": (at.part == HAND) & look.gloves,
        "hair": at.scalp > look.hair,
    }


def standoff(look: Look, at: Places) -> np.ndarray:
    """How far what is worn stands off the skin, m."""
    on = worn(look, at)
    top, bottom, hair = look.loose
    wave = 0.7 + 0.3 * look.waves(at.rest)
    off = np.zeros(len(at.part))
    off[on["bottom"]] = bottom
    off[on["top"]] = top
    off *= wave
    off[on["shoe"]] = 0.006
    inside = np.clip((at.scalp - look.hair) / 0.03, 0, 1)
    return off + np.where(on["hair"], hair * inside * wave, 0)


def colours(look: Look, at: Places) -> np.ndarray:
    """(n, 3) colours, 0 to 255, without light."""
    on = worn(look, at)
    colour = look.skin * (1 + 0.05 * look.blotches(at.rest)[:, None] * np.array([0.6, 1, 1]))
    face = (at.part == HEAD) | (at.part == EYE)
    if face.any():
        colour[face] = _face(look, colour[face], at.rest[face], at.part[face])
    for name, cloth in (("bottom", look.bottom), ("top", look.top)):
        if on[name].any():
            colour[on[name]] = cloth(at.rest[on[name]])
    colour[on["shoe"]] = look.shoe
    colour[on["sock"]] = look.sock
    colour[on["glove"]] = look.shoe
    skirt = at.part == SKIRT
    if skirt.any():
        colour[skirt] = look.bottom(at.rest[skirt])
    brim = at.part == BRIM
    if brim.any():
        colour[brim] = look.hat(at.rest[brim])
    hair = on["hair"] | (at.part == LOCKS)
    if hair.any():
        strands = 1 + 0.25 * look.blotches(at.rest[hair] * (3, 3, 0.6))
        colour[hair] = look.hair_colour * strands[:, None]
        if look.cap:
            capped = hair & (at.scalp > 0.012) & (at.rest[:, 2] > 0.70)
            colour[capped] = look.hat(at.rest[capped])
    return colour


def _face(look: Look, colour: np.ndarray, rest: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Eyes, brows, lips, nostrils, cheeks and beard."""
    x, y, z = abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    front = y < -0.09
    cheek = np.exp(-((x - 0.045) ** 2 + (z - 0.66) ** 2) / 0.015**2) * front
    colour = colour * (1 - cheek[:, None] * np.array([-0.03, 0.1, 0.08]))
    beard = front & (z < 0.648 - 0.1 * np.clip(0.03 - x, 0, 1)) & (z > 0.57)
    beard |= (
        (y > -0.09)
        & (y < -0.058)
        & (z < 0.655 - (0.09 + y) * 0.2)
        & (z > 0.598 - y * 0.1 - 0.005)
        & (part == HEAD)
    )
    beard &= ~((abs(z - 0.629) < 0.009) & (x < 0.026))
    colour = np.where(beard[:, None], colour * (1 - look.beard) + look.hair_colour * look.beard, colour)
    brow = front & (abs(z - 0.7145 + 0.12 * np.maximum(x - 0.035, 0)) < 0.0042) & (x > 0.011) & (x < 0.052)
    colour[brow] = 0.75 * look.hair_colour + 0.25 * colour[brow]
    lips = (y < -0.12) & (abs(z - 0.629) < 0.0105 * np.sqrt(np.clip(1 - (x / 0.025) ** 2, 0, 1)))
    colour[lips] = look.lips
    colour[(y < -0.12) & (abs(z - 0.6295) < 0.0012) & (x < 0.023)] *= 0.55
    colour[(y < -0.12) & ((x - 0.008) ** 2 + (z - 0.6525) ** 2 < 0.0035**2)] *= 0.35
    eye = part == EYE
    away = np.hypot(x - 0.03, z - 0.6985)
    colour[eye] = np.where(
        away[eye, None] < 0.0026,
        15.0,
        np.where(away[eye, None] < 0.0062, look.iris, np.array([228.0, 224, 220])),
    )
    return colour
