"""docs/images/card.png: the bundled model on scikit-image's photos, where it does well and where it does not.

python runs/card_pictures.py docs/images/card.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw

from posetalk import Box, Localizer
from posetalk.draw import draw_pose, font
from posetalk.skeleton import load_skeleton

SIDE, LINE = 420, 34
FOLDER = Path(skimage.__path__[0]) / "data"
MAN, WOMAN = Box(0, 60, 345, 452), Box(0, 0, 460, 512)


def main() -> None:
    man = np.array(Image.open(FOLDER / "camera.png").convert("RGB"))
    woman = np.array(Image.open(FOLDER / "astronaut.png").convert("RGB"))
    cat = np.array(Image.open(FOLDER / "chelsea.png").convert("RGB"))
    height, width = man.shape[:2]
    small = np.array(Image.fromarray(man).resize((64, 64)))
    cases = [
        ("a man and his camera", man, MAN),
        ("the same, mirrored", man[:, ::-1].copy(), Box(width - MAN.w, MAN.y, MAN.w, MAN.h)),
        ("upside down", man[::-1].copy(), Box(0, height - MAN.y - MAN.h, MAN.w, MAN.h)),
        ("legs out of the picture", woman, WOMAN),
        ("64 pixels", small, Box(0, 7, 43, 56)),
        ("no person at all", cat, Box(0, 0, cat.shape[1], cat.shape[0])),
    ]
    localizer, limbs = Localizer.from_pretrained("bundled"), load_skeleton("coco17").limbs
    sheet = Image.new("RGB", (3 * SIDE, 2 * (SIDE + LINE)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (title, picture, box) in enumerate(cases):
        found = localizer.set_image(picture).locate([box])
        drawn = Image.fromarray(draw_pose(picture, found, limbs))
        drawn.thumbnail((SIDE, SIDE))
        x, y = number % 3 * SIDE, number // 3 * (SIDE + LINE)
        sheet.paste(drawn, (x + (SIDE - drawn.width) // 2, y + LINE + (SIDE - drawn.height) // 2))
        seen = 0 if found.visible is None else int(found.visible.sum())
        pen.text(
            (x + 12, y + 8),
            f"{title}: score {found.score.mean():.2f}, {seen} of 17 seen",
            fill="#12141a",
            font=font(16),
        )
    sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
