"""Drawing poses on an image, and a prediction beside the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from posetalk.draw.names import write_names, write_numbers
from posetalk.draw.paint import DARK, WHITE, Colour, Pixels, dashes, ellipse, line, person_colour, side_colour
from posetalk.errors import PosetalkError
from posetalk.types import Box, Floats, Poses

SMALL = 640  # px: images whose longer side is shorter are enlarged, so that lines do not hide them


def draw_pose(
    image: Pixels,
    keypoints: Poses,
    limbs: Sequence[tuple[int, int]] = (),
    *,
    labels: Literal["custom", "all", "none"] = "custom",
    enlarge: bool = True,
    ids: Sequence[int] | None = None,
) -> Pixels:
    """Draw poses on a copy of an image.

    Left is orange, right blue, the middle of the body green. Keypoints with a lower score are fainter, hidden ones
    (`visible` False) are rings, those that the model was not trained on (`trained` False) have a dashed ring around
    them, an ellipse shows one standard deviation along x and y, and NaN is not drawn.

    In a group each person's limbs have a colour of their own, what is hidden is fainter, there are no ellipses, and
    names are written only of what is visible, and where there is room.

    Args:
        image: (h, w, 3) uint8 RGB.
        keypoints: The poses, in px of the image.
        limbs: Pairs of indices into the keypoints to join by lines, such as `Skeleton.limbs`.
        labels: Which names are written: `custom`, those of keypoints without a limb; `all`; `none`.
        enlarge: Whether an image with a longer side under 640 px is enlarged by a whole factor.
        ids: Numbers of the people, in a video. They are written above them and choose their colours, and one person is
            drawn as in a group.

    Returns:
        (h, w, 3) uint8 RGB; larger than `image` by a whole factor if it was enlarged.

    Raises:
        PosetalkError: An image of another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise PosetalkError(f"the image to draw on is {image.dtype} {image.shape}; give uint8 (h, w, 3) RGB")
    factor = max(1, SMALL // max(image.shape[:2])) if enlarge else 1
    canvas = _resized(image, factor) if factor > 1 else image.copy()
    points = _transformed(keypoints, 0.0, 0.0, factor)
    sizes = [_extent(xy) for xy in points.xy]
    for i in sorted(range(len(points)), key=lambda i: -sizes[i]):  # the small ones on top
        _draw_person(canvas, points, i, limbs, None if ids is None else ids[i])
    joined = {j for pair in limbs for j in pair}
    indices = (
        []
        if labels == "none"
        else [j for j in range(len(points.names)) if labels == "all" or j not in joined]
    )
    write_names(canvas, points, indices, limbs)
    if ids is not None:
        write_numbers(canvas, points, ids)
    return canvas


def draw_pair(
    image: Pixels,
    prediction: Poses,
    truth: Poses,
    limbs: Sequence[tuple[int, int]] = (),
    *,
    pane: tuple[int, int] = (240, 300),
) -> Pixels:
    """One person twice, cropped to two panes of `pane` (w, h) px: the prediction and the ground truth."""
    box = _region_around(image, (prediction, truth), pane)
    sides = []
    for points in (prediction, truth):
        crop = _crop(image, box, pane)
        moved = _transformed(points, box.x, box.y, pane[0] / box.w)
        sides.append(draw_pose(crop, moved, limbs, enlarge=False))
    return np.concatenate([sides[0], np.full((pane[1], 3, 3), 255, np.uint8), sides[1]], axis=1)


def _draw_person(
    canvas: Pixels, points: Poses, index: int, limbs: Sequence[tuple[int, int]], number: int | None = None
) -> None:
    xy, is_finite = points.xy[index], np.isfinite(points.xy[index]).all(-1)
    if not is_finite.any():
        return
    group = len(points) > 1 or number is not None
    width = _line_width(canvas, xy, group)
    opacity = 0.2 + 0.8 * np.clip(np.nan_to_num(points.score[index]), 0, 1)
    if group and points.visible is not None:
        opacity = np.where(points.visible[index], opacity, 0.45 * opacity)
    colours = [side_colour(name) for name in points.names]
    joined = {j for pair in limbs for j in pair}
    if points.std is not None and not group:
        for j in np.flatnonzero(is_finite & np.isfinite(points.std[index]).all(-1)):
            ellipse(canvas, xy[j], points.std[index, j], colours[j], width)
    lines = [(a, b, min(opacity[a], opacity[b])) for a, b in limbs if is_finite[a] and is_finite[b]]
    for a, b, alpha in lines:
        line(canvas, xy[a], xy[b], width + max(0.7, width * 0.5), DARK, DARK, 0.35 * alpha)
    for a, b, alpha in lines:
        own = person_colour(index if number is None else number) if group else None
        line(canvas, xy[a], xy[b], width, own or colours[a], own or colours[b], 0.9 * alpha)
    for j in np.flatnonzero(is_finite):
        radius = width * (1.9 if j in joined else 2.4)
        hidden = points.visible is not None and not points.visible[index, j]
        _draw_joint(canvas, xy[j], radius, width, colours[j], opacity[j], hidden)
        if points.trained is not None and not points.trained[j]:
            dashes(canvas, xy[j], radius + 2.6 * width + 1, max(0.7, 0.6 * width), WHITE, opacity[j])


def _extent(xy: Floats) -> float:
    """The size of a person, px: the diagonal around the keypoints; 0 for fewer than two."""
    xy = xy[np.isfinite(xy).all(-1)]
    return float(np.hypot(*(xy.max(0) - xy.min(0)))) if len(xy) > 1 else 0.0


def _line_width(canvas: Pixels, xy: Floats, group: bool) -> float:
    """Half the width of a limb, px: a share of the person's size, with limits that depend on the image's."""
    longer = max(canvas.shape[:2])
    person = _extent(xy) or (0.1 if group else 0.25) * longer
    least = max(0.5, 0.0008 * longer) if group else max(0.8, 0.0013 * longer)
    return float(np.clip(0.009 * person, least, max(1.0, 0.0042 * longer)))


def _draw_joint(
    canvas: Pixels,
    at: Floats,
    radius: float,
    width: float,
    colour: Colour,
    alpha: float,
    hidden: bool,
) -> None:
    edge = max(0.8, 0.45 * width)
    line(canvas, at, at, radius + 2 * edge, DARK, DARK, 0.45 * alpha)
    if hidden:
        line(canvas, at, at, radius + edge, colour, colour, alpha)
        line(canvas, at, at, radius - edge, DARK, DARK, alpha)
    else:
        line(canvas, at, at, radius + edge, WHITE, WHITE, alpha)
        line(canvas, at, at, radius, colour, colour, alpha)


def _resized(image: Pixels, factor: int) -> Pixels:
    h, w = image.shape[:2]
    return np.array(Image.fromarray(image).resize((w * factor, h * factor), Image.Resampling.BICUBIC))


def _transformed(points: Poses, x: float, y: float, factor: float) -> Poses:
    """The same poses in an image cropped at (x, y) and then scaled."""
    std = None if points.std is None else points.std * factor
    boxes = tuple(
        Box((b.x - x) * factor, (b.y - y) * factor, b.w * factor, b.h * factor) for b in points.boxes
    )
    return replace(points, xy=(points.xy - (x, y)) * factor, std=std, boxes=boxes)


def _region_around(image: Pixels, people: Sequence[Poses], pane: tuple[int, int]) -> Box:
    """A region with the pane's aspect ratio that contains the boxes and the keypoints near them."""
    corners = np.array([c for p in people for b in p.boxes for c in (b.xyxy[:2], b.xyxy[2:])]).reshape(-1, 2)
    low, high = corners.min(0), corners.max(0)
    reach = 0.5 * (high - low)
    points = np.concatenate([p.xy.reshape(-1, 2) for p in people])
    points = np.clip(points[np.isfinite(points).all(-1)], low - reach, high + reach)
    box = Box.around(np.concatenate([corners, points]), 1.12)
    w = max(box.w, box.h * pane[0] / pane[1])
    h = w * pane[1] / pane[0]
    return Box(box.center[0] - w / 2, box.center[1] - h / 2, w, h)


def _crop(image: Pixels, box: Box, pane: tuple[int, int]) -> Pixels:
    """The region as an image of `pane` (w, h) px, dark outside the image."""
    x0, y0 = int(np.floor(box.x)), int(np.floor(box.y))
    x1, y1 = int(np.ceil(box.x + box.w)), int(np.ceil(box.y + box.h))
    piece = Image.fromarray(image).crop((x0, y0, x1, y1))
    inner = (box.x - x0, box.y - y0, box.x - x0 + box.w, box.y - y0 + box.h)
    return np.array(piece.resize(pane, Image.Resampling.LANCZOS, box=inner))
