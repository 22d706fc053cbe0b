"""Stick figures whose joints are put where their names say."""

from __future__ import annotations

import math

import numpy as np

Points = dict[str, np.ndarray]
TRUNK, THIGH, SHIN, UPPER, FORE, WIDE = 100.0, 85.0, 85.0, 64.0, 50.0, 70.0


def towards(degrees: float, length: float) -> np.ndarray:
    """A vector on the image: 0 is down, 90 to the image's right, 180 up."""
    angle = math.radians(degrees)
    return np.array([math.sin(angle), math.cos(angle)]) * length


def figure(
    trunk: float = 180,
    thighs: tuple[float, float] = (0, 0),
    shins: tuple[float, float] = (0, 0),
    uppers: tuple[float, float] = (0, 0),
    fores: tuple[float, float] = (0, 0),
    wide: float = WIDE,
    nose: tuple[float, float] = (0, 0),
    short: float = 1.0,
    at: tuple[float, float] = (300, 300),
) -> Points:
    """Joints in px, left before right; directions as `towards`. wide < 0: seen from behind. short: of thighs.

    at: where the hips are; the trunk is 100 px long.
    """
    hips = np.array(at, dtype=float)
    neck = hips + towards(trunk, TRUNK)
    head = neck + towards(trunk, 35)
    points = {"nose": head + nose}
    for i, (side, sign) in enumerate((("left", 1), ("right", -1))):
        points[f"{side} eye"] = head + np.array([sign * 6 * np.sign(wide), -4])
        points[f"{side} ear"] = head + np.array([sign * 14 * np.sign(wide), 0])
        shoulder = neck + np.array([sign * wide / 2, 0])
        points[f"{side} shoulder"] = shoulder
        points[f"{side} elbow"] = shoulder + towards(uppers[i], UPPER)
        points[f"{side} wrist"] = points[f"{side} elbow"] + towards(fores[i], FORE)
        hip = hips + np.array([sign * wide * 0.3, 0])
        points[f"{side} hip"] = hip
        points[f"{side} knee"] = hip + towards(thighs[i], THIGH * short)
        points[f"{side} ankle"] = points[f"{side} knee"] + towards(shins[i], SHIN)
    return points
