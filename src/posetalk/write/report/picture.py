"""A picture with its people drawn on it, for a page: a small photo under lines that can be put out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from posetalk.draw.paint import MIDDLE, Colour, side_colour
from posetalk.errors import PosetalkError
from posetalk.images.fit import misfit
from posetalk.images.opening import read_image
from posetalk.pages.render import render
from posetalk.types import Person, PoseImage

SIDE = 480  # px of a photo's longer side
QUALITY = 68  # of JPEG; such a photo is about 25 kB


@dataclass(frozen=True, slots=True)
class Limb:
    """path: of SVG."""

    path: str
    colour: str


@dataclass(frozen=True, slots=True)
class Joint:
    """seen: it is labelled as visible."""

    name: str
    x: float
    y: float
    colour: str
    seen: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """A person in pixels of the picture. line: how thick limbs are."""

    line: float
    limbs: tuple[Limb, ...]
    joints: tuple[Joint, ...]


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
        # the labels' own size, where they name one: the photo may be a smaller copy of the same
        w, h = image.width or photo[1][0], image.height or photo[1][1]
    else:
        w, h = _size(image, people)
    what = f"{image.path.name}: {len(people)} {'person' if len(people) == 1 else 'people'}"
    what += "" if photo else ", no photo"
    svg = render(
        "pose.html.jinja",
        what=what,
        size=(w, h),
        longer=max(w, h),
        photo=photo[0] if photo else "",
        boxes=[person.box.xywh for person in people],
        people=[_drawn(person, names, limbs, max(w, h)) for person in people if person.labelled.any()],
    )
    return svg, fault


def _photo(image: PoseImage) -> tuple[tuple[str, tuple[int, int]] | None, str | None]:
    """A small JPEG, base64, with the photo's own size (w, h)."""
    if not image.path.is_file():
        return None, None
    if fault := misfit(image, any_size=True):
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


def _drawn(person: Person, names: Sequence[str], limbs: Sequence[tuple[int, int]], longer: float) -> Drawn:
    there, xy = person.labelled, person.keypoints
    reach = float(np.hypot(*(xy[there].max(0) - xy[there].min(0))))
    line = float(np.clip(0.018 * reach, 0.0035 * longer, 0.011 * longer))
    colours = [side_colour(name) for name in names]
    lines = tuple(
        Limb(
            f"M{xy[a][0]:.1f} {xy[a][1]:.1f}L{xy[b][0]:.1f} {xy[b][1]:.1f}",
            _css(_limb_colour(colours[a], colours[b])),
        )
        for a, b in limbs
        if there[a] and there[b]
    )
    joints = tuple(
        Joint(names[j], float(xy[j][0]), float(xy[j][1]), _css(colours[j]), bool(person.visible[j] == 2))
        for j in map(int, np.flatnonzero(there))
    )
    return Drawn(line, lines, joints)


def _limb_colour(a: Colour, b: Colour) -> Colour:
    """A limb is on the side of its ends; across the body it is on none."""
    sides = {a, b} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
