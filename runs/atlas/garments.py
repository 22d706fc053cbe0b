"""What hangs on a body without being its skin: skirts, long hair, the brims of hats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from runs.atlas.body import Anatomy
from runs.atlas.regions import BRIM, LOCKS, SKIRT
from scipy import sparse
from scipy.spatial import cKDTree

ROUND = 30  # vertices of a ring
ARMS_FROM = 0.3  # m from the body's axis: nearer, at rest, there is no arm
HEAD_AXIS = (0.0, -0.045)
TRUNK_AXIS = (0.0, -0.02)
EAR_HEIGHT = 0.665
VISOR_HEIGHT = 0.757


@dataclass(frozen=True, slots=True, eq=False)
class Garment:
    """A mesh that follows the body.

    rest:   (g, 3) m, its vertices on the average body at rest.
    faces:  (f, 3) indices of these vertices.
    hold:   (g, v) sparse, the means of vertices of the body that each one follows.
    offset: (g, 3) m, from there to the vertex, on the average body.
    part:   SKIRT, LOCKS or BRIM.
    """

    rest: np.ndarray
    faces: np.ndarray
    hold: sparse.csr_matrix
    offset: np.ndarray
    part: int

    def on(self, vertices: np.ndarray, scale: float) -> np.ndarray:
        """(g, 3) m, on a body at rest whose size is `scale` times the average."""
        return self.hold @ vertices + scale * self.offset


class Tailor:
    """Cuts garments to the average body."""

    def __init__(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        self._vertices = anatomy.rest.vertices[0].astype(float)
        moved_by = np.asarray(anatomy.skin.argmax(1)).ravel()
        names = np.array([bone.split("0")[0].split(".")[0] for bone in anatomy.bones])[moved_by]
        self._lower = np.isin(names, ("upperleg", "lowerleg", "pelvis", "root", "spine"))
        self._head = names == "head"

    def skirt(self, hem: float, waist: float, flare: float) -> Garment:
        """A skirt from `waist` down to `hem`, heights in m on the average body; `flare` m wider at its hem."""
        heights = np.linspace(waist, hem, 8)
        rings = np.stack([self._outline(z, TRUNK_AXIS, ARMS_FROM) for z in heights])
        rings = np.maximum.accumulate(rings, 0) + 0.008 + flare * np.linspace(0, 1, 8)[:, None] ** 1.5
        rest = self._rings(rings, heights, TRUNK_AXIS)
        # the cloth between the legs follows both
        share = np.clip(0.5 + rest[:, 0] / 0.16, 0, 1)
        left, right = (
            self._nearest(rest, self._lower & (self._vertices[:, 0] * sign > 0)) for sign in (1, -1)
        )
        rows = np.arange(len(rest))
        hold = sparse.csr_matrix(
            (np.concatenate([share, 1 - share]), (np.tile(rows, 2), np.concatenate([left, right]))),
            (len(rest), len(self._vertices)),
        )
        return self._garment(rest, _tube(8, ROUND, closed=True), hold, SKIRT)

    def locks(self, end: float, off: float, face: float) -> Garment:
        """Long hair down to the height `end`, `off` m off the head; `face` radians on each side are free of it."""
        heights = np.concatenate(
            [[0.8, 0.79], np.linspace(0.775, EAR_HEIGHT, 6), np.linspace(EAR_HEIGHT - 0.02, end, 5)]
        )
        around = np.stack([self._outline(max(z, EAR_HEIGHT), HEAD_AXIS, 0.2) for z in heights]) + off
        around[0] *= 0.35
        wanted = np.linspace(face, 2 * np.pi - face, ROUND)
        angles = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
        rings = np.stack([np.interp(wanted, angles, ring, period=2 * np.pi) for ring in around])
        rest = self._rings(rings, heights, HEAD_AXIS, wanted)
        return self._garment(rest, _tube(len(heights), ROUND, closed=False), self._rigid(rest), LOCKS)

    def brim(self, width: float, reach: float) -> Garment:
        """A hat's brim `width` m wide, `reach` radians to each side from the front."""
        angles = np.linspace(-reach, reach, ROUND)
        inner = np.interp(
            angles, np.linspace(0, 2 * np.pi, ROUND, endpoint=False), self._outline(VISOR_HEIGHT, HEAD_AXIS, 0.2),
            period=2 * np.pi,
        )  # fmt: skip
        fall = np.cos(angles / reach * np.pi / 2) if reach < 2 else np.ones(ROUND)
        rings = np.stack([inner, inner + width * np.maximum(fall, 0.1)])
        rest = self._rings(rings, np.array([VISOR_HEIGHT, VISOR_HEIGHT - 0.012]), HEAD_AXIS, angles)
        return self._garment(rest, _tube(2, ROUND, closed=False), self._rigid(rest), BRIM)

    def _outline(self, height: float, axis: tuple[float, float], reach: float) -> np.ndarray:
        """(ROUND,) m from the axis to the skin at a height, from the front on to the left; gaps are bridged."""
        angles = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
        outward = np.stack([np.sin(angles), -np.cos(angles), np.zeros(ROUND)], 1)
        starts = np.array([*axis, height]) + reach * outward
        hit = self._anatomy.surface.cast(starts, -outward, reach)
        found = hit.face >= 0
        if not found.any():
            return np.zeros(ROUND)
        return np.interp(angles, angles[found], reach - hit.distance[found], period=2 * np.pi)

    @staticmethod
    def _rings(
        radii: np.ndarray, heights: np.ndarray, axis: tuple[float, float], angles: np.ndarray | None = None
    ) -> np.ndarray:
        angles = np.linspace(0, 2 * np.pi, ROUND, endpoint=False) if angles is None else angles
        x, y = axis[0] + radii * np.sin(angles), axis[1] - radii * np.cos(angles)
        return np.stack([x, y, np.broadcast_to(heights[:, None], x.shape)], -1).reshape(-1, 3)

    def _nearest(self, places: np.ndarray, among: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero(among)
        return chosen[cKDTree(self._vertices[chosen]).query(places)[1]]

    def _rigid(self, rest: np.ndarray) -> sparse.csr_matrix:
        """Moves with the head."""
        nearest = self._nearest(rest, self._head & (self._vertices[:, 2] > EAR_HEIGHT))
        ones = np.ones(len(rest))
        return sparse.csr_matrix((ones, (np.arange(len(rest)), nearest)), (len(rest), len(self._vertices)))

    def _garment(self, rest: np.ndarray, faces: np.ndarray, hold: sparse.csr_matrix, part: int) -> Garment:
        return Garment(rest, faces, hold, rest - hold @ self._vertices, part)


def _tube(rings: int, around: int, *, closed: bool) -> np.ndarray:
    """Triangles between rings of vertices, on both sides of the cloth."""
    columns = np.arange(around if closed else around - 1)
    a = (np.arange(rings - 1)[:, None] * around + columns).ravel()
    b = (np.arange(rings - 1)[:, None] * around + (columns + 1) % around).ravel()
    return np.concatenate([np.stack([a, b, a + around], 1), np.stack([b, b + around, a + around], 1)]).astype(
        np.int32
    )
