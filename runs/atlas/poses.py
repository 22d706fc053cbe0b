"""How people hold themselves: joints within human limits, and poses read off real labels.

A pose is a vector of angles in radians, one row of PARAMETERS each; 0 is a person who stands with hanging arms.
Labelled keypoints of photos give the poses: `fit_poses` looks for the angles, within the limits, whose
joints lie where the labels are when seen from afar. What the labels leave open, depth above all, is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from runs.atlas.body import Anatomy

# name: (lowest, highest, usual spread), radians. Ranges of motion after the AAOS tables, rounded.
_ARM = {
    "raise": (-3.0, 0.9, 0.8),  # forwards is negative
    "spread": (-0.6, 2.8, 0.8),  # away from the body
    "turn": (-1.2, 1.2, 0.5),  # about its own axis
    "elbow": (0.0, 2.5, 0.9),
    "pronation": (-1.3, 1.2, 0.5),
    "wrist": (-0.9, 0.9, 0.3),
    "wrist sideways": (-0.4, 0.4, 0.15),
}
_LEG = {
    "lift": (-2.1, 0.45, 0.7),
    "part": (-0.35, 1.0, 0.35),
    "roll": (-0.6, 0.7, 0.25),
    "knee": (0.0, 2.4, 0.8),
    "ankle": (-0.4, 0.8, 0.25),
    "ankle sideways": (-0.3, 0.3, 0.1),
}
_TRUNK = {
    "bend": (-0.5, 1.3, 0.35),
    "lean": (-0.5, 0.5, 0.15),
    "twist": (-0.7, 0.7, 0.2),
    "nod": (-0.8, 0.8, 0.3),
    "tilt": (-0.5, 0.5, 0.15),
    "look": (-1.1, 1.1, 0.4),
}
PARAMETERS: dict[str, tuple[float, float, float]] = {
    **_TRUNK,
    **{f"{name} {side}": limits for side in "LR" for name, limits in {**_ARM, **_LEG}.items()},
}
NAMES = tuple(PARAMETERS)
LOWEST, HIGHEST, SPREAD = (torch.tensor(column) for column in zip(*PARAMETERS.values(), strict=True))
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")


def rotation(vectors: torch.Tensor) -> torch.Tensor:
    """Rotation vectors (..., 3) -> matrices (..., 3, 3)."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    squared = (vectors**2).sum(-1)[..., None, None] + 1e-12
    angle = squared.sqrt()
    eye = torch.eye(3, dtype=vectors.dtype)
    return eye + torch.sin(angle) / angle * cross + (1 - torch.cos(angle)) / squared * (cross @ cross)


class Joints:
    """Turns of anny's bones from the angles of poses.

    The axes are those of the average body: a hinge is perpendicular to its limb as it lies at rest.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.bones = anatomy.bones
        self.parents = anatomy.parents
        self.heads = torch.from_numpy(anatomy.rest.heads[0])
        self._fingers = [name for name in self.bones if name.startswith("finger")]
        self._arms = {side: self._fixed(side) for side in "LR"}

    def _head(self, name: str) -> torch.Tensor:
        return self.heads[self.bones.index(name)]

    def _along(self, first: str, second: str) -> torch.Tensor:
        line = self._head(second) - self._head(first)
        return line / line.norm()

    def turns(self, angles: torch.Tensor, curl: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Angles (n, p), and how far fingers are curled (n, 2) from 0 to 1 -> (n, 3, 3) by bone; others do not turn."""
        of = dict(zip(NAMES, angles.unbind(1), strict=True))
        # each bone's turns, of which the last is done first
        factors: dict[str, tuple[torch.Tensor, ...]] = {}
        for bones, (bend, lean, twist) in (
            (SPINE, ("bend", "lean", "twist")),
            (NECK, ("nod", "tilt", "look")),
        ):
            vector = torch.stack([of[bend], of[lean], of[twist]], 1) / len(bones)
            factors |= dict.fromkeys(bones, (vector,))
        for side, sign in (("L", 1.0), ("R", -1.0)):
            factors |= self._arm(of, side, sign) | self._leg(of, side, sign)
            if curl is not None:
                factors |= self._hand(curl[:, 0 if side == "L" else 1], side)
        matrices = rotation(torch.stack([vector for some in factors.values() for vector in some], 1))
        turns, at = {}, 0
        for name, some in factors.items():
            turn = matrices[:, at]
            for k in range(1, len(some)):
                turn = turn @ matrices[:, at + k]
            turns[name], at = turn, at + len(some)
        return turns

    def _arm(
        self, of: dict[str, torch.Tensor], side: str, sign: float
    ) -> dict[str, tuple[torch.Tensor, ...]]:
        fixed = self._arms[side]
        raised = of[f"raise {side}"]
        swing = torch.stack([raised, -sign * of[f"spread {side}"], torch.zeros_like(raised)], 1)
        size = swing.norm(dim=1, keepdim=True)
        swing = swing * (size.clamp(max=3.0) / (size + 1e-9))
        half = -sign * of[f"turn {side}"][:, None] / 2 * fixed["upper"]
        hang = fixed["hang"].expand_as(half)
        return {
            f"clavicle.{side}": (0.15 * swing,),
            f"upperarm01.{side}": (0.85 * swing, hang, half),
            f"upperarm02.{side}": (half,),
            f"lowerarm01.{side}": ((of[f"elbow {side}"] - fixed["bent"])[:, None] * fixed["hinge"],),
            f"lowerarm02.{side}": (sign * of[f"pronation {side}"][:, None] * fixed["fore"],),
            f"wrist.{side}": (
                sign * of[f"wrist {side}"][:, None] * fixed["across"],
                of[f"wrist sideways {side}"][:, None] * fixed["palm"],
            ),
        }

    def _fixed(self, side: str) -> dict[str, torch.Tensor]:
        """Axes of an arm at rest; `hang` is the turn that lets it hang, `bent` how far its elbow is bent."""
        upper = self._along(f"upperarm01.{side}", f"lowerarm01.{side}")
        fore = self._along(f"lowerarm01.{side}", f"wrist.{side}")
        down = torch.tensor([0.0, 0.0, -1.0])
        hinge, hang = torch.linalg.cross(upper, fore), torch.linalg.cross(upper, down)
        wrist, index, little = (self._head(f"{name}.{side}") for name in ("wrist", "finger2-1", "finger5-1"))
        palm = torch.linalg.cross(index - wrist, little - wrist)
        palm = palm / palm.norm()
        return {
            "upper": upper,
            "fore": fore,
            "palm": palm,
            "across": torch.linalg.cross(fore, palm),
            "hinge": hinge / hinge.norm(),
            "bent": torch.arccos((upper @ fore).clamp(-1, 1)),
            "hang": hang / hang.norm() * torch.arccos(upper @ down),
        }

    def _leg(
        self, of: dict[str, torch.Tensor], side: str, sign: float
    ) -> dict[str, tuple[torch.Tensor, ...]]:
        thigh = self._along(f"upperleg01.{side}", f"lowerleg01.{side}")
        shin = self._along(f"lowerleg01.{side}", f"foot.{side}")
        lifted = of[f"lift {side}"]
        swing = torch.stack([lifted, -sign * of[f"part {side}"], torch.zeros_like(lifted)], 1)
        half = -sign * of[f"roll {side}"][:, None] / 2 * thigh
        hinge = torch.linalg.cross(shin, torch.tensor([0.0, 1.0, 0.0]))
        return {
            f"upperleg01.{side}": (swing, half),
            f"upperleg02.{side}": (half,),
            f"lowerleg01.{side}": (of[f"knee {side}"][:, None] * hinge / hinge.norm(),),
            f"foot.{side}": (
                of[f"ankle {side}"][:, None] * torch.tensor([1.0, 0.0, 0.0]),
                of[f"ankle sideways {side}"][:, None] * torch.tensor([0.0, 1.0, 0.0]),
            ),
        }

    def _hand(self, curl: torch.Tensor, side: str) -> dict[str, tuple[torch.Tensor, ...]]:
        """Fingers bend toward the palm, the thumb less."""
        across = self._along(f"finger5-1.{side}", f"finger2-1.{side}") * (1.0 if side == "L" else -1.0)
        return {
            name: (curl[:, None] * (0.35 if name.startswith("finger1") else 1.3) * across,)
            for name in self._fingers
            if name.endswith(side)
        }

    def places(self, turns: dict[str, torch.Tensor], root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """World turns (n, b, 3, 3) and heads (n, b, 3) of the average body around its root."""
        world: list[torch.Tensor] = []
        heads: list[torch.Tensor] = []
        for b, (name, parent) in enumerate(zip(self.bones, self.parents, strict=True)):
            if name.startswith(("finger", "metacarpal", "toe", "eye")):  # no label tells of them
                world.append(world[parent])
                heads.append(heads[parent])
                continue
            if parent < 0:
                world.append(root)
                heads.append(torch.zeros(len(root), 3))
                continue
            world.append(world[parent] @ turns[name] if name in turns else world[parent])
            heads.append(heads[parent] + world[parent] @ (self.heads[b] - self.heads[parent]))
        return torch.stack(world, 1), torch.stack(heads, 1)


@dataclass(frozen=True, slots=True, eq=False)
class PoseBank:
    """Poses of n people: angles (n, p) and how each one's root is turned (n, 3, 3), seen along +y with z up."""

    angles: np.ndarray
    roots: np.ndarray
