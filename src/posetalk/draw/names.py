"""Keypoint names, placed where they hide least and connected to their joints by a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from posetalk.draw.paint import DARK, WHITE, Colour, Pixels, blend, line, person_colour, side_colour, window
from posetalk.types import Floats, Poses

# In a group:
OF_PERSON, SMALLEST = 0.07, 10.0  # the font's size as a share of the person's box, and the smallest size, px
NO_ROOM = 6.0  # the cost of a place from which on a name is left out: it hides three or four keypoints, or is far away
MOST_OF_IMAGE = 0.04  # the share of the image that names may hide


@dataclass(frozen=True, slots=True, eq=False)
class NameLabel:
    """A name to write. at: its joint, (2,) px; spot: x0, y0, x1, y1, whole px; letters: opacity of the spot, (h, w).

    size: of the font, px.
    """

    at: Floats
    spot: Floats
    letters: Floats
    colour: Colour
    size: float


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's default font (Latin letters) of a size in px."""
    return ImageFont.load_default(size=size)


def write_names(
    canvas: Pixels, points: Poses, indices: Sequence[int], limbs: Sequence[tuple[int, int]]
) -> None:
    """Write the names of the keypoints `indices` of every person onto the canvas."""
    limit = (canvas.shape[1], canvas.shape[0])
    names = place_names(points, indices, limbs, limit)
    for name in names:  # all lines first, so that no line crosses a name
        end = np.clip(name.at, name.spot[:2], name.spot[2:])
        length = float(np.hypot(*(end - name.at)))
        start = name.at + (end - name.at) * min(
            1.0, 0.4 * name.size / max(length, 1e-9)
        )  # outside of the joint
        line_width = _line_width(name)
        line(canvas, start, end, 1.9 * line_width, DARK, DARK, 0.5)
        line(canvas, start, end, line_width, name.colour, name.colour, 1.0)
    for name in names:
        _draw_plate(canvas, name, _line_width(name))


def write_numbers(canvas: Pixels, points: Poses, numbers: Sequence[int]) -> None:
    """Write each person's number above their box, in their colour."""
    limit = np.array([canvas.shape[1], canvas.shape[0]])
    size = _font_size((canvas.shape[1], canvas.shape[0]))
    for box, number in zip(points.boxes, numbers, strict=True):
        letters = _render(str(number), size, (canvas.shape[1], canvas.shape[0]))
        wh = np.array([letters.shape[1], letters.shape[0]])
        corner = np.floor(np.clip([box.center[0] - wh[0] / 2, box.y - wh[1]], 0, limit - wh))
        spot = np.concatenate([corner, corner + wh])
        plate = NameLabel(corner, spot, letters, person_colour(number), size)
        _draw_plate(canvas, plate, _line_width(plate))


def _line_width(name: NameLabel) -> float:
    return max(0.6, 0.055 * name.size)


def place_names(
    points: Poses, indices: Sequence[int], limbs: Sequence[tuple[int, int]], limit: tuple[int, int]
) -> list[NameLabel]:
    """Where each name goes in an image of `limit` (w, h) px; joints outside the image get none.

    In a group hidden keypoints and small people get none either, and names are left out where they would hide other
    names or people, or too much of the image.
    """
    group = len(points) > 1
    room = MOST_OF_IMAGE * limit[0] * limit[1]
    body = _body_points(points, limbs)
    names: list[NameLabel] = []
    order = sorted(range(len(points)), key=lambda i: -points.boxes[i].area) if group else range(len(points))
    for i in order:
        size = _font_size(limit)
        if group:
            size = min(size, OF_PERSON * max(points.boxes[i].w, points.boxes[i].h))
            if size < SMALLEST:
                continue
        finite = points.xy[i][np.isfinite(points.xy[i]).all(-1)]
        for j in indices:
            joint = points.xy[i, j]
            if group and points.visible is not None and not points.visible[i, j]:
                continue
            if ((joint >= 0) & (joint < limit)).all():
                letters = _render(points.names[j], size, limit)
                spots = _candidate_spots(joint, letters.shape, size, limit)
                costs = _costs(joint, spots, size, body, names, joint - finite.mean(0))
                room -= letters.size if costs.min() < NO_ROOM else 0
                if not group or (costs.min() < NO_ROOM and room >= 0):
                    spot = spots[np.argmin(costs)]
                    names.append(NameLabel(joint, spot, letters, side_colour(points.names[j]), size))
    return names


def _font_size(limit: tuple[int, int]) -> float:
    """The font size, px: readable when the whole image is shown."""
    return max(11.0, 0.024 * max(limit))


def _body_points(points: Poses, limbs: Sequence[tuple[int, int]]) -> Floats:
    """Points (n, 2) all over the drawn people, which names should not hide."""
    joints = np.where(np.isfinite(points.xy).all(-1, keepdims=True), points.xy, np.nan)
    parts = [joints.reshape(-1, 2)]
    parts += [(1 - t) * joints[:, a] + t * joints[:, b] for a, b in limbs for t in (0.2, 0.4, 0.6, 0.8)]
    xy = np.concatenate(parts)
    return np.asarray(xy[np.isfinite(xy).all(-1)])


def _render(words: str, size: float, limit: tuple[int, int]) -> Floats:
    """The words as opacity (h, w) in 0..1, with a margin, no larger than the image."""
    words = " ".join(words.split()) or "?"
    wide = font(size).getlength(words) + size
    fitted_font = font(max(7.0, size * min(1.0, 0.9 * limit[0] / wide)))  # long names shrink in narrow images
    margin = 0.45 * size
    left, _, right, _ = fitted_font.getbbox(words)
    _, top, _, bottom = fitted_font.getbbox("Ag")
    w, h = int(right - left + 2 * margin), int(bottom - top + 1.25 * margin)
    sheet = Image.new("L", (min(w, limit[0]), min(h, limit[1])))
    # whole pixels: at -0.7 Pillow clips the top of words without tall letters
    corner = (round(margin - left), round(0.62 * margin - top))
    ImageDraw.Draw(sheet).text(corner, words, fill=255, font=fitted_font)
    return np.asarray(sheet, np.float64) / 255


def _candidate_spots(at: Floats, shape: tuple[int, ...], size: float, limit: tuple[int, int]) -> Floats:
    """Rectangles on rings around the joint, moved into the image: (s, 4) x0, y0, x1, y1, whole px."""
    wh = np.array([shape[1], shape[0]], np.float64)
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rays = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    reach = np.array([1.3, 2.2, 3.4, 5.0, 7.0, 10.0])[:, None, None] * size
    corners = (at + rays * (reach + wh / 2) - wh / 2).reshape(-1, 2)
    room = np.array(limit) - wh
    edge = np.minimum(2, room / 2)  # stay off the image's edge where there is room
    corners = np.floor(np.clip(corners, edge, np.maximum(edge, room - edge)))
    return np.concatenate([corners, corners + wh], axis=1)


def _costs(
    at: Floats, spots: Floats, size: float, body: Floats, names: Sequence[NameLabel], outward: Floats
) -> Floats:
    """The cost of each spot: overlapping names costs most, then hiding people, then distance; outward is cheaper."""
    ends = np.clip(at, spots[:, :2], spots[:, 2:])
    distance = np.hypot(*(ends - at).T)
    costs = distance / size + 6 * (distance < 0.6 * size)  # a name on its own joint hides it
    away = (spots[:, :2] + spots[:, 2:]) / 2 - at
    costs -= 0.8 * (away @ outward) / ((np.hypot(*away.T) + size) * (np.hypot(*outward) + size))
    costs += 1.5 * _inside(body, spots, 0.4 * size).sum(1)
    path = at + np.linspace(0.15, 1, 12)[:, None, None] * (ends - at)
    for other in names:
        overlap = np.minimum(spots[:, 2:], other.spot[2:]) - np.maximum(spots[:, :2], other.spot[:2])
        costs += 60 * (overlap > -0.2 * size).all(1)
        costs += 4 * _inside(path.reshape(-1, 2), other.spot[None], 0).reshape(12, -1).any(0)
    return np.asarray(costs)


def _inside(points: Floats, spots: Floats, margin: float) -> npt.NDArray[np.bool_]:
    """(s, p) bool: which points (p, 2) lie in which spots (s, 4)."""
    low, high = spots[:, None, :2] - margin, spots[:, None, 2:] + margin
    return np.asarray(((points > low) & (points < high)).all(-1))


def _draw_plate(canvas: Pixels, name: NameLabel, line_width: float) -> None:
    """Draw a dark plate with a coloured rim, and the letters on it."""
    spot, radius = name.spot, 6 * line_width
    region = window(canvas, spot[:2] - line_width - 1, spot[2:] + line_width + 1)
    if region is None:
        return
    part, x, y = region
    middle, half = (spot[:2] + spot[2:]) / 2, (spot[2:] - spot[:2]) / 2
    dx, dy = np.abs(x - middle[0]) - half[0] + radius, np.abs(y - middle[1]) - half[1] + radius
    distance = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - radius
    blend(canvas, part, np.clip(0.5 - distance, 0, 1) * 0.82, DARK)
    blend(canvas, part, np.clip(0.5 + line_width - np.abs(distance), 0, 1), name.colour)
    x0, y0, x1, y1 = spot.astype(int)
    blend(canvas, (slice(y0, y1), slice(x0, x1)), name.letters, WHITE)
