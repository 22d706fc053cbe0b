"""A picture with its people drawn on it, for a page: a small photo under lines that can be put out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from posetalk.draw.paint import MIDDLE, Colour, side_colour
from posetalk.errors import PosetalkError
from posetalk.images.fit import misfit
from posetalk.images.opening import read_image
from posetalk.types import Person, PoseImage

SIDE = 480  # px of a photo's longer side
QUALITY = 68  # of JPEG; such a photo is about 25 kB


def figure(
    image: PoseImage, names: Sequence[str], limbs: Sequence[tuple[int, int]]
) -> tuple[str, str | None]:
    """The picture as HTML, and why its photo is not in it, if it is there and cannot be read or has another shape.

    names, limbs: of the keypoints, in the order of `image.people`. Without a photo the people and their boxes are on a
    blank canvas of the picture's size.
    """
    people = [person for person in image.people if not person.is_crowd]
    photo, fault = _photo(image)
    if photo is not None:
        data, (w, h) = photo
        # the labels' own size, where they name one: the photo may be a smaller copy of the same
        w, h = image.width or w, image.height or h
        ground = f'<image href="data:image/jpeg;base64,{data}" width="{w}" height="{h}" preserveAspectRatio="none"/>'
    else:
        w, h = _size(image, people)
        ground = f'<rect class="blank" width="{w}" height="{h}"/>'
        ground += "".join(_box(person, max(w, h)) for person in people)
    drawn = "".join(_person(person, names, limbs, max(w, h)) for person in people)
    what = f"{image.path.name}: {len(people)} {'person' if len(people) == 1 else 'people'}"
    what += "" if photo else ", no photo"
    svg = (
        f'<svg class="photo" viewBox="0 0 {w} {h}" role="img" aria-label="{escape(what)}">{ground}'
        f'<g class="pose">{drawn}</g></svg>'
    )
    return svg, fault


def _photo(image: PoseImage) -> tuple[tuple[str, tuple[int, int]] | None, str | None]:
    """A small JPEG, base64, with the photo's own size (w, h)."""
    if not image.path.is_file():
        return None, None
    if fault := misfit(image, shape=True):
        return None, f"{image.path.name}: {fault}"
    try:
        small = Image.fromarray(read_image(image.path))
    except PosetalkError as error:
        return None, str(error)
    size = small.size
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return (base64.b64encode(file.getvalue()).decode(), size), None


def _size(image: PoseImage, people: Sequence[Person]) -> tuple[int, int]:
    """The picture's size as the labels have it, or large enough for all people."""
    corners = np.array([(0.0, 0.0), *(person.box.xyxy[2:] for person in people)]).max(0)
    reach = np.maximum(np.ceil(corners), 1).astype(int)
    return image.width or int(reach[0]), image.height or int(reach[1])


def _box(person: Person, longer: float) -> str:
    x, y, w, h = person.box.xywh
    dash, line = longer / 90, longer / 300
    return (
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" '
        f'stroke-width="{line:.2f}" stroke-dasharray="{dash:.1f}"/>'
    )


def _person(person: Person, names: Sequence[str], limbs: Sequence[tuple[int, int]], longer: float) -> str:
    """Limbs on a dark seam, joints on top; a joint that is labelled but hidden is a ring."""
    there = person.labelled
    if not there.any():
        return ""
    xy = person.keypoints
    reach = float(np.hypot(*(xy[there].max(0) - xy[there].min(0))))
    line = float(np.clip(0.018 * reach, 0.0035 * longer, 0.011 * longer))
    colours = [side_colour(name) for name in names]
    under, over = [], []
    for a, b in limbs:
        if there[a] and there[b]:
            path = f'd="M{xy[a][0]:.1f} {xy[a][1]:.1f}L{xy[b][0]:.1f} {xy[b][1]:.1f}"'
            under.append(
                f'<path {path} stroke="#12141a" stroke-opacity=".45" stroke-width="{2 * line:.2f}"/>'
            )
            colour = _css(_limb_colour(colours[a], colours[b]))
            over.append(f'<path {path} stroke="{colour}" stroke-width="{line:.2f}"/>')
    for j in map(int, np.flatnonzero(there)):
        seen = person.visible[j] == 2
        fill, edge = (_css(colours[j]), "#fff") if seen else ("#12141a", _css(colours[j]))
        name = escape(names[j]) + ("" if seen else " (hidden)")
        over.append(
            f'<circle cx="{xy[j][0]:.1f}" cy="{xy[j][1]:.1f}" r="{1.05 * line:.2f}" fill="{fill}" stroke="{edge}" '
            f'stroke-width="{(0.45 if seen else 0.8) * line:.2f}"><title>{name}</title></circle>'
        )
    return "".join([*under, *over])


def _limb_colour(a: Colour, b: Colour) -> Colour:
    """A limb is on the side of its ends; across the body it is on none."""
    sides = {a, b} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
