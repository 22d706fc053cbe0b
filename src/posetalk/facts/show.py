"""The facts of an annotation file as text lines, JSON and images."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posetalk.atomic_files import whole_file
from posetalk.draw.pose import draw_pose
from posetalk.errors import PosetalkError
from posetalk.facts.fact import Facts
from posetalk.facts.scene import Scene, ScenePerson, scene_facts
from posetalk.formats.objects import Thing
from posetalk.images.fit import drop_misfits
from posetalk.images.opening import read_image
from posetalk.skeleton import Skeleton
from posetalk.types import PoseImage, Poses, PoseSet

FONT_SIZE = 15  # px, of the text beside an image
PANEL_WIDTH = 520  # px
IMAGE_SIDE = 720  # px, of the longer side of the drawn image


def iter_scenes(
    data: PoseSet,
    things: Mapping[int, Sequence[Thing]],
    image_ids: Collection[int] = (),
    captions: Mapping[int, Sequence[str]] | None = None,
) -> Iterable[tuple[PoseImage, Scene]]:
    """The images with people and their scenes.

    Args:
        data: The labelled people.
        things: Objects by image id.
        image_ids: Only these images, if any are given.
        captions: Captions by image id, if there are any.

    Raises:
        PosetalkError: An id that the data set does not have.
    """
    written = captions or {}
    for image in _selected_images(data, image_ids):
        yield (
            image,
            scene_facts(image, data.keypoint_names, things.get(image.id, ()), written.get(image.id, ())),
        )


def labelled_ids(data: PoseSet, image_ids: Collection[int] = ()) -> list[int]:
    """The ids of the images with people, among `image_ids`.

    Raises:
        PosetalkError: An id that the data set does not have.
    """
    return [image.id for image in _selected_images(data, image_ids)]


def drawable_images(data: PoseSet, image_ids: Collection[int] = ()) -> PoseSet:
    """The data set with only the images that can be drawn on: with people, among `image_ids`; see `drop_misfits`."""
    return drop_misfits(replace(data, images=tuple(_selected_images(data, image_ids))))


def _selected_images(data: PoseSet, image_ids: Collection[int]) -> list[PoseImage]:
    known = {image.id for image in data.images}
    for image_id in image_ids:
        if image_id not in known:
            raise PosetalkError(f"{data.source} has no image {image_id}; check --image")
    wanted = set(image_ids)
    return [image for image in data.images if image.people and (not wanted or image.id in wanted)]


def scene_lines(scene: Scene) -> list[str]:
    """What is true in a scene, as text: one line per person, then one per fact between people and with objects."""
    count = len(scene.people) + scene.others
    lines = [f"image {scene.image_id}: {'1 person' if count == 1 else f'{count} people'}"]
    lines += [f"  {person.name}: {_true_facts_in_words(person.facts)}" for person in scene.people]
    # the numbers of people say who is on the left, and an object at a hand is carried
    implied = ("first on the left", "carried")
    lines += [
        f"  {fact.key}"
        for fact in scene.facts.true
        if fact.part != "picture" and fact.predicate not in implied
    ]
    return lines


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """A scene as JSON-ready data: every fact with its value and its numbers."""

    def rows(facts: Facts) -> list[dict[str, Any]]:
        return [fact.to_dict() for fact in facts]

    return {
        "image_id": scene.image_id,
        "people": [
            {"name": person.name, "box": [round(v, 2) for v in person.box.xywh], "facts": rows(person.facts)}
            for person in scene.people
        ],
        "others": scene.others,
        "facts": rows(scene.facts),
    }


def write_scenes(scenes: Iterable[Scene], path: Path) -> None:
    """Write scenes as JSON lines, one per image."""
    with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
        for scene in scenes:
            file.write(json.dumps(scene_to_dict(scene)) + "\n")


def draw_scene(pixels: np.ndarray, scene: Scene, skeleton: Skeleton) -> np.ndarray:
    """Draw the people of a scene on its image, (h, w, 3) uint8 RGB, and write its true facts beside it."""
    for person in scene.people:
        pixels = draw_pose(pixels, _poses_of(person, skeleton), skeleton.limbs, labels="none", enlarge=False)
    image = Image.fromarray(pixels)
    scale = IMAGE_SIDE / max(image.height, image.width)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    font = ImageFont.load_default(FONT_SIZE)
    lines = [part for line in scene_lines(scene) for part in _wrap(line, font)]
    height = max(image.height, (len(lines) + 2) * (FONT_SIZE + 5))
    page = Image.new("RGB", (image.width + PANEL_WIDTH, height), "white")
    page.paste(image, (0, 0))
    drawing = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        drawing.text(
            (image.width + FONT_SIZE, FONT_SIZE + number * (FONT_SIZE + 5)), line, fill="black", font=font
        )
    return np.asarray(page)


def draw_scenes(scenes: Iterable[tuple[PoseImage, Scene]], skeleton: Skeleton, folder: Path) -> list[str]:
    """Draw each scene as folder/ID.png.

    Returns:
        A sentence for each image that cannot be read.

    Raises:
        PosetalkError: No image can be read, or the folder cannot be written.
    """
    unreadable, written = [], 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image, scene in scenes:
            try:
                pixels = read_image(image.path)
            except PosetalkError as error:
                unreadable.append(str(error))
                continue
            Image.fromarray(draw_scene(pixels, scene, skeleton)).save(folder / f"{image.id}.png")
            written += 1
        if unreadable and not written:
            raise PosetalkError(unreadable[0])
        return unreadable
    except OSError as error:
        raise PosetalkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from None


def _true_facts_in_words(facts: Facts) -> str:
    words = [
        fact.predicate if fact.part in ("body", "action") else f"{fact.part} {fact.predicate}"
        for fact in facts.true
    ]
    return ", ".join(words or ["nothing known"])


def _poses_of(person: ScenePerson, skeleton: Skeleton) -> Poses:
    """A person's joints in the skeleton's order, NaN where there is no label."""
    xy = np.array([person.body.points.get(name, np.full(2, np.nan)) for name in skeleton.names])
    visible = np.array([[name not in person.body.hidden for name in skeleton.names]])
    return Poses(xy[None], np.ones((1, len(skeleton))), skeleton.names, (person.box,), visible=visible)


def _wrap(line: str, font: Any) -> list[str]:
    rows, row = [], ""
    for word in line.split(" "):
        extended = f"{row} {word}" if row else word
        if row.strip() and font.getlength(extended) > PANEL_WIDTH - 2 * FONT_SIZE:
            rows.append(row)
            extended = f"      {word}"
        row = extended
    return [*rows, row]
