"""What a model finds for free phrases on real photos, drawn for looking at.

    python runs/free_phrases.py bundled --annotations person_keypoints_val2017.json --images val2017 --out sheets

Each phrase of free_phrases.toml is asked for one person, the largest, on each of 20 photos, spread evenly over the
labels. The labels give the person and their box, nothing else. OUT gets sheets of four phrases, with the score of each
answer. A phrase that the model refuses is written with its reason.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from posetalk import Localizer
from posetalk.draw import draw_pose, font
from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.images.opening import read_image
from posetalk.types import Box, PoseImage, Poses, PoseSet

HERE = Path(__file__).parent
PHOTOS, PER_ROW, PHRASES_PER_SHEET = 20, 10, 4
TILE = (112, 140)  # px: a sheet fits a screen
LABELLED = 12  # a person with fewer labelled keypoints shows too little of the body
_GAP, _HEADING = 4, 34


def chosen(truth: PoseSet, count: int = PHOTOS) -> list[tuple[PoseImage, Box]]:
    """The largest person with at least 12 labelled keypoints on each of `count` photos, spread evenly over all such."""
    people = []
    for image in truth.images:
        whole = [p for p in image.people if p.labelled.sum() >= LABELLED and not p.is_crowd]
        if whole:
            people.append((image, max(whole, key=lambda p: p.box.area).box))
    steps = np.linspace(0, len(people) - 1, min(count, len(people))).round().astype(int)
    return [people[i] for i in steps]


def tile(photo: np.ndarray, poses: Poses, index: int) -> Image.Image:
    """The person cut out, one and a quarter times their box, with one keypoint and its score."""
    box = poses.boxes[0].scaled(1.25)
    width = max(box.w, box.h * TILE[0] / TILE[1])
    scale = TILE[0] / width
    left, top = box.center[0] - width / 2, box.center[1] - width * TILE[1] / TILE[0] / 2
    region = (round(left), round(top), round(left + width), round(top + TILE[1] / scale))
    piece = Image.fromarray(photo).crop(region).resize(TILE, Image.Resampling.BICUBIC)
    point = replace(
        poses.some([0]),
        xy=(poses.xy[:, index : index + 1] - (left, top)) * scale,
        score=np.ones((1, 1)),
        names=poses.names[index : index + 1],
        std=None,
        visible=None,
        trained=None,
    )
    drawn = Image.fromarray(draw_pose(np.array(piece), point, labels="none", enlarge=False))
    pen = ImageDraw.Draw(drawn)
    x, y = point.xy[0, 0]
    for radius, colour in (
        (10, "#12141a"),
        (9, "#ffd63c"),
    ):  # the dot alone is hard to find on so small a photo
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
    pen.rectangle((0, 0, 30, 15), fill="#12141a")
    pen.text((3, 1), f"{poses.score[0, index]:.2f}", fill="white", font=font(12))
    return drawn


def sheet(rows: Sequence[tuple[str, str, Sequence[Image.Image]]]) -> Image.Image:
    """A phrase, a note beside it and its tiles below, for each row."""
    heights = [_HEADING + -(-len(tiles) // PER_ROW) * (TILE[1] + _GAP) for _, _, tiles in rows]
    page = Image.new("RGB", (PER_ROW * (TILE[0] + _GAP) + _GAP, sum(heights) + _GAP), "white")
    pen = ImageDraw.Draw(page)
    y = 0
    for (phrase, note, tiles), height in zip(rows, heights, strict=True):
        pen.text((_GAP, y + 7), phrase, fill="#12141a", font=font(19))
        pen.text((_GAP + 14 + font(19).getlength(phrase), y + 12), note, fill="#6a7080", font=font(13))
        for number, one in enumerate(tiles):
            row, column = divmod(number, PER_ROW)
            page.paste(one, (_GAP + column * (TILE[0] + _GAP), y + _HEADING + row * (TILE[1] + _GAP)))
        y += height
    return page


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="bundled, or the folder of a model")
    for name in ("annotations", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--phrases", type=Path, default=HERE / "free_phrases.toml")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    phrases: list[str] = tomllib.loads(given.phrases.read_text(encoding="utf-8"))["phrases"]
    model = Localizer.from_pretrained(given.model, threads=given.threads)
    asked, refused = [], {}
    for phrase in phrases:
        try:
            model.questions([phrase])
            asked.append(phrase)
        except PosetalkError as error:
            refused[phrase] = str(error)
    tiles: dict[str, list[Image.Image]] = {phrase: [] for phrase in phrases}
    for image, box in chosen(read_people(given.annotations, given.images)):
        photo = read_image(image.path)
        poses = model.set_image(photo).locate([box], asked)
        for index, phrase in enumerate(asked):
            tiles[phrase].append(tile(photo, poses, index))
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [(phrase, refused.get(phrase, ""), tiles[phrase]) for phrase in phrases]
    for start in range(0, len(rows), PHRASES_PER_SHEET):
        path = given.out / f"phrases_{start // PHRASES_PER_SHEET + 1:02d}.png"
        sheet(rows[start : start + PHRASES_PER_SHEET]).save(path)
        print(path)


if __name__ == "__main__":
    main()
