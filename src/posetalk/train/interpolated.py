"""Questions about points that no data set labels: on the straight line between two keypoints that it does.

A name learned by heart needs no language; "halfway between the left wrist and the nose" does. Some lines are never
asked for, under any name, so that a model can be tested on them: across the hips and the shoulders, and the thighs.
A skeleton that labels such a point itself, as the body atlas does, does ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posetalk.skeleton import Keypoint
from posetalk.train.phrasing import phrased
from posetalk.train.target import Target

# Names of lines between two keypoints of one side; the others are asked for by their ends alone.
PART_NAMES = {
    frozenset({"shoulder", "elbow"}): ("middle of the {} upper arm",),
    frozenset({"elbow", "wrist"}): ("middle of the {} forearm", "middle of the {} lower arm"),
    frozenset({"knee", "ankle"}): ("middle of the {} shin", "middle of the {} lower leg"),
}
HELD_OUT = (
    frozenset({"left hip", "right hip"}),
    frozenset({"left shoulder", "right shoulder"}),
    frozenset({"left hip", "left knee"}),
    frozenset({"right hip", "right knee"}),
)
# By the share of the way: how often it is asked for, and in which words. {0} is the end that it starts from.
FRACTIONS: dict[float, tuple[float, tuple[str, ...]]] = {
    0.5: (
        0.5,
        (
            "point halfway between the {0} and the {1}",
            "midpoint of the {0} and the {1}",
            "halfway from the {0} to the {1}",
            "between the {0} and the {1}, in the middle",
            "as far from the {0} as from the {1}, on the line between them",
        ),
    ),
    1 / 3: (
        0.2,
        (
            "point one third of the way from the {0} to the {1}",
            "a third of the way from the {0} towards the {1}",
            "between the {0} and the {1}, nearer to the {0}",
        ),
    ),
    0.25: (
        0.15,
        (
            "point a quarter of the way from the {0} to the {1}",
            "a quarter of the distance to the {1} away from the {0}",
        ),
    ),
    0.1: (
        0.15,
        (
            "just beside the {0}, on the way to the {1}",
            "close to the {0}, a little towards the {1}",
            "from the {0} a small step in the direction of the {1}",
        ),
    ),
}


def interpolated_keypoints(targets: Sequence[Target], count: int, rng: np.random.Generator) -> list[Target]:
    """`count` questions about points on lines between labelled targets; none where there are fewer than two.

    A point can be seen where both its ends can. An end goes by any of its names.
    """
    if len(targets) < 2 or not count:
        return []
    questions = []
    for _ in range(count):
        first, second = (targets[i] for i in rng.permutation(len(targets))[:2])
        fraction = list(FRACTIONS)[rng.choice(len(FRACTIONS), p=[often for often, _ in FRACTIONS.values()])]
        names = first.keypoint.name, second.keypoint.name
        if frozenset(names) in HELD_OUT:
            continue
        assert first.xy is not None and second.xy is not None
        forms = FRACTIONS[fraction][1]
        form = forms[rng.integers(len(forms))]
        line = form.format(*(phrased(end.keypoint, False, rng).name for end in (first, second)))
        keypoint = Keypoint(line)
        words = [tuple(name.split()) for name in names]
        if fraction == 0.5 and all(len(p) == 2 for p in words) and words[0][0] == words[1][0]:
            part_names = PART_NAMES.get(frozenset(p[1] for p in words))
            if part_names and rng.random() < 0.7:
                name = part_names[rng.integers(len(part_names))].format(words[0][0])
                keypoint = Keypoint(name, f"the {line}" if rng.random() < 0.5 else "")
        x, y = ((1 - fraction) * a + fraction * b for a, b in zip(first.xy, second.xy, strict=True))
        known = first.visible is not None and second.visible is not None
        questions.append(Target(keypoint, (x, y), (first.visible and second.visible) if known else None))
    return questions
