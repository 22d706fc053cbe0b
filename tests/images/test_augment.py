"""Augmentation: pure, seeded, and distributed as the reference draws it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.images.affine import Square
from posetalk.images.augment import augment
from posetalk.settings import AugmentSettings

SQUARE = Square(center=(100.0, 80.0), side=50.0, size=224)
STILL = AugmentSettings(scale=0, rotation=0, flip=0, shift=0)


def views(settings, square=SQUARE, n=4000, seed=0):
    rng = np.random.default_rng(seed)
    return [augment(square, settings, rng) for _ in range(n)]


@given(st.integers(0, 2**32), st.booleans(), st.floats(-90, 90))
def test_same_seed_same_square_and_input_unchanged(seed, flip, rotation):
    square = Square((3.0, 4.0), 20.0, 64, rotation, flip)
    settings = AugmentSettings(shift=0.1)
    first, second = (augment(square, settings, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    assert square == Square((3.0, 4.0), 20.0, 64, rotation, flip)


def test_different_seeds_differ():
    assert len({view.side for view in views(AugmentSettings(), n=100)}) > 30


def test_no_augmentation_is_no_change():
    assert set(views(STILL, n=20)) == {SQUARE}


def test_scale_is_a_clipped_normal():
    factors = np.array([view.side / SQUARE.side for view in views(AugmentSettings())])
    assert factors.min() == pytest.approx(0.7) and factors.max() == pytest.approx(1.3)
    assert factors.mean() == pytest.approx(1, abs=0.02)
    # one standard deviation either side is kept; the rest, 2 x 15.9 %, sits on the bounds
    for bound in (0.7, 1.3):
        assert np.isclose(factors, bound).mean() == pytest.approx(0.159, abs=0.02)


def test_rotation_is_uniform_half_of_the_time():
    angles = np.array([view.rotation for view in views(AugmentSettings())])
    turned = angles[angles != 0]
    assert len(turned) / len(angles) == pytest.approx(0.5, abs=0.03)
    assert np.abs(turned).max() <= 40
    shares, _ = np.histogram(turned, bins=4, range=(-40, 40))
    assert shares / len(turned) == pytest.approx([0.25] * 4, abs=0.03)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_flip_chance(chance):
    flips = np.mean([view.flip for view in views(AugmentSettings(flip=chance))])
    assert flips == pytest.approx(chance, abs=0.03)


def test_centre_stays_by_default_and_shift_is_bounded():
    assert {view.center for view in views(AugmentSettings(), n=50)} == {SQUARE.center}
    moves = np.array([view.center for view in views(AugmentSettings(shift=0.1))]) - SQUARE.center
    assert np.abs(moves).max() <= 5 and np.abs(moves).max(0) == pytest.approx([5, 5], abs=0.1)
    assert moves.mean(0) == pytest.approx([0, 0], abs=0.2)


def test_views_add_to_what_the_square_already_is():
    square = Square((1.0, 2.0), 30.0, 64, rotation=10, flip=True)
    settings = AugmentSettings(scale=0, rotation=5, flip=1)
    for view in views(settings, square, n=50):
        assert not view.flip and 5 <= view.rotation <= 15 and view.size == 64


def test_switching_one_kind_off_leaves_the_others():
    whole = views(AugmentSettings(), n=50, seed=3)
    unturned = views(AugmentSettings(rotation=0), n=50, seed=3)
    assert [(v.side, v.flip) for v in whole] == [(v.side, v.flip) for v in unturned]
