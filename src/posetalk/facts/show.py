"""The facts of an annotation file: as lines, as JSON, as pictures."""

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
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import Scene, ScenePerson, scene_facts
from posetalk.formats.objects import Thing
from posetalk.images.fit import drop_misfits
from posetalk.images.opening import read_image
from posetalk.skeleton import Skeleton
from posetalk.types import Floats, PoseImage, Poses, PoseSet

SIZE = 15  # px of the text beside a picture
PANEL = 520  # px
PICTURE = 720  # px of its height, at most


def iter_scenes(
    data: PoseSet, things: Mapping[int, Sequence[Thing]], chosen: Collection[int] = ()
) -> Iterable[tuple[PoseImage, Scene]]:
    """The pictures with people and their scenes; of `chosen` ids alone where there are any. Errors: an unknown id."""
    for image in _chosen(data, chosen):
        yield image, scene_facts(image, data.keypoint_names, things.get(image.id, ()))


def drawable_images(data: PoseSet, chosen: Collection[int] = ()) -> PoseSet:
    """The pictures with people, or the chosen ones, whose files are those that were labelled; see `fitting`."""
    return drop_misfits(replace(data, images=tuple(_chosen(data, chosen))))


def _chosen(data: PoseSet, chosen: Collection[int]) -> list[PoseImage]:
    known = {image.id for image in data.images}
    for image_id in chosen:
        if image_id not in known:
            raise PosetalkError(f"{data.source} has no image {image_id}; check --image")
    return [image for image in data.images if image.people and (not chosen or image.id in chosen)]


def scene_lines(scene: Scene) -> list[str]:
    """What is true in a scene, a line a person, a line each for pairs and objects."""
    found = [f"image {scene.image_id}: {_count(len(scene.people) + scene.others)}"]
    found += [f"  {figure.name}: {', '.join(_words(figure.facts))}" for figure in scene.people]
    # people are named from the left, and carried is what is at a hand
    plain = ("first on the left", "carried")
    found += [
        f"  {fact.key}" for fact in scene.facts.true if fact.part != "picture" and fact.predicate not in plain
    ]
    return found


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """A scene as plain data: every fact with its value and its numbers."""

    def rows(facts: Facts) -> list[dict[str, Any]]:
        return [fact.to_dict() for fact in facts]

    return {
        "image_id": scene.image_id,
        "people": [
            {"name": f.name, "box": [round(v, 2) for v in f.box.xywh], "facts": rows(f.facts)}
            for f in scene.people
        ],
        "others": scene.others,
        "facts": rows(scene.facts),
    }


def write_scenes(found: Iterable[Scene], path: Path) -> None:
    """One line a picture."""
    with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
        for scene in found:
            file.write(json.dumps(scene_to_dict(scene)) + "\n")


def draw_scene(pixels: np.ndarray, scene: Scene, points: Skeleton) -> np.ndarray:
    """The people of a scene on its picture, (h, w, 3) uint8 RGB, with what is true written beside it."""
    for figure in scene.people:
        pixels = draw_pose(pixels, _keypoints(figure, points), points.limbs, labels="none", enlarge=False)
    picture = Image.fromarray(pixels)
    scale = PICTURE / max(picture.height, picture.width)
    picture = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
    )
    font = ImageFont.load_default(SIZE)
    lines = [part for line in scene_lines(scene) for part in _wrapped(line, font)]
    height = max(picture.height, (len(lines) + 2) * (SIZE + 5))
    page = Image.new("RGB", (picture.width + PANEL, height), "white")
    page.paste(picture, (0, 0))
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((picture.width + SIZE, SIZE + number * (SIZE + 5)), line, fill="black", font=font)
    return np.asarray(page)


def draw_scenes(found: Iterable[tuple[PoseImage, Scene]], points: Skeleton, folder: Path) -> list[str]:
    """Each picture as folder/ID.png; a sentence for each that cannot be read.

    Errors: none of them can; a folder that cannot be written.
    """
    left_out, drawn = [], 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image, scene in found:
            try:
                pixels = read_image(image.path)
            except PosetalkError as error:
                left_out.append(str(error))
                continue
            Image.fromarray(draw_scene(pixels, scene, points)).save(folder / f"{image.id}.png")
            drawn += 1
        if left_out and not drawn:
            raise PosetalkError(left_out[0])
        return left_out
    except OSError as error:
        raise PosetalkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from None


def _count(people: int) -> str:
    return "1 person" if people == 1 else f"{people} people"


def _words(facts: Facts) -> list[str]:
    return [_word(fact) for fact in facts.true] or ["nothing known"]


def _word(fact: Fact) -> str:
    return fact.predicate if fact.part == "body" else f"{fact.part} {fact.predicate}"


def _keypoints(figure: ScenePerson, points: Skeleton) -> Poses:
    xy = np.array([_place(figure, name) for name in points.names])
    shown = np.array([[name not in figure.body.hidden for name in points.names]])
    return Poses(xy[None], np.ones((1, len(points))), points.names, (figure.box,), visible=shown)


def _place(figure: ScenePerson, name: str) -> Floats:
    point = figure.body[name]
    return np.full(2, np.nan) if point is None else point


def _wrapped(line: str, font: Any) -> list[str]:
    rows, row = [], ""
    for word in line.split(" "):
        longer = f"{row} {word}" if row else word
        if row.strip() and font.getlength(longer) > PANEL - 2 * SIZE:
            rows.append(row)
            longer = f"      {word}"
        row = longer
    return [*rows, row]
