"""Ids and smooth places on sequences whose people are known.

    python -m benchmarks.video COCO_PEOPLE [--split val2017] [--sequences 10] [--frames 50]

COCO_PEOPLE has annotations/person_keypoints_SPLIT.json and the photos in SPLIT/. Three people are cut out of
photos with soft edges and moved over a blurred photo: two cross, the third stands still. So who is where in each
frame is known, and where the labelled keypoints are. Printed are

- ids kept: of all people in all frames, the share that has the id that this person has most often; nobody found counts
  against it; and how often an id changes;
- jitter: of the person who stands still, the mean distance of a keypoint from one frame to the next, and the mean
  distance from the labels, both as shares of the root of the box's area; the same of those who move.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.measure import show
from PIL import Image, ImageDraw, ImageFilter

from posetalk import Box, Localizer
from posetalk.images.opening import read_image
from posetalk.locate.predictions import rounded
from posetalk.locate.track.people import Following, TrackedFrame
from posetalk.locate.track.video import VideoFrame

SIZE, RATE, TALL = (960, 540), 25, 360  # px, frames a second, the height of people


class Cutout:
    """A person of a photo: pixels with opacity, and the labelled keypoints in them."""

    def __init__(self, folder: Path, label: dict[str, Any]) -> None:
        x, y, w, h = label["bbox"]
        image = Image.fromarray(read_image(folder / label["file_name"])).crop((x, y, x + w, y + h))
        scale = TALL / h
        self.image = image.resize((round(w * scale), TALL))
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).rounded_rectangle((6, 6, self.image.width - 7, TALL - 7), radius=40, fill=255)
        self.mask = mask.filter(ImageFilter.GaussianBlur(5))
        points = np.array(label["keypoints"], float).reshape(-1, 3)
        self.xy, self.labelled = (points[:, :2] - (x, y)) * scale, points[:, 2] > 0


def people(folder: Path, split: str) -> list[Cutout]:
    """Standing people who are labelled well, in the order of the file."""
    labels = json.loads((folder / "annotations" / f"person_keypoints_{split}.json").read_text())
    names = {image["id"]: image["file_name"] for image in labels["images"]}
    found = []
    for label in labels["annotations"]:
        w, h = label["bbox"][2:]
        if label["num_keypoints"] >= 13 and h > 150 and 1.6 < h / w < 4:
            found.append(Cutout(folder / split, label | {"file_name": names[label["image_id"]]}))
    return found


def sequence(
    chosen: list[Cutout], ground: Image.Image, frames: int
) -> Iterator[tuple[VideoFrame, list[np.ndarray]]]:
    """Frames, and the left top corner of each person in them."""
    wide = SIZE[0]
    for index in range(frames):
        t = index / max(frames - 1, 1)
        at = [
            np.array([0.08 * wide + t * 0.6 * wide, 80 + 8 * np.sin(9 * t)]),
            np.array([0.62 * wide - t * 0.56 * wide, 120 + 6 * np.sin(7 * t)]),
            np.array([0.78 * wide, 100.0]),
        ]
        canvas = ground.copy()
        for person, corner in zip(chosen, at, strict=True):
            canvas.paste(person.image, tuple(corner.round().astype(int)), person.mask)
        noise = np.random.default_rng(index).normal(0, 3, (SIZE[1], SIZE[0], 3))  # of a camera
        image = np.clip(np.asarray(canvas) + noise, 0, 255).astype(np.uint8)
        yield VideoFrame(index, index / RATE, image), [corner.round() for corner in at]


def matched(frame: TrackedFrame, chosen: list[Cutout], at: list[np.ndarray]) -> dict[int, int]:
    """Which of the frame's people each of the known people is, by their boxes."""
    overlaps = np.zeros((len(chosen), len(frame.ids)))
    for i, (person, corner) in enumerate(zip(chosen, at, strict=True)):
        truth = Box(*corner, person.image.width, person.image.height)
        for j, box in enumerate(frame.poses.boxes):
            low, high = np.maximum(truth.xyxy[:2], box.xyxy[:2]), np.minimum(truth.xyxy[2:], box.xyxy[2:])
            shared = np.clip(high - low, 0, None).prod()
            overlaps[i, j] = shared / (truth.area + box.area - shared)
    out = {}
    while overlaps.size and overlaps.max() > 0.4:
        i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
        out[int(i)] = int(j)
        overlaps[i], overlaps[:, j] = 0, 0
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="val2017")
    parser.add_argument("--sequences", type=int, default=10)
    parser.add_argument("--frames", type=int, default=50)
    given = parser.parse_args()
    everybody, localizer = people(given.folder, given.split), Localizer.from_pretrained()
    draw = np.random.default_rng(0)
    kept = Counter[str]()
    sizes: dict[str, list[float]] = defaultdict(list)
    for _ in range(given.sequences):
        chosen = [everybody[i] for i in draw.choice(len(everybody), 3, replace=False)]
        ground = (
            everybody[draw.integers(len(everybody))].image.resize(SIZE).filter(ImageFilter.GaussianBlur(20))
        )
        follow = {"raw": Following(raw=True), "smoothed": Following(raw=False)}
        ids: list[list[int | None]] = [[], [], []]
        places: dict[str, list[dict[int, np.ndarray]]] = defaultdict(list)
        corners = []
        for frame, at in sequence(chosen, ground, given.frames):
            corners.append(at)
            poses = localizer.set_image(frame.image).locate()
            for name, following in follow.items():
                tracked = following.next(frame, rounded(poses))
                who = matched(tracked, chosen, at)
                places[name].append({i: tracked.poses.xy[j] for i, j in who.items()})
            for i in range(3):
                ids[i].append(tracked.ids[who[i]] if i in who else None)
        for row in ids:
            seen = [i for i in row if i is not None]
            kept["same"] += Counter(seen).most_common(1)[0][1] if seen else 0
            kept["found"] += len(seen)
            kept["all"] += len(row)
            kept["changes"] += sum(a != b for a, b in pairwise(seen))
        for name, rows in places.items():
            for i, person in enumerate(chosen):
                scale, which = np.sqrt(person.image.width * TALL), person.labelled
                how = "still" if i == 2 else "moving"
                for n, row in enumerate(rows):
                    if i in row and n >= 5:
                        error = np.hypot(*(row[i] - person.xy - corners[n][i])[which].T)
                        sizes[f"{name}, {how}: error"].append(error.mean() / scale)
                        if i in rows[n - 1]:
                            moved = row[i] - rows[n - 1][i] - (corners[n][i] - corners[n - 1][i])
                            sizes[f"{name}, {how}: jitter"].append(np.hypot(*moved[which].T).mean() / scale)
    rows = [
        ["ids kept", f"{kept['same'] / kept['all']:.3f}"],
        ["ids kept, of people found", f"{kept['same'] / kept['found']:.3f}"],
        ["changes of an id", str(kept["changes"])],
        *[[name, f"{np.mean(values):.4f}"] for name, values in sorted(sizes.items())],
    ]
    show("video", f"{given.sequences} sequences of {given.frames} frames", ["", "value"], rows, dict(rows))


if __name__ == "__main__":
    main()
