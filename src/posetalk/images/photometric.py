"""Random light, colours, sharpness and covered places of a crop for training."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from posetalk.settings import AugmentSettings

Pixels = npt.NDArray[np.uint8]
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
GREY_CHANCE = 0.05
LARGEST = 0.4  # of the crop's side: the longest side of a covered rectangle


def photometric(pixels: Pixels, settings: AugmentSettings, rng: np.random.Generator) -> Pixels:
    """A random variation of what a crop looks like; nothing moves.

    Each of the settings is the chance of one change: `color` of brightness, contrast, saturation and colour cast
    together, `blur` of a Gaussian blur, a lower resolution or noise, `erase` of one to three rectangles of one colour
    or of noise.

    Args:
        pixels: (S, S, 3) uint8 RGB.
        settings: The chances.
        rng: Where the random numbers come from.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    if rng.random() < settings.color:
        pixels = _colored(pixels, rng)
    if rng.random() < settings.blur:
        pixels = _blurred(pixels, rng)
    if rng.random() < settings.erase:
        pixels = _erased(pixels, rng)
    return pixels


def _colored(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    values = pixels.astype(np.float32)
    grey = (values @ GREY)[..., None]
    saturation = 0.0 if rng.random() < GREY_CHANCE else rng.uniform(0.6, 1.4)
    saturated = grey + (values - grey) * saturation
    mean = saturated.mean()
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
    return _whole((mean + (saturated - mean) * rng.uniform(0.7, 1.3)) * gain)


def _blurred(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    kind, size = rng.integers(3), pixels.shape[0]
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, size / 100)), np.uint8)
    if kind == 1:
        small = round(size * rng.uniform(0.25, 0.7))
        smaller = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(smaller, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return _whole(pixels + rng.normal(0, rng.uniform(3, 15), pixels.shape).astype(np.float32))


def _erased(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    pixels, size = pixels.copy(), pixels.shape[0]
    for _ in range(rng.integers(1, 4)):
        width, height = (round(size * rng.uniform(0.08, LARGEST)) for _ in range(2))
        left, top = rng.integers(0, size - width), rng.integers(0, size - height)
        place = pixels[top : top + height, left : left + width]
        color = rng.integers(0, 256, 3)
        noise = rng.normal(0, 40, place.shape) if rng.random() < 0.5 else 0
        place[:] = _whole(color + noise)
    return pixels


def _whole(values: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
