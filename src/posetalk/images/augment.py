"""Random crops of a person for training."""

from __future__ import annotations

import numpy as np

from posetalk.images.affine import Square
from posetalk.settings import AugmentSettings

ROTATION_CHANCE = 0.5  # LocLLM rotates half of its training crops


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
