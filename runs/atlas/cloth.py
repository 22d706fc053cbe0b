"""Patterns of cloth, and smooth random fields."""

from __future__ import annotations

import numpy as np

KINDS = (*("plain",) * 3, "stripes", "checks", "dots", "noise", "photo", "halves")


class Waves:
    """A smooth random field of places: a few sine waves of random direction, -1 to 1."""

    def __init__(self, rng: np.random.Generator, scale: float, count: int = 5) -> None:
        self._to = (rng.normal(size=(3, count)) * (2 * np.pi / scale / 1.7)).astype(np.float32)
        self._phase = rng.uniform(0, 2 * np.pi, count).astype(np.float32)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """(n, 3) m -> (n,)."""
        return np.sin(places @ self._to + self._phase).mean(1) * 1.4


class Cloth:
    """A pattern of two colours, or of a photo, over places (n, 3) m of the average body."""

    def __init__(self, rng: np.random.Generator, photos: list[np.ndarray]) -> None:
        self.colours = _cloth_colours(rng)
        self.kind = rng.choice(KINDS)
        self.scale = float(np.exp(rng.uniform(np.log(0.015), np.log(0.12))))
        self.axis = rng.integers(3) if rng.random() < 0.3 else 2
        self.waves = Waves(rng, 0.25), Waves(rng, float(rng.uniform(0.03, 0.1)))
        self.share = float(rng.uniform(0.25, 0.6))
        self.photo = photos[rng.integers(len(photos))] if self.kind == "photo" and photos else None
        self.creases = float(rng.uniform(0.03, 0.2))

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """(n, 3) colours, 0 to 255."""
        first, second = self.colours
        if self.photo is not None:
            height, width = self.photo.shape[:2]
            u = (np.arctan2(places[:, 0], -places[:, 1]) / np.pi + 1) * width / 2
            rows = (places[:, 2] * -1.3 * height).astype(int) % height
            colour = self.photo[rows, u.astype(int) % width].astype(float)
        else:
            colour = first + self._mix(places)[:, None] * (second - first)
        creases = self.creases * (self.waves[0](places) + 0.5 * self.waves[1](places))
        return colour * (1 + creases[:, None])

    def _mix(self, places: np.ndarray) -> np.ndarray:
        if self.kind == "stripes":
            return ((places[:, self.axis] / self.scale) % 1 < self.share).astype(float)
        if self.kind == "checks":
            return sum(((places[:, axis] / self.scale) % 1 < self.share) * 0.5 for axis in (0, 2))
        if self.kind == "dots":
            cell = (places[:, [0, 2]] / self.scale) % 1 - 0.5
            return ((cell**2).sum(1) < (self.share * 0.6) ** 2).astype(float)
        if self.kind == "noise":
            return np.clip(self.waves[1](places) * 2 + 0.5, 0, 1)
        if self.kind == "halves":
            return (places[:, 2] > self.share - 0.1).astype(float)
        return np.zeros(len(places))


def _cloth_colours(rng: np.random.Generator) -> np.ndarray:
    colours = rng.uniform(10, 245, (2, 3))
    grey = rng.random() < 0.4  # much clothing is white, grey or black
    if grey:
        colours = colours.mean(1, keepdims=True) + rng.normal(size=(2, 3)) * 8
        colours[0] = rng.choice([20, 45, 120, 215, 240]) + rng.normal(size=3) * 5
    return np.clip(colours, 5, 250)
