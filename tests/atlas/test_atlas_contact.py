"""How deep limbs are in each other, without anny."""

from __future__ import annotations

import pytest
import torch
from runs.atlas.contact import overlap

STANDING = {
    "spine05": (0, 0, 0.05), "spine01": (0, 0, 0.4), "neck03": (0, 0, 0.6), "head": (0, 0, 0.66),
    "lowerarm01.L": (0.4, 0, 0.3), "wrist.L": (0.6, 0, 0.3),
    "upperleg01.L": (0.12, 0, 0), "lowerleg01.L": (0.2, 0, -0.4), "foot.L": (0.25, 0, -0.8),
}  # fmt: skip
STANDING |= {
    name.replace(".L", ".R"): (-x, y, z) for name, (x, y, z) in STANDING.items() if name.endswith(".L")
}


def depth(**moved: tuple[float, float, float]) -> float:
    body = STANDING | {name.replace("_", "."): place for name, place in moved.items()}
    return float(overlap(torch.tensor([list(body.values())], dtype=torch.float32), list(body)))


def test_limbs_apart_do_not_overlap() -> None:
    assert depth() == 0


@pytest.mark.parametrize(
    "moved",
    [
        {"wrist_L": (0.0, 0.02, 0.3)},  # a hand in the belly
        {"wrist_L": (0.0, 0.0, 0.66)},  # in the head
        {"foot_L": (-0.2, 0.0, -0.5)},  # a foot in the other shin
        {"wrist_L": (-0.45, 0.0, 0.3)},  # arms through each other
    ],
)
def test_a_limb_in_another_is_told_on_either_side(moved: dict[str, tuple[float, float, float]]) -> None:
    mirrored = {name.replace("_L", "_R"): (-x, y, z) for name, (x, y, z) in moved.items()}
    assert depth(**moved) > 0.01
    assert depth(**moved) == pytest.approx(depth(**mirrored), abs=1e-6)
