"""What was found in one image, which shows itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, Self

import numpy as np
from PIL import Image

from posetalk.draw import draw_pose
from posetalk.images.opening import Pixels
from posetalk.skeleton import BUILT_IN, KeypointQuery, Skeleton, load_skeleton
from posetalk.types import Poses

Limbs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Found(Poses):
    """The poses in one image, with the image, as `Localizer.locate` returns them. A notebook shows it drawn.

    image: (h, w, 3) uint8 RGB, the image itself, no copy.
    limbs: Pairs of indices into the keypoints to join by lines.
    """

    image: Pixels = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8), repr=False)
    limbs: Limbs = field(default=(), repr=False)

    @classmethod
    def of(cls, poses: Poses, image: Pixels, limbs: Limbs = ()) -> Self:
        """Poses with their image."""
        given = {part.name: getattr(poses, part.name) for part in fields(Poses)}
        return cls(**given, image=image, limbs=tuple(limbs))

    def draw(self, labels: Literal["custom", "all", "none"] = "custom") -> Image.Image:
        """The image with the poses drawn in, see `draw_pose`.

        Args:
            labels: Which names are written: `custom`, those of keypoints without a limb; `all`; `none`.
        """
        return Image.fromarray(draw_pose(self.image, self, self.limbs, labels=labels))

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        file = io.BytesIO()
        self.draw().save(file, "PNG")
        return file.getvalue()


def limbs_of(keypoints: KeypointQuery, names: Sequence[str]) -> Limbs:
    """The limbs of a skeleton that was asked for; else of the first built-in one whose names are all there."""
    if isinstance(keypoints, Skeleton):
        return keypoints.limbs
    if isinstance(keypoints, Path) or (
        isinstance(keypoints, str) and (keypoints in BUILT_IN or keypoints.endswith(".toml"))
    ):
        return load_skeleton(keypoints).limbs
    for body in map(load_skeleton, BUILT_IN):
        if set(names) >= set(body.names):
            index = [list(names).index(name) for name in body.names]
            return tuple((index[a], index[b]) for a, b in body.limbs)
    return ()
