"""Questions about points that no data set labels: on the straight line between two keypoints that it does.

A name learned by heart needs no language; "halfway between the left wrist and the nose" does. Some lines are never
asked for, under any name, so that a model can be tested on them: across the hips and the shoulders, and the thighs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posetalk.skeleton import Keypoint
from posetalk.train.target import Target

# Names of lines between two keypoints of one side; the others are asked for by their ends alone.
PARTS = {
    frozenset({"shoulder", "elbow"}): ("middle of the {} upper arm",),
    frozenset({"elbow", "wrist"}): ("middle of the {} forearm", "middle of the {} lower arm"),
    frozenset({"knee", "ankle"}): ("middle of the {} shin", "middle of the {} lower leg"),
}
KEPT_FOR_TESTS = (
    frozenset({"left hip", "right hip"}),
    frozenset({"left shoulder", "right shoulder"}),
    frozenset({"left hip", "left knee"}),
    frozenset({"right hip", "right knee"}),
)
SHARES = {
    0.5: ("point halfway between the {} and the {}", "midpoint of the {} and the {}"),
    1 / 3: ("point one third of the way from the {} to the {}",),
    0.25: ("point a quarter of the way from the {} to the {}",),
}


def interpolated_keypoints(found: Sequence[Target], count: int, rng: np.random.Generator) -> list[Target]:
    """`count` questions about points on lines between targets that have a place; none where there are under two.

    A point can be seen where both its ends can.
    """
    if len(found) < 2 or not count:
        return []
    asked = []
    for _ in range(count):
        first, second = (found[i] for i in rng.permutation(len(found))[:2])
        share = list(SHARES)[rng.choice(len(SHARES), p=(0.6, 0.25, 0.15))]
        names = first.keypoint.name, second.keypoint.name
        if frozenset(names) in KEPT_FOR_TESTS:
            continue
        assert first.place is not None and second.place is not None
        forms = SHARES[share]
        line = forms[rng.integers(len(forms))].format(*names)
        keypoint = Keypoint(line)
        parts = [tuple(name.split()) for name in names]
        if share == 0.5 and all(len(p) == 2 for p in parts) and parts[0][0] == parts[1][0]:
            called = PARTS.get(frozenset(p[1] for p in parts))
            if called and rng.random() < 0.7:
                name = called[rng.integers(len(called))].format(parts[0][0])
                keypoint = Keypoint(name, f"the {line}" if rng.random() < 0.5 else "")
        x, y = ((1 - share) * a + share * b for a, b in zip(first.place, second.place, strict=True))
        known = first.visible is not None and second.visible is not None
        asked.append(Target(keypoint, (x, y), (first.visible and second.visible) if known else None))
    return asked
