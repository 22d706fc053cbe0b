"""Antialiased shapes drawn into an image in place, from the distance of each pixel of a small window to the shape.

The centre of the top left pixel is at (0.5, 0.5).
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

DARK, WHITE = (18, 20, 26), (255, 255, 255)
LEFT, RIGHT, MIDDLE = (255, 138, 48), (64, 160, 255), (128, 226, 112)  # distinct for colour-blind people too
# One for each person of a group, all unlike the colours of the sides.
PEOPLE: tuple[Colour, ...] = (
    *((255, 214, 60), (235, 80, 205), (90, 225, 225), (165, 115, 255), (255, 105, 105)),
    *((200, 240, 80), (255, 170, 210), (40, 190, 160), (225, 185, 130), (190, 200, 255)),
)


def person_colour(number: int) -> Colour:
    """One of PEOPLE."""
    return PEOPLE[number % len(PEOPLE)]


def side_colour(name: str) -> Colour:
    """Orange for a left keypoint, blue for a right one, green for the middle of the body."""
    words = re.split(r"[^a-z]+", name.lower())
    return LEFT if "left" in words else RIGHT if "right" in words else MIDDLE


def window(
    canvas: Pixels, low: npt.ArrayLike, high: npt.ArrayLike
) -> tuple[tuple[slice, slice], Floats, Floats] | None:
    """The part of the canvas between two corners, with the x (1, w) and y (h, 1) of its pixel centres."""
    limit = np.array([canvas.shape[1], canvas.shape[0]])
    x0, y0 = np.clip(np.floor(low), 0, limit).astype(int)
    x1, y1 = np.clip(np.ceil(high), 0, limit).astype(int)
    if x0 >= x1 or y0 >= y1:
        return None
    return (slice(y0, y1), slice(x0, x1)), np.arange(x0, x1)[None] + 0.5, np.arange(y0, y1)[:, None] + 0.5


def blend(canvas: Pixels, part: tuple[slice, slice], cover: Floats, colour: npt.ArrayLike) -> None:
    """Blend a colour, (3,) or (h, w, 3), into a part with the opacity `cover`, (h, w) in 0..1."""
    piece, touched = canvas[part], cover > 0  # only few pixels of a large window
    under, over = piece[touched].astype(np.float64), np.asarray(colour, np.float64)
    over = over[touched] if over.ndim == 3 else over
    piece[touched] = np.rint(under + cover[touched][:, None] * (over - under)).astype(np.uint8)


def line(
    canvas: Pixels, a: Floats, b: Floats, half: float, from_: npt.ArrayLike, to: npt.ArrayLike, alpha: float
) -> None:
    """Draw a line with round ends and a gradient between two colours, `half` px wide to each side; a disc if a is b."""
    region = window(canvas, np.minimum(a, b) - half - 1, np.maximum(a, b) + half + 1)
    if region is None:
        return
    part, x, y = region
    along = b - a
    length2 = max(float(along @ along), 1e-12)
    t = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length2, 0, 1)
    distance = np.hypot(x - a[0] - t * along[0], y - a[1] - t * along[1])
    cover = np.clip(half + 0.5 - distance, 0, 1) * alpha
    colour = np.asarray(from_, np.float64)
    if tuple(np.ravel(from_)) != tuple(np.ravel(to)):
        colour = colour + t[..., None] * np.subtract(to, from_)
    blend(canvas, part, cover, colour)


def dashes(canvas: Pixels, at: Floats, radius: float, width: float, colour: Colour, alpha: float) -> None:
    """Draw a ring of eight dashes, `width` px wide to each side."""
    region = window(canvas, at - radius - width - 1, at + radius + width + 1)
    if region is None:
        return
    part, x, y = region
    dx, dy = x - at[0], y - at[1]
    cover = np.clip(width + 0.5 - np.abs(np.hypot(dx, dy) - radius), 0, 1) * alpha
    blend(canvas, part, cover * (np.cos(8 * np.arctan2(dy, dx)) > -0.3), colour)


def ellipse(canvas: Pixels, at: Floats, std: Floats, colour: Colour, width: float) -> None:
    """Draw an ellipse with the radii `std`, (2,) px, filled lightly."""
    radii = np.maximum(std, 0.5)
    region = window(canvas, at - radii - width - 1, at + radii + width + 1)
    if region is None:
        return
    part, x, y = region
    dx, dy = x - at[0], y - at[1]
    k1 = np.hypot(dx / radii[0], dy / radii[1])
    k2 = np.hypot(dx / radii[0] ** 2, dy / radii[1] ** 2)
    distance = k1 * (k1 - 1) / np.maximum(k2, 1e-9)  # first-order approximation
    inside = np.clip(0.5 - distance, 0, 1) * 0.22
    rim = np.clip(0.5 + 0.35 * width - np.abs(distance), 0, 1) * 0.8
    blend(canvas, part, np.maximum(inside, rim), colour)
