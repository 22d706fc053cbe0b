"""Smooth places: the One Euro filter (Casiez, Roussel and Vogel, CHI 2012), which follows fast movement and calms slow.

Lengths are in square roots of the person's box, so that small and large people are smoothed alike. A keypoint that the
model is less sure of is smoothed more: its cutoff frequency is divided by its spread over the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posetalk.types import Floats

# Chosen on people of COCO train2017 moved over a background, see benchmarks/video.py.
MIN_CUTOFF = 0.7  # Hz, of a keypoint at rest
BETA = 20.0  # Hz for each length a second
SPEED_CUTOFF = 1.0  # Hz, of the speed's own filter: the paper's
USUAL_SPREAD = 0.04  # the standard deviation of an ordinary keypoint
MOST = 3.0  # a cutoff is divided by at most this, and multiplied by at most its square root
FORGET = 1.0  # seconds without the person, after which smoothing begins anew


@dataclass(slots=True)
class _State:
    raw: Floats
    smooth: Floats
    speed: Floats
    time: float


class Smoother:
    """Smooths the keypoints of people who have ids."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def __call__(self, person: int, xy: Floats, std: Floats | None, area: float, time: float) -> Floats:
        """The smoothed places (k, 2) px of a person in a frame, which comes after those before.

        person: the id; xy: (k, 2) px; std: (k, 2) px or None; area: of the box, px^2; time: seconds.
        """
        self._states = {i: state for i, state in self._states.items() if time - state.time <= FORGET}
        before, length = self._states.get(person), area**0.5
        if before is None or time <= before.time:
            self._states[person] = _State(xy, xy, np.zeros_like(xy), time)
            return xy
        step = time - before.time
        speed = before.speed + _share(SPEED_CUTOFF, step) * ((xy - before.raw) / length / step - before.speed)
        cutoff = MIN_CUTOFF + BETA * np.hypot(*speed.T)
        if std is not None:
            spread = np.hypot(*std.T) / 2**0.5 / length
            cutoff = cutoff / np.clip(spread / USUAL_SPREAD, MOST**-0.5, MOST)
        smooth = before.smooth + _share(cutoff, step)[:, None] * (xy - before.smooth)
        self._states[person] = _State(xy, smooth, speed, time)
        return smooth


def _share(cutoff: Floats | float, step: float) -> Floats:
    """How much a low-pass filter with a cutoff frequency (Hz) takes of a new value, `step` seconds later."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * step)))
