"""How far a number could move with other people of the same kind: percentile bootstrap over people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats


def resample(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, rounds: int = 1000, seed: int = 0
) -> Floats:
    """Each ratio of sums over `rounds` draws of n people with replacement: (rounds, m); nan where 0 / 0.

    numerators, denominators: (n, m), one row a person, one column a number. All columns see the same draws,
    so that the spread of a difference between two of them is that of paired samples.
    """
    numerator, denominator = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    n, m = numerator.shape
    random = np.random.default_rng(seed)
    values = np.full((rounds, m), np.nan)
    if not n:
        return values
    for row in values:
        counts = np.bincount(random.integers(0, n, n), minlength=n).astype(np.float64)
        sums = counts @ denominator
        np.divide(counts @ numerator, sums, out=row, where=sums > 0)
    return values


def interval(values: npt.ArrayLike, share: float = 0.95) -> tuple[float, float] | None:
    """Where the middle `share` of the drawn values lies; None if there are none."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
