"""Names of keypoints, written where they hide least and tied to their joints by a line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from posetalk.draw.paint import DARK, WHITE, Colour, Pixels, blend, line, side_colour, window
from posetalk.types import Floats, KeyPoints


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow brings along (Latin letters)."""
    return ImageFont.load_default(size=size)


def write_names(
    canvas: Pixels, points: KeyPoints, named: Sequence[int], limbs: Sequence[tuple[int, int]]
) -> None:
    """The names of the keypoints `named` of every person, each beside its joint, where it hides least."""
    height, width = canvas.shape[:2]
    size = float(np.clip(0.024 * max(height, width), 11, 0.12 * max(height, 60)))
    body = _body(points, limbs)
    taken: list[Floats] = []
    for i in range(len(points)):
        finite = points.xy[i][np.isfinite(points.xy[i]).all(-1)]
        for j in named:
            at = points.xy[i, j]
            inside = np.isfinite(at).all() and 0 <= at[0] < width and 0 <= at[1] < height
            if inside:
                text = _text(points.names[j], size, 0.9 * width)
                spot = _spot(at, text.shape, (width, height), size, body, taken, finite.mean(0))
                taken.append(spot)
                _name(canvas, at, spot, text, side_colour(points.names[j]), size)


def _body(points: KeyPoints, limbs: Sequence[tuple[int, int]]) -> Floats:
    """Points all over the drawn people, which a name should not hide."""
    parts = [points.xy.reshape(-1, 2)]
    parts += [
        points.xy[:, a] + t * (points.xy[:, b] - points.xy[:, a])
        for a, b in limbs
        for t in (0.2, 0.4, 0.6, 0.8)
    ]
    xy = np.concatenate(parts)
    return np.asarray(xy[np.isfinite(xy).all(-1)])


def _text(words: str, size: float, most: float) -> Floats:
    """How much of each pixel the words cover: (h, w) in 0..1, no wider than `most`."""
    letters = font(size)
    left, top, right, bottom = letters.getbbox("Äg" + words)
    scale = most / (right - left + size)
    if scale < 1 and size > 7:
        return _text(words, max(7.0, size * scale * 0.98), most)
    pad_x, pad_y = 0.45 * size, 0.28 * size
    left, _, right, _ = letters.getbbox(words)
    _, top, _, bottom = letters.getbbox("Ag")
    sheet = Image.new("L", (int(right - left + 2 * pad_x), int(bottom - top + 2 * pad_y)))
    ImageDraw.Draw(sheet).text((pad_x - left, pad_y - top), words, fill=255, font=letters)
    return np.asarray(sheet, np.float64) / 255


def _spot(
    at: Floats,
    shape: tuple[int, ...],
    limit: tuple[int, int],
    size: float,
    body: Floats,
    taken: Sequence[Floats],
    centre: Floats,
) -> Floats:
    """Where the name of the keypoint at `at` goes, x0, y0, x1, y1: the cheapest place of rings around it."""
    h, w = shape
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outward = at - centre
    best, least = np.zeros(4), np.inf
    for reach in (1.3, 2.2, 3.4, 5.0, 7.0):
        for turn in turns:
            ray = np.array([np.cos(turn), np.sin(turn)])
            middle = at + ray * (reach * size + np.array([w, h]) / 2)
            corner = np.clip(
                middle - np.array([w, h]) / 2, 2, np.maximum(2, np.array(limit) - (w + 2, h + 2))
            )
            spot = np.concatenate([corner, corner + np.array([w, h])])
            cost = reach + 2 * float(np.abs(corner - (middle - np.array([w, h]) / 2)).sum()) / size
            cost -= 0.8 * float(ray @ outward) / (float(np.hypot(*outward)) + size)
            cost += 1.5 * int(_inside(body, spot, 0.4 * size).sum())
            path = at + np.linspace(0.15, 1, 12)[:, None] * (_nearest(at, spot) - at)
            for other in taken:
                overlap = np.minimum(spot[2:], other[2:]) - np.maximum(spot[:2], other[:2]) + 0.2 * size
                cost += 30 * bool((overlap > 0).all()) + 4 * bool(_inside(path, other, 0).any())
            if cost < least:
                best, least = spot, cost
    return best


def _inside(points: Floats, spot: Floats, margin: float) -> npt.NDArray[np.bool_]:
    return np.asarray(((points > spot[:2] - margin) & (points < spot[2:] + margin)).all(-1))


def _nearest(at: Floats, spot: Floats) -> Floats:
    return np.clip(at, spot[:2], spot[2:])


def _name(canvas: Pixels, at: Floats, spot: Floats, text: Floats, colour: Colour, size: float) -> None:
    end, thin = _nearest(at, spot), max(0.6, 0.055 * size)
    line(canvas, at, end, 1.9 * thin, DARK, DARK, 0.5)
    line(canvas, at, end, thin, colour, colour, 1.0)
    found = window(canvas, spot[:2] - 3, spot[2:] + 3)
    if found is None:
        return
    part, x, y = found
    middle, half, corner = (spot[:2] + spot[2:]) / 2, (spot[2:] - spot[:2]) / 2, 0.35 * size
    dx, dy = np.abs(x - middle[0]) - half[0] + corner, np.abs(y - middle[1]) - half[1] + corner
    distance = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - corner
    blend(canvas, part, np.clip(0.5 - distance, 0, 1) * 0.82, DARK)
    blend(canvas, part, np.clip(0.5 + thin - np.abs(distance), 0, 1), colour)
    x0, y0 = np.rint(spot[:2]).astype(int)
    part = (
        slice(y0, min(y0 + text.shape[0], canvas.shape[0])),
        slice(x0, min(x0 + text.shape[1], canvas.shape[1])),
    )
    blend(canvas, part, text[: part[0].stop - y0, : part[1].stop - x0], WHITE)
