"""People: a shape, a pose, clothes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from runs.atlas.body import Anatomy
from runs.atlas.contact import overlap
from runs.atlas.dress import Look, Places, draw_look, standoff
from runs.atlas.fit import root_turn
from runs.atlas.garments import Garment, Tailor
from runs.atlas.mesh import incidence, normals, skinned
from runs.atlas.poses import HIGHEST, LOWEST, NAMES, SPREAD, Joints, PoseBank
from runs.atlas.regions import Regions
from runs.atlas.settings import AtlasSettings
from scipy import sparse

GROWN, YOUNGEST = 0.62, 0.13  # of anny's age: 2/3 is grown up, 0 new-born; the youngest here are about three
DRAWN = 6  # poses of which the one is taken whose limbs go least through each other
STATURE = 1.63  # m, of the average body


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """A person: vertices (v + g, 3) m with clothes, those of the body first, their normals, and where each is on the
    average body; faces (f, 3); heads of bones (b, 3) m; the look; stature, m, at rest."""

    vertices: np.ndarray
    normals: np.ndarray
    at: Places
    faces: np.ndarray
    heads: np.ndarray
    look: Look
    stature: float

    def moved(self, by: np.ndarray) -> Dressed:
        return replace(self, vertices=(self.vertices + by).astype(np.float32), heads=self.heads + by)


class People:
    """Draws people at random."""

    def __init__(self, anatomy: Anatomy, bank: PoseBank, settings: AtlasSettings) -> None:
        self.anatomy, self.bank, self.settings = anatomy, bank, settings
        self._joints, self._tailor = Joints(anatomy), Tailor(anatomy)
        r = Regions.of(anatomy)
        self._body = Places(r.part, r.along, r.scalp, anatomy.rest.vertices[0])
        self._meet = incidence(anatomy.faces, len(r.part))

    def _shape(self, rng: np.random.Generator) -> dict[str, float]:
        """Two thirds grown-ups; most of average weight."""
        age = rng.uniform(GROWN, 1.0) if rng.random() < 0.7 else rng.uniform(YOUNGEST, GROWN)
        shape = {name: float(np.clip(rng.normal(0.5, 0.22), 0, 1)) for name in self.anatomy.shape_names}
        return shape | {"age": float(age), "gender": float(rng.beta(0.5, 0.5))}

    def _pose(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Angles (p,) and the root's turn (3, 3)."""
        low, high = LOWEST.numpy(), HIGHEST.numpy()
        if rng.random() < self.settings.free_share:
            drawn = np.clip(SPREAD.numpy() * rng.normal(size=(DRAWN, len(NAMES))), low, high)
            angles = torch.from_numpy(drawn).float()
            _, heads = self._joints.places(self._joints.turns(angles), torch.eye(3).expand(DRAWN, 3, 3))
            best = int(overlap(heads, self.anatomy.bones).argmin())
            return drawn[best], _root(*rng.normal(size=2) * 0.25, rng.uniform(-np.pi, np.pi))
        row = rng.integers(len(self.bank.angles))
        angles = np.clip(self.bank.angles[row] + rng.normal(size=len(NAMES)) * 0.08, low, high)
        turned = rng.random() < self.settings.turned_share
        yaw = rng.uniform(-np.pi, np.pi) if turned else rng.normal() * 0.25
        tilt, roll = rng.normal(size=2) * 0.12
        if rng.random() < 0.08:
            roll = rng.uniform(-np.pi, np.pi)  # lying, falling, upside down
        return angles, _root(tilt, roll, yaw) @ self.bank.roots[row]

    def _turns(self, rng: np.random.Generator) -> np.ndarray:
        angles, root = self._pose(rng)
        curl = torch.from_numpy(rng.beta(1, 2, (1, 2))).float()
        turns = np.tile(np.eye(3, dtype=np.float32), (len(self.anatomy.bones), 1, 1))
        for name, turn in self._joints.turns(torch.from_numpy(angles).float()[None], curl).items():
            turns[self.anatomy.bone(name)] = turn[0].numpy()
        turns[0] = root
        return turns

    def draw(self, rng: np.random.Generator, photos: list[np.ndarray]) -> Dressed:
        """Someone whose pelvis is the origin of the world."""
        shape = self._shape(rng)
        body = self.anatomy.shapes([shape])
        rest, stature = body.vertices[0], float(np.ptp(body.vertices[0][:, 2]))
        moves, heads = self.anatomy.moves(body.heads[0], self._turns(rng))
        look = draw_look(rng, photos, shape["gender"] if shape["age"] > 0.5 else 0.5, shape["age"] > GROWN)
        skin = skinned(rest, self.anatomy.skin, moves)
        off = standoff(look, self._body) * (stature / STATURE)
        skin = skin + off[:, None] * normals(skin, self.anatomy.faces, self._meet)
        parts = [(skin, normals(skin, self.anatomy.faces, self._meet), self._body, self.anatomy.faces)]
        for garment in self._garments(look):
            parts.append(self._worn(garment, rest, stature, moves))
        starts = np.cumsum([0, *(len(part[0]) for part in parts[:-1])])
        return Dressed(
            (np.concatenate([part[0] for part in parts]) - heads[0]).astype(np.float32),
            np.concatenate([part[1] for part in parts]),
            Places.joined([part[2] for part in parts]),
            np.concatenate([part[3] + start for part, start in zip(parts, starts, strict=True)]),
            heads - heads[0],
            look,
            stature,
        )

    def _garments(self, look: Look) -> list[Garment]:
        garments = []
        if look.skirt:
            garments.append(self._tailor.skirt(look.skirt[0], look.waist, look.skirt[1]))
        if look.locks:
            garments.append(self._tailor.locks(*look.locks))
        if look.brim:
            garments.append(self._tailor.brim(*look.brim))
        return garments

    def _worn(
        self, garment: Garment, rest: np.ndarray, stature: float, moves: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Places, np.ndarray]:
        weights = sparse.csr_matrix(garment.hold @ self.anatomy.skin)
        vertices = skinned(garment.on(rest, stature / STATURE), weights, moves)
        n = len(vertices)
        at = Places(
            np.full(n, garment.part),
            np.zeros(n, np.float32),
            np.full(n, -1.0, np.float32),
            garment.rest.astype(np.float32),
        )
        return vertices, normals(vertices, garment.faces, incidence(garment.faces, n)), at, garment.faces


def _root(tilt: float, roll: float, yaw: float) -> np.ndarray:
    return root_turn(torch.tensor([[tilt, roll, yaw]], dtype=torch.float32))[0].numpy()
