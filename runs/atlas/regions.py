"""Which part of the body each vertex belongs to, and how far along it, for clothes and hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from runs.atlas.body import Anatomy

HEAD, TRUNK, ARM, HAND, LEG, FOOT, EYE, SKIRT, LOCKS, BRIM = range(10)
_PREFIXES = (
    (EYE, ("eye",)),
    (HEAD, ("head", "neck02", "neck03")),
    (HAND, ("wrist", "finger", "metacarpal")),
    (ARM, ("upperarm", "lowerarm")),
    (FOOT, ("foot", "toe")),
    (LEG, ("upperleg", "lowerleg")),
)
# The hair's edge on the average body, seen from the side: how high it is at each depth, m.
HAIR_Y = (-0.14, -0.11, -0.075, -0.06, -0.02, 0.03)
HAIR_Z = (0.775, 0.765, 0.735, 0.70, 0.65, 0.60)
EAR_X, EAR_Z = 0.072, 0.708


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Of v vertices: part (v,), one of the numbers above; along (v,), from 0 at the shoulder or hip to 1 at the wrist
    or ankle; scalp (v,), how far inside the hair's edge, m."""

    part: np.ndarray
    along: np.ndarray
    scalp: np.ndarray

    @classmethod
    def of(cls, anatomy: Anatomy) -> Regions:
        vertices, heads = anatomy.rest.vertices[0], anatomy.rest.heads[0]
        kind = np.array(
            [next((k for k, p in _PREFIXES if name.startswith(p)), TRUNK) for name in anatomy.bones]
        )
        part = kind[np.asarray(anatomy.skin.argmax(1)).ravel()]
        along = np.zeros(len(vertices))
        for side, sign in (("L", 1), ("R", -1)):
            for kinds, line in (
                ((ARM, HAND), ("upperarm01", "lowerarm01", "wrist")),
                ((LEG, FOOT), ("upperleg01", "lowerleg01", "foot")),
            ):
                here = np.isin(part, kinds) & (vertices[:, 0] * sign > 0)
                start, middle, end = (heads[anatomy.bone(f"{name}.{side}")] for name in line)
                along[here] = _along(vertices[here], start, middle, end)
        x, y, z = vertices.T
        scalp = np.where(part == HEAD, z - np.interp(y, HAIR_Y, HAIR_Z), -1.0)
        scalp[(abs(x) > EAR_X) & (z < EAR_Z)] = -1.0
        return cls(part, along.astype(np.float32), scalp.astype(np.float32))


def _along(points: np.ndarray, start: np.ndarray, middle: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Half for each of the two bones, by the nearer one; beyond the ends it goes on."""
    found = []
    for a, b in ((start, middle), (middle, end)):
        line = b - a
        found.append((points - a) @ line / (line @ line))
    first, second = found
    return np.where(first < 1, np.minimum(first, 1) / 2, 0.5 + np.maximum(second, 0) / 2)
