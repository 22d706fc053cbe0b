"""The settings of an atlas."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from posetalk.inputs import LocalPath
from posetalk.settings import Settings


class AtlasSettings(Settings):
    """Which people are rendered, and how."""

    pictures: int = Field(ge=1)
    """How many pictures."""
    seed: int = 1
    """Picture i depends on the seed and i alone."""
    size: int = Field(default=288, ge=64, le=1024)
    """Side of a picture, px."""
    quality: tuple[int, int] = (70, 92)
    """Bounds of the JPEG quality."""
    without: tuple[str, ...] = ()
    """Words that begin no word of any text: `knee` leaves out knees and kneecaps, and each text that names one."""
    lspet: LocalPath | None = None
    """Leeds Sports Pose Extended (images/, joints.mat): poses and backgrounds; images from 8,301 on are not read. None:
    those of COCO alone, whose labels are free."""
    coco: LocalPath
    """`train2017` photos of COCO and their `person_keypoints` file, in one folder: backgrounds."""
    layouts: LocalPath
    """An npz of normalised COCO labels (`is_val`, `keypoints_norm_xyv`), whose train2017 people lend their poses."""
    poses: int = Field(default=1600, ge=4)
    """How many labelled people are looked at for poses."""
    free_share: float = Field(default=0.15, ge=0, le=1)
    """Share of people in a pose drawn at random within human limits, the others in one read off labels."""
    turned_share: float = Field(default=0.4, ge=0, le=1)
    """Share of people turned about the upright axis at random, so that any pose is seen from any side."""
    others: tuple[float, float, float] = (0.58, 0.28, 0.14)
    """Shares of pictures with one, two and three people."""
    crops: tuple[float, float, float, float] = (0.62, 0.18, 0.1, 0.1)
    """Shares of pictures of the whole person, the upper body, head and chest, and the legs."""
    covered_share: float = Field(default=0.2, ge=0, le=1)
    """Share of pictures with a thing in front of the person."""

    @property
    def athletes(self) -> Path | None:
        return Path(self.lspet) if self.lspet else None
