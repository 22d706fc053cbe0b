"""Shares and differences with how far they can be trusted: Wilson's interval, resampling, and a permutation test."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats

Z = 1.959964  # of the normal distribution: 95 %
ROUNDS = 10_000  # of the permutation test: p is known to within 0.005 at 0.05


def wilson(right: float, n: int) -> tuple[float, float] | None:
    """The 95 % score interval of a share (E. B. Wilson, JASA 22, 1927); None of nothing."""
    if not n:
        return None
    share, z2 = right / n, Z * Z / n
    middle = (share + z2 / 2) / (1 + z2)
    reach = Z / (1 + z2) * math.sqrt(share * (1 - share) / n + z2 / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def swap_test(
    tops: npt.ArrayLike, bottoms: npt.ArrayLike, rounds: int = ROUNDS, seed: int = 0
) -> float | None:
    """How often two models that are as good as each other differ as much as these two: p, two-sided.

    tops, bottoms: (n, 2), a row a picture, a column a model; a model's number is the sum of its tops over the sum of
    its bottoms. Paired: in each round the two models change places in half of the pictures, drawn at random. None where
    there is no picture, or a sum of bottoms is 0.
    """
    top, bottom = np.asarray(tops, np.float64), np.asarray(bottoms, np.float64)
    if not len(top) or (bottom.sum(0) <= 0).any():
        return None
    signs = np.random.default_rng(seed).integers(0, 2, (rounds, len(top)), dtype=np.int8) * 2 - 1
    observed = _difference(top, bottom, np.ones((1, len(top))))[0]
    drawn = _difference(top, bottom, signs.astype(np.float64))
    drawn = drawn[np.isfinite(drawn)]
    # as much, but for what rounding does to sums
    as_far = np.abs(drawn) >= abs(observed) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(drawn)))


def _difference(top: Floats, bottom: Floats, signs: Floats) -> Floats:
    """The second's number minus the first's, (rounds,); the models change places where a sign is -1."""

    def sums(values: Floats) -> tuple[Floats, Floats]:
        whole, half = values.sum(), signs @ (values[:, 1] - values[:, 0]) / 2
        return whole / 2 - half, whole / 2 + half

    (top_a, top_b), (bottom_a, bottom_b) = sums(top), sums(bottom)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(top_b / bottom_b - top_a / bottom_a)
