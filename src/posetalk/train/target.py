"""One keypoint of a view, as it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.skeleton import Keypoint


@dataclass(frozen=True, slots=True)
class Target:
    """A keypoint of a view: x, y in 0..1 of the crop, and whether it can be seen; None where unknown."""

    keypoint: Keypoint
    xy: tuple[float, float] | None
    visible: bool | None


def labelled_targets(targets: Sequence[Target]) -> list[Target]:
    """Those with known `xy`."""
    return [target for target in targets if target.xy is not None]
