"""How far limbs go through each other and through the trunk, from where the joints are."""

from __future__ import annotations

from collections.abc import Sequence

import torch

HAND = 0.45  # of the forearm's length, from the wrist to the knuckles
# Capsules of the average body: bones at their ends, and radius, m.
TRUNK = ("spine05", "spine01", 0.115)
SKULL = ("neck03", "head", 0.085)
LEGS = ((("upperleg01", "lowerleg01"), 0.07), (("lowerleg01", "foot"), 0.045))
FOREARM = 0.035


def overlap(heads: torch.Tensor, bones: Sequence[str]) -> torch.Tensor:
    """Heads of bones (n, b, 3) m -> (n,) m, the sum over points of arms and legs of how deep each is in something."""
    at = {name: heads[:, index] for index, name in enumerate(bones)}
    trunk, skull = ((at[a], at[b], radius) for a, b, radius in (TRUNK, SKULL))
    legs = {
        side: [(at[f"{a}.{side}"], at[f"{b}.{side}"], radius) for (a, b), radius in LEGS] for side in "LR"
    }
    total = torch.zeros(len(heads))
    for side, other in ("LR", "RL"):
        elbow, wrist = at[f"lowerarm01.{side}"], at[f"wrist.{side}"]
        arm = [elbow, (elbow + wrist) / 2, wrist, wrist + HAND * (wrist - elbow)]
        across = (at[f"lowerarm01.{other}"], at[f"wrist.{other}"], FOREARM)
        for place in arm:
            for start, end, radius in (trunk, skull, *legs["L"], *legs["R"], across):
                total = total + (radius + FOREARM - _distance(place, start, end)).relu()
        knee, ankle = at[f"lowerleg01.{side}"], at[f"foot.{side}"]
        for place in (knee, (knee + ankle) / 2, ankle):
            for start, end, radius in (trunk, *legs[other]):
                total = total + (radius + LEGS[1][1] - _distance(place, start, end)).relu()
    return total


def _distance(place: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """(n,) from points to segments, all (n, 3)."""
    line = end - start
    along = ((place - start) * line).sum(1) / (line**2).sum(1).clamp_min(1e-9)
    return (place - start - along.clamp(0, 1)[:, None] * line).norm(dim=1)
