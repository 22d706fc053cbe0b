"""Photometric augmentation is a pure function of its seed, keeps shape and type, and moves nothing."""

from __future__ import annotations

import numpy as np
import pytest

from posetalk.images.augment import half_body
from posetalk.images.photometric import photometric
from posetalk.settings import AugmentSettings
from posetalk.types import Box, Person

KINDS = ("color", "blur", "erase")


def crop(seed: int = 0) -> np.ndarray:
    """A bright disc on a dark ground."""
    y, x = np.mgrid[:64, :64]
    inside = (x - 40) ** 2 + (y - 20) ** 2 < 100
    pixels = np.where(inside[..., None], [220, 200, 180], [60, 70, 50]).astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_depends_on_its_seed_alone(kind: str) -> None:
    settings = AugmentSettings(**{kind: 1.0})
    first, again, other = (photometric(crop(), settings, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != crop()).any()


def test_without_settings_nothing_changes() -> None:
    for seed in range(20):
        np.testing.assert_array_equal(
            photometric(crop(), AugmentSettings(), np.random.default_rng(seed)), crop()
        )


@pytest.mark.parametrize("kind", ["color", "blur"])
def test_nothing_moves(kind: str) -> None:
    settings = AugmentSettings(**{kind: 1.0})
    for seed in range(50):
        grey = photometric(crop(), settings, np.random.default_rng(seed)).astype(float).mean(2)
        weight = np.clip(grey - np.median(grey) - 30, 0, None)
        y, x = (float((weight * axis).sum() / weight.sum()) for axis in np.mgrid[:64, :64])
        assert abs(x - 40) < 1 and abs(y - 20) < 1, seed


def test_what_is_erased_is_the_rest_of_a_picture() -> None:
    settings = AugmentSettings(erase=1.0)
    for seed in range(50):
        changed = (photometric(crop(), settings, np.random.default_rng(seed)) != crop()).any(2).mean()
        assert 0 < changed < 0.5


def person(xy: list[tuple[float, float]]) -> Person:
    return Person(
        id=1,
        box=Box(0, 0, 100, 200),
        keypoints=np.array(xy, float),
        visible=np.full(len(xy), 2.0),
        area=1.0,
    )


def test_half_a_body_holds_half_of_the_keypoints() -> None:
    points = [(50 + (n % 3), 10.0 * n) for n in range(15)]
    halves = {half_body(person(points), np.random.default_rng(seed)) for seed in range(20)}
    assert len(halves) == 2
    upper, lower = sorted(halves, key=lambda box: box.y)
    for box in (upper, lower):
        held = sum(box.x <= x <= box.x + box.w and box.y <= y <= box.y + box.h for x, y in points)
        assert 8 <= held <= 10
    assert upper.y < 0 and lower.y + lower.h > 140


@pytest.mark.parametrize("points", [[(5.0, 5.0)] * 12, [(1.0, 2.0), (3.0, 4.0)]])
def test_people_that_have_no_half_keep_their_box(points: list[tuple[float, float]]) -> None:
    assert half_body(person(points), np.random.default_rng(0)) == Box(0, 0, 100, 200)
