"""Shares and tests against what they are defined by."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from posetalk.bench.report.stats import swap_test, wilson


@pytest.mark.parametrize(("right", "n"), [(1, 2), (3, 10), (8, 10), (50, 100), (999, 1000)])
def test_wilsons_interval_ends_where_the_share_is_just_credible(right: int, n: int) -> None:
    """At its ends the share lies 1.96 of a true share's own standard errors away: the interval's definition."""
    ends = wilson(right, n)
    assert ends is not None and ends[0] < right / n < ends[1]
    for end in ends:
        assert abs(right / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, abs=1e-9)


def test_wilsons_interval_of_all_and_of_nothing() -> None:
    z2 = 1.959964**2
    assert wilson(0, 10) == pytest.approx((0, z2 / (10 + z2)), abs=1e-12)
    assert wilson(10, 10) == pytest.approx((10 / (10 + z2), 1), abs=1e-12)
    assert all(0 <= end <= 1 for n in range(1, 200) for k in (0, n) for end in wilson(k, n) or ())
    assert wilson(0, 0) is None


@pytest.mark.parametrize("rounds", [1, 9, 99, None])
def test_no_p_is_zero(rounds: int | None) -> None:
    """Of 60 pictures that all speak for one model no round is as extreme; what was seen counts as a round itself."""
    tops, bottoms = np.tile([0.0, 1.0], (60, 1)), np.ones((60, 2))
    p = swap_test(tops, bottoms) if rounds is None else swap_test(tops, bottoms, rounds)
    assert p == 1 / (1 + (rounds or 10_000))  # the report says 10,000 rounds


@pytest.mark.parametrize("swapped", [False, True])
def test_p_is_two_sided(swapped: bool) -> None:
    """Of three pictures for one model two of eight ways to change places are as extreme: none, and all."""
    tops = np.array([[0.0, 1.0]] * 3)[:, :: -1 if swapped else 1]
    assert swap_test(tops, np.ones((3, 2)), rounds=20_000) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_p_is_that_of_all_exchanges_where_pictures_weigh_differently(seed: int) -> None:
    """All 64 ways of six pictures whose bottoms differ much, counted."""
    draw = np.random.default_rng(seed)
    tops, bottoms = draw.uniform(0, 30, (6, 2)), draw.uniform(1, 60, (6, 2))

    def difference(swaps: tuple[bool, ...]) -> float:
        a, b = (np.where(np.array(swaps)[:, None], x[:, ::-1], x).sum(0) for x in (tops, bottoms))
        return float(a[1] / b[1] - a[0] / b[0])

    every = [abs(difference(swaps)) for swaps in product((False, True), repeat=6)]
    exact = np.mean([value >= every[0] - 1e-12 for value in every])
    assert swap_test(tops, bottoms, rounds=40_000) == pytest.approx(exact, abs=0.015)


def test_models_change_places_with_tops_and_bottoms() -> None:
    """Two equal models, one seen on longer answers: as different after each exchange."""
    tops, bottoms = np.array([[1.0, 2.0]] * 9), np.array([[2.0, 4.0]] * 9)
    assert swap_test(tops, bottoms) == 1
    assert swap_test(tops, np.array([[1.0, 0.0]] * 9)) is None
