"""Poses read off labelled photos: the angles whose joints lie where the labels are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from runs.atlas.body import Anatomy
from runs.atlas.contact import overlap
from runs.atlas.poses import HIGHEST, LOWEST, NAMES, SPREAD, Joints, PoseBank, rotation

from posetalk.formats.dataset import read_people
from posetalk.skeleton import load_skeleton

NAMES_2D = (*load_skeleton("coco17").names, "neck", "head top")
LSPET_TRAINED = 8300  # images with higher numbers are held out
ASPECTS = (4 / 3, 3 / 4)  # of COCO's photos, whose labels come without their sizes
FEWEST = 12  # labelled keypoints of a person whose pose is read
STEPS = 150
RATE = 0.06
APART = 0.1  # of the longer side, for a metre that limbs go through each other
CLOSE = 0.035  # of the longer side: the largest mean distance of a pose that is taken
BONE_OF = {
    **dict.fromkeys(("nose", "left eye", "right eye", "left ear", "right ear", "head top"), "head"),
    "neck": "neck01",
    **{
        f"{side} {joint}": f"{bone}.{side[0].upper()}"
        for side in ("left", "right")
        for joint, bone in (
            ("shoulder", "upperarm01"),
            ("elbow", "lowerarm01"),
            ("wrist", "wrist"),
            ("hip", "upperleg01"),
            ("knee", "lowerleg01"),
            ("ankle", "foot"),
        )
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class Layouts:
    """Labelled keypoints of n people: places (n, 19, 2) with the longer side of what is labelled as 1 and its middle
    as 0, and whether each is labelled (n, 19)."""

    places: np.ndarray
    labelled: np.ndarray


def _enough(labelled: np.ndarray) -> np.ndarray:
    """Which people (n, 19) have enough labels, both shoulders and both hips among them."""
    needed = [
        NAMES_2D.index(f"{side} {joint}") for side in ("left", "right") for joint in ("shoulder", "hip")
    ]
    return (labelled.sum(1) >= FEWEST) & labelled[:, needed].all(1)


def _normalised(places: np.ndarray, labelled: np.ndarray) -> Layouts:
    shown = np.where(labelled[..., None], places, np.nan)
    low, high = np.nanmin(shown, 1), np.nanmax(shown, 1)
    side = (high - low).max(1)[:, None, None]
    places = (places - ((low + high) / 2)[:, None]) / np.maximum(side, 1e-9)
    return Layouts(np.where(labelled[..., None], places, 0.0), labelled)


def lspet_layouts(folder: Path, count: int, rng: np.random.Generator) -> Layouts:
    """`count` people of LSPET's training images (`folder` holds joints.mat), drawn at random."""
    data = read_people(folder / "joints.mat", folder / "images", last=LSPET_TRAINED)
    people = [person for _, person in data.people()]
    columns = [NAMES_2D.index(name) for name in data.keypoint_names]
    places, labelled = np.zeros((len(people), len(NAMES_2D), 2)), np.zeros((len(people), len(NAMES_2D)), bool)
    for row, number in enumerate(rng.permutation(len(people))):
        places[row, columns], labelled[row, columns] = people[number].keypoints, people[number].labelled
    kept = np.flatnonzero(_enough(labelled))[:count]
    return _normalised(places[kept], labelled[kept])


def coco_layouts(file: Path, count: int, rng: np.random.Generator) -> tuple[Layouts, Layouts]:
    """`count` people of COCO's train2017, drawn at random from an npz of normalised labels (`is_val`,
    `keypoints_norm_xyv`): as if their photos were 4:3, and as if they were 3:4, since it holds no sizes."""
    data = np.load(file)
    labels = data["keypoints_norm_xyv"].reshape(-1, 17, 3)
    labelled = np.zeros((len(labels), len(NAMES_2D)), bool)
    labelled[:, :17] = labels[..., 2] > 0
    kept = rng.permutation(np.flatnonzero(_enough(labelled) & ~data["is_val"].astype(bool)))[:count]
    places = np.zeros((len(kept), len(NAMES_2D), 2))
    places[:, :17] = labels[kept, :, :2]
    wide, tall = (_normalised(places * (aspect, 1), labelled[kept]) for aspect in ASPECTS)
    return wide, tall


def fit_poses(anatomy: Anatomy, layouts: Layouts, seed: int) -> tuple[PoseBank, np.ndarray]:
    """A pose for each person, and how far its joints are from the labels: (n,) means, the longer side is 1."""
    joints = Joints(anatomy)
    maker = torch.Generator().manual_seed(seed)
    wanted = torch.from_numpy(layouts.places).float()
    labelled = torch.from_numpy(layouts.labelled).float()
    n = len(wanted)
    bones = [anatomy.bone(BONE_OF[name]) for name in NAMES_2D]
    regressed = torch.from_numpy(anatomy.regression @ anatomy.rest.vertices[0]).float()
    order = [anatomy.regressed.index(name.replace(" ", "_")) for name in NAMES_2D[:17]]
    ends = torch.stack(
        [
            joints.heads[bones[17]],
            torch.tensor(anatomy.rest.vertices[0][anatomy.rest.vertices[0][:, 2].argmax()]),
        ]
    )
    offsets = torch.cat([regressed[order], ends]) - joints.heads[bones]

    at = {name: wanted[:, NAMES_2D.index(name)] for name in NAMES_2D}
    facing = (
        at["left shoulder"][:, 0] + at["left hip"][:, 0] > at["right shoulder"][:, 0] + at["right hip"][:, 0]
    )
    trunk = (at["left shoulder"] + at["right shoulder"] - at["left hip"] - at["right hip"]) / 2
    yaw = torch.where(facing, 0.0, np.pi) + 0.4 * torch.randn(n, generator=maker)
    view = torch.stack([torch.zeros(n), torch.atan2(trunk[:, 0], -trunk[:, 1]), yaw], 1).requires_grad_()
    spread = SPREAD / (HIGHEST - LOWEST) * 4
    rest = torch.logit(((0.0 - LOWEST) / (HIGHEST - LOWEST)).clamp(0.03, 0.97))
    free = (rest + 0.7 * spread * torch.randn(n, len(NAMES), generator=maker)).requires_grad_()
    size = torch.full((n,), 0.55).log().requires_grad_()
    shift = torch.zeros(n, 2, requires_grad=True)
    optimizer = torch.optim.Adam([view, free, size, shift], lr=RATE)

    def error() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        angles = LOWEST + (HIGHEST - LOWEST) * free.sigmoid()
        root = root_turn(view)
        world, heads = joints.places(joints.turns(angles), root)
        places = heads[:, bones] + (world[:, bones] @ offsets[..., None])[..., 0]
        seen = torch.stack([places[..., 0], -places[..., 2]], -1) * size.exp()[:, None, None] + shift[:, None]
        off = ((seen - wanted) ** 2).sum(-1).add(1e-8).sqrt()
        return (off * labelled).sum(1) / labelled.sum(1), overlap(heads, joints.bones), angles, root

    for _ in range(STEPS):
        off, through, _, _ = error()
        usual = (((free - rest) / (2.5 * spread)) ** 2).mean(1) * 0.01 + (view[:, 0] / 0.4) ** 2 * 0.004
        optimizer.zero_grad()
        (off + usual + APART * through).sum().backward()
        optimizer.step()
    with torch.no_grad():
        off, _, angles, root = error()
    return PoseBank(angles.numpy(), root.numpy()), off.numpy()


def root_turn(view: torch.Tensor) -> torch.Tensor:
    """Tilt toward the viewer, roll in the picture and turn about the upright axis (n, 3) -> (n, 3, 3)."""
    tilt, roll, yaw = view.unbind(1)
    zero = torch.zeros_like(tilt)
    return (
        rotation(torch.stack([zero, roll, zero], 1))
        @ rotation(torch.stack([tilt, zero, zero], 1))
        @ rotation(torch.stack([zero, zero, yaw], 1))
    )


def pose_bank(anatomy: Anatomy, lspet: Path | None, coco: Path, count: int, seed: int) -> PoseBank:
    """About `count` poses, half of them LSPET's athletes' if it is there, the others COCO's people's; those that fit
    the labels badly are left out."""
    rng = np.random.default_rng(seed)
    fitted = [fit_poses(anatomy, lspet_layouts(lspet, count // 2, rng), seed)] if lspet else []
    everyday = count - count // 2 * len(fitted)
    wide, tall = (fit_poses(anatomy, one, seed + 1) for one in coco_layouts(coco, everyday, rng))
    pick = (wide[1] <= tall[1])[:, None]
    better = PoseBank(
        np.where(pick, wide[0].angles, tall[0].angles),
        np.where(pick[..., None], wide[0].roots, tall[0].roots),
    )
    fitted.append((better, np.minimum(wide[1], tall[1])))
    kept = np.concatenate([off for _, off in fitted]) < CLOSE
    banks = [bank for bank, _ in fitted]
    angles, roots = (np.concatenate(rows) for rows in zip(*((b.angles, b.roots) for b in banks), strict=True))
    return PoseBank(angles[kept], roots[kept])
