"""Coordinates as text: `[0.412,0.633]`, the form of LocLLM and PoseLLM (three decimals of the crop's side)."""

from __future__ import annotations

import math
import re

from posetalk.errors import PosetalkError

DIGITS = 3
STEPS = 10**DIGITS
_PAIR = re.compile(r"\[0\.(\d{3}),0\.(\d{3})\]")


def digits(value: float) -> tuple[int, int, int]:
    """The three decimals of a value in 0..1, rounded to the nearest; 0.9995 and above become .999.

    (LocLLM writes those as 1.000, which its own reader cannot read.)
    """
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise PosetalkError(f"the coordinate {value} is outside 0..1 of the crop and cannot be written")
    step = min(round(value * STEPS), STEPS - 1)
    return (step // 100, step // 10 % 10, step % 10)


def write(x: float, y: float) -> str:
    """`[0.412,0.633]` for x and y in 0..1 of the crop."""
    return "[0.{}{}{},0.{}{}{}]".format(*digits(x), *digits(y))


def read(text: str) -> tuple[float, float]:
    """The first coordinate pair in `text`."""
    match = _PAIR.search(text)
    if match is None:
        raise PosetalkError(f"no coordinate such as [0.412,0.633] in {text[:60]!r}")
    return (int(match[1]) / STEPS, int(match[2]) / STEPS)
