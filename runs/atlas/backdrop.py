"""What is behind people, and in front of them: parts of photos, gradients, noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from runs.atlas.fit import LSPET_TRAINED

PATCHES = 60  # tries to find a part of a photo without people


class Backdrops:
    """Parts of training photos, which are read when they are needed.

    Args:
        lspet: The folder of LSPET; None: COCO's photos stand in for its. People are in all of them: they are blurred
            until no joint can be seen.
        coco: A folder with `train2017` and `annotations`: parts without a labelled person stay sharp.
    """

    def __init__(self, lspet: Path | None, coco: Path) -> None:
        labels = json.loads((coco / "annotations" / "instances_train2017.json").read_text())
        persons = {c["id"] for c in labels["categories"] if c["name"] == "person"}
        boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in labels["images"]}
        for one in labels["annotations"]:
            if one["category_id"] in persons:
                boxes[one["image_id"]].append(one["bbox"])
        self._coco = [
            (coco / "train2017" / image["file_name"], image["width"], image["height"], boxes[image["id"]])
            for image in labels["images"]
        ]
        self._with_people = [path for path, *_ in self._coco] if lspet is None else _athletes(lspet)

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A background (size, size, 3), 0 to 255."""
        kind = rng.choice(["sharp", "blurred", "gradient", "noise"], p=[0.55, 0.34, 0.07, 0.04])
        if kind == "gradient":
            corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.uint8)
            return np.asarray(Image.fromarray(corners).resize((size, size), Image.Resampling.BILINEAR), float)
        if kind == "noise":
            cells = int(rng.integers(3, 60))
            noise = (rng.uniform(0, 255, (cells, cells, 1)) + rng.normal(size=(cells, cells, 3)) * 40).clip(
                0, 255
            )
            how = rng.choice([Image.Resampling.NEAREST, Image.Resampling.BICUBIC])
            return np.asarray(Image.fromarray(noise.astype(np.uint8)).resize((size, size), int(how)), float)
        if kind == "sharp":
            return self.patch(rng, size, size)
        image = (
            Image.open(self._with_people[rng.integers(len(self._with_people))])
            .convert("RGB")
            .resize((size, size))
        )
        return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.03, 0.07) * size)), float)

    def patch(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        """A part of a photo without people in it (height, width, 3)."""
        for _ in range(PATCHES):
            path, w, h, boxes = self._coco[rng.integers(len(self._coco))]
            part = rng.uniform(0.2, 0.9) * min(w, h) * np.array([1, height / width])
            part *= min(1.0, 0.98 * w / part[0], 0.98 * h / part[1])
            x, y = rng.uniform(0, np.array([w, h]) - part)
            if any(
                min(x + part[0], bx + bw) > max(x, bx) and min(y + part[1], by + bh) > max(y, by)
                for bx, by, bw, bh in boxes
            ):
                continue
            box = tuple(int(v) for v in (x, y, x + part[0], y + part[1]))
            with Image.open(path) as image:
                found = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR, box)
            colour = np.asarray(found, np.float32)
            return colour[:, ::-1] if rng.random() < 0.5 else colour
        return rng.uniform(0, 255, 3) + np.zeros((height, width, 3))


def _athletes(lspet: Path) -> list[Path]:
    photos = sorted((lspet / "images").glob("im*.jpg"))
    return [path for path in photos if int(path.stem.removeprefix("im")) <= LSPET_TRAINED]
