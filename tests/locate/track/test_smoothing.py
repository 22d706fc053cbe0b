"""The One Euro filter: calm at rest, quick in movement, calmer where the model is unsure."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from posetalk.locate.track.smoothing import FORGET, Smoother

AREA, RATE = 100.0 * 200, 25


def run(xy: np.ndarray, std: float | None = 4.0, rate: float = RATE) -> np.ndarray:
    smoother = Smoother()
    spread = None if std is None else np.full(xy.shape[1:], std)
    return np.array([smoother(1, row, spread, AREA, n / rate) for n, row in enumerate(xy)])


def jitter(xy: np.ndarray) -> float:
    return float(np.hypot(*np.diff(xy, axis=0).T).mean())


def test_at_rest_jitter_is_less_than_half_and_the_place_stays() -> None:
    noise = np.random.default_rng(0).normal(0, 1.5, (200, 5, 2))
    found = run(noise + 100)
    assert jitter(found) < 0.5 * jitter(noise) and np.abs(found[20:].mean(0) - 100).max() < 1


def test_fast_movement_is_followed() -> None:
    line = np.arange(50)[:, None, None] * np.ones((1, 5, 2)) * 12  # px a frame
    assert np.abs(run(line)[10:] - line[10:]).max() < 12  # less than a frame late


def test_an_unsure_keypoint_is_smoothed_more() -> None:
    noise = np.random.default_rng(0).normal(0, 1.5, (200, 5, 2))
    assert jitter(run(noise, std=16.0)) < jitter(run(noise, std=4.0)) < jitter(run(noise, std=2.0))
    assert jitter(run(noise, std=None)) < jitter(noise)


def test_the_first_place_is_as_it_is_and_a_gap_begins_anew() -> None:
    smoother, here, there = Smoother(), np.zeros((5, 2)), np.full((5, 2), 300.0)
    assert np.array_equal(smoother(1, here, None, AREA, 0.0), here)
    assert np.array_equal(smoother(1, there, None, AREA, FORGET + 0.1), there)
    assert np.array_equal(smoother(2, here, None, AREA, FORGET + 0.1), here)  # another person
    assert not np.array_equal(smoother(1, here, None, AREA, FORGET + 0.14), here)


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=2, max_size=20),
    st.floats(1, 240),
    st.floats(0.01, 1e3),
)
def test_it_stays_between_what_it_saw(points: list[tuple[float, float]], rate: float, std: float) -> None:
    xy = np.array(points)[:, None]
    found = run(xy, std, rate)
    assert np.isfinite(found).all()
    assert (found >= xy.min(0) - 1e-6).all() and (found <= xy.max(0) + 1e-6).all()
