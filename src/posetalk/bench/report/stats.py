"""Wilson's interval of a share, and a paired permutation test."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats

Z = 1.959964  # 97.5 % quantile of the normal distribution
ROUNDS = 10_000  # of the permutation test; at p = 0.05 the error is 0.005


def wilson(right: float, n: int) -> tuple[float, float] | None:
    """95 % score interval of a share.

    Args:
        right: Number of successes; it may be a mean.
        n: Number of trials.

    Returns:
        Lower and upper end, 0 to 1; None where n is 0.

    Source: E. B. Wilson, JASA 22, 1927.
    """
    if not n:
        return None
    share, z2 = right / n, Z * Z / n
    center = (share + z2 / 2) / (1 + z2)
    margin = Z / (1 + z2) * math.sqrt(share * (1 - share) / n + z2 / (4 * n))
    return max(0.0, center - margin), min(1.0, center + margin)


def swap_test(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, rounds: int = ROUNDS, seed: int = 0
) -> float | None:
    """Paired permutation test of the difference between two models, two-sided.

    A model's score is the sum of its numerators over the sum of its denominators. In each round the two models are
    swapped in a random half of the images.

    Args:
        numerators: (images, 2), a column for each model.
        denominators: (images, 2), likewise.
        rounds: Number of permutations.
        seed: Seed of the permutations.

    Returns:
        The p-value; None where there is no image or a sum of denominators is 0.
    """
    numerators, denominators = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if not len(numerators) or (denominators.sum(0) <= 0).any():
        return None
    signs = np.random.default_rng(seed).integers(0, 2, (rounds, len(numerators)), dtype=np.int8) * 2 - 1
    observed = _difference(numerators, denominators, np.ones((1, len(numerators))))[0]
    permuted = _difference(numerators, denominators, signs.astype(np.float64))
    permuted = permuted[np.isfinite(permuted)]
    # a tolerance, because sums are rounded
    as_extreme = np.abs(permuted) >= abs(observed) - 1e-12
    return float((1 + as_extreme.sum()) / (1 + len(permuted)))


def _difference(numerators: Floats, denominators: Floats, signs: Floats) -> Floats:
    """Score of the second model minus that of the first, (rounds,). A sign of -1 swaps the models in an image."""

    def sums(values: Floats) -> tuple[Floats, Floats]:
        total, half_difference = values.sum(), signs @ (values[:, 1] - values[:, 0]) / 2
        return total / 2 - half_difference, total / 2 + half_difference

    (numerator_a, numerator_b), (denominator_a, denominator_b) = sums(numerators), sums(denominators)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerator_b / denominator_b - numerator_a / denominator_a)
