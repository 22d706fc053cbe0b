"""What a view teaches of one keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.skeleton import Keypoint


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of a keypoint in a view: its place (x, y in 0..1 of the crop) and whether it can be seen."""

    keypoint: Keypoint
    place: tuple[float, float] | None
    visible: bool | None


def placed(found: Sequence[Target]) -> list[Target]:
    """Those with a place."""
    return [target for target in found if target.place is not None]
