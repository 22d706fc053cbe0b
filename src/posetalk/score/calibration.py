"""Does a score mean what it says: the similarity (OKS's term for one keypoint) that is to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posetalk.errors import need

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Keypoints whose score lies in one tenth of 0..1: how many, their mean score, their mean similarity."""

    n: int
    score: float
    similarity: float


def reliability(score: npt.ArrayLike, similarity: npt.ArrayLike) -> tuple[tuple[Bin, ...], float | None]:
    """Scores and similarities (n,) in 0..1 -> the bins that hold any, and the expected calibration error.

    The error is the mean over keypoints of how far their bin's mean score is from its mean similarity (Guo et al.,
    ICML 2017, equation 3, with similarity in place of right or wrong); None where there are no keypoints.
    """
    s, t = np.asarray(score, np.float64), np.asarray(similarity, np.float64)
    index = np.clip((s * BINS).astype(int), 0, BINS - 1)
    bins = tuple(
        Bin(int((index == i).sum()), float(s[index == i].mean()), float(t[index == i].mean()))
        for i in range(BINS)
        if (index == i).any()
    )
    return bins, sum(b.n * abs(b.score - b.similarity) for b in bins) / len(s) if len(s) else None


def draw_reliability(bins: Sequence[Bin], error: float, path: Path) -> None:
    """The reliability diagram as an image: mean similarity over mean score, and how many keypoints lie where."""
    need("matplotlib", "model")
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(4.6, 5.2), dpi=120, layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    above.plot([0, 1], [0, 1], color="#9aa0ae", linewidth=1, linestyle="--")
    above.plot([b.score for b in bins], [b.similarity for b in bins], color="#2a6fd6", marker="o")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="mean similarity")
    above.set_title(f"Reliability: expected calibration error {error:.3f}", fontsize=11)
    below.bar([b.score for b in bins], [b.n for b in bins], width=0.07, color="#2a6fd6")
    below.set(xlabel="mean score", ylabel="keypoints")
    figure.savefig(path)
