"""An image with its poses drawn on it, for a page: a thumbnail under lines that can be switched off."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posetalk.draw.paint import MIDDLE, Colour, side_colour
from posetalk.errors import PosetalkError
from posetalk.images.fit import misfit
from posetalk.images.small import small_jpeg
from posetalk.pages.render import render
from posetalk.types import Person, PoseImage

SIDE = 480  # px of a thumbnail's longer side
QUALITY = 68  # of JPEG; such a thumbnail has about 25 kB


@dataclass(frozen=True, slots=True)
class Limb:
    """A limb. path: its SVG path."""

    path: str
    colour: str


@dataclass(frozen=True, slots=True)
class Joint:
    """A joint at x, y in pixels of the image. seen: whether it is labelled as visible."""

    name: str
    x: float
    y: float
    colour: str
    seen: bool


@dataclass(frozen=True, slots=True)
class DrawnPerson:
    """A drawn person. line: the width of its limbs, px of the image."""

    line: float
    limbs: tuple[Limb, ...]
    joints: tuple[Joint, ...]


def figure(
    image: PoseImage, names: Sequence[str], limbs: Sequence[tuple[int, int]]
) -> tuple[str, str | None]:
    """Draw the poses of an image as SVG for a page.

    Args:
        image: The labelled image. Without its file, people and boxes are drawn on a blank canvas.
        names: The names of the keypoints.
        limbs: Pairs of indices of keypoints that are joined.

    Returns:
        The SVG, and a sentence if the file exists and cannot be read or has another shape than the labels say.
    """
    people = [person for person in image.people if not person.is_crowd]
    embedded, fault = _embedded_image(image)
    if embedded is not None:
        # the labels' own size, if they have one: the file may be a smaller copy of the image
        width, height = image.width or embedded[1][0], image.height or embedded[1][1]
    else:
        width, height = _size(image, people)
    description = f"{image.path.name}: {len(people)} {'person' if len(people) == 1 else 'people'}"
    description += "" if embedded else ", no photo"
    svg = render(
        "pose.html.jinja",
        what=description,
        size=(width, height),
        longer=max(width, height),
        photo=embedded[0] if embedded else "",
        boxes=[person.box.xywh for person in people],
        people=[
            _drawn_person(person, names, limbs, max(width, height))
            for person in people
            if person.labelled.any()
        ],
    )
    return svg, fault


def _embedded_image(image: PoseImage) -> tuple[tuple[str, tuple[int, int]] | None, str | None]:
    """A small JPEG, base64, with the image's own size (width, height); or a sentence why it cannot be read."""
    if not image.path.is_file():
        return None, None
    if fault := misfit(image, any_size=True):
        return None, f"{image.path.name}: {fault}"
    try:
        small = small_jpeg(image.path, SIDE, QUALITY, progressive=True)
    except PosetalkError as error:
        return None, str(error)
    return (base64.b64encode(small.jpeg).decode(), small.full_size), None


def _size(image: PoseImage, people: Sequence[Person]) -> tuple[int, int]:
    """The image's size by the labels, or large enough for all people."""
    corners = np.array([(0.0, 0.0), *(person.box.xyxy[2:] for person in people)]).max(0)
    largest = np.maximum(np.ceil(corners), 1).astype(int)
    return image.width or int(largest[0]), image.height or int(largest[1])


def _drawn_person(
    person: Person, names: Sequence[str], limbs: Sequence[tuple[int, int]], longer: float
) -> DrawnPerson:
    labelled, xy = person.labelled, person.keypoints
    extent = float(np.hypot(*(xy[labelled].max(0) - xy[labelled].min(0))))
    line_width = float(np.clip(0.018 * extent, 0.0035 * longer, 0.011 * longer))
    colours = [side_colour(name) for name in names]
    drawn_limbs = tuple(
        Limb(
            f"M{xy[a][0]:.1f} {xy[a][1]:.1f}L{xy[b][0]:.1f} {xy[b][1]:.1f}",
            _css(_limb_colour(colours[a], colours[b])),
        )
        for a, b in limbs
        if labelled[a] and labelled[b]
    )
    joints = tuple(
        Joint(names[j], float(xy[j][0]), float(xy[j][1]), _css(colours[j]), bool(person.visible[j] == 2))
        for j in map(int, np.flatnonzero(labelled))
    )
    return DrawnPerson(line_width, drawn_limbs, joints)


def _limb_colour(a: Colour, b: Colour) -> Colour:
    """The colour of the side that a limb belongs to; of the middle where it crosses the body."""
    sides = {a, b} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
