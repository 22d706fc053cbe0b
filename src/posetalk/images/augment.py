"""Random crops of a person for training."""

from __future__ import annotations

import numpy as np

from posetalk.images.affine import Square
from posetalk.settings import AugmentSettings
from posetalk.types import Box, Person

ROTATION_CHANCE = 0.5  # LocLLM rotates half of its training crops
HALF_AT_LEAST = 8  # HRNet halves people with more labelled keypoints than this
ROOM = 0.15  # of the longer side: a box is so much wider than the keypoints in it


def augment(square: Square, settings: AugmentSettings, rng: np.random.Generator) -> Square:
    """A random variation of a crop: scaled, rotated, shifted and perhaps mirrored.

    The side is multiplied by clip(N(1, scale), 1 - scale, 1 + scale); the rotation changes by U(-rotation, rotation)
    degrees with probability 0.5; the flip is toggled with probability `flip`; the centre moves by U(-shift, shift) of
    the original side along x and y. The random numbers of all four are always consumed, so that switching one off does
    not change the others.
    """
    factor = float(np.clip(rng.normal(1.0, settings.scale), 1 - settings.scale, 1 + settings.scale))
    angle = float(rng.uniform(-settings.rotation, settings.rotation))
    is_turned = bool(rng.random() < ROTATION_CHANCE)
    is_mirrored = bool(rng.random() < settings.flip)
    dx, dy = rng.uniform(-1, 1, 2) * settings.shift * square.side
    return Square(
        center=(square.center[0] + float(dx), square.center[1] + float(dy)),
        side=square.side * factor,
        size=square.size,
        rotation=square.rotation + (angle if is_turned else 0.0),
        flip=square.flip != is_mirrored,
    )


def half_body(person: Person, rng: np.random.Generator) -> Box:
    """A box around the upper or the lower half of a person's labelled keypoints, along the person's longer direction.

    The whole box of a person with few labelled keypoints, or of one whose half is a point.
    """
    xy = person.keypoints[person.labelled]
    if len(xy) <= HALF_AT_LEAST:
        return person.box
    away = xy - xy.mean(0)
    along = away @ np.linalg.svd(away, full_matrices=False)[2][0]
    half = xy[along <= np.median(along)] if rng.random() < 0.5 else xy[along >= np.median(along)]
    low, high = half.min(0), half.max(0)
    room = ROOM * float((high - low).max())
    if room <= 0:
        return person.box
    width, height = high - low + 2 * room
    return Box(float(low[0] - room), float(low[1] - room), float(width), float(height))
