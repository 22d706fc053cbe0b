"""Does the bundled detector find the people: recall, false boxes, time; and the keypoints in its boxes.

    python -m benchmarks.detect --data LABELS.json PHOTOS [--data ...] [--keypoints] [--draw FOLDER]

--data       COCO-style labels and the folder of their photos; a photo of several counts once, as the first has it
--keypoints  also AP and AR of the bundled model in labelled boxes, in detected ones, and without people found twice
--draw       a folder for the photos with boxes and poses drawn in

A person is found where a box overlaps theirs by half (IoU), each box for one person, the surest first. `large`: at
least 8 labelled keypoints and a longer side of 64 px. A box is false if it finds nobody and does not lie half in a
labelled crowd; labels without the people who have no keypoints make that number too large. The time is of one core, in
processor seconds, which other programs disturb less.

The lowest score and the limit above which two people are one were chosen on photos of train2017: the highest recall of
large people, then of all, with at most four false boxes a photo after people who were found twice are taken out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.measure import show
from PIL import Image, ImageDraw

from posetalk.detect.detector import Detector
from posetalk.detect.people import People
from posetalk.draw import draw_pose
from posetalk.formats.dataset import read_people
from posetalk.images.opening import Pixels, read_image
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction, predictions_of
from posetalk.locate.similarity import without_doubles
from posetalk.score.oks import coco_ap
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Floats, PoseImage, Poses, PoseSet

SCORES = (0.2, 0.22, 0.24, 0.25, 0.26, 0.3, 0.4)
LIMITS = (1.0, 0.9, 0.85, 0.8, 0.7)  # of the similarity above which two people are one; 1: all are kept
MIN_KEYPOINTS, MIN_SIDE = 8, 64


def overlaps(boxes: Sequence[Box], others: Sequence[Box]) -> tuple[Floats, Floats]:
    """(n, m): intersection over union, and the share of each box that lies in each other one."""
    a, b = (np.array([box.xyxy for box in some]).reshape(-1, 4) for some in (boxes, others))
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas, other_areas = ((some[:, 2:] - some[:, :2]).prod(1) for some in (a, b))
    return shared / (areas[:, None] + other_areas - shared), shared / areas[:, None]


def compared(image: PoseImage, boxes: Sequence[Box]) -> tuple[set[int], int]:
    """Which of the image's people (by index) are found by boxes, the surest first, and how many boxes are false."""
    people = [None if person.is_crowd else person.box for person in image.people]
    iou, _ = overlaps(boxes, [person.box for person in image.people])
    _, inside = overlaps(boxes, [person.box for person in image.people if person.is_crowd])
    found: set[int] = set()
    false = 0
    for row in range(len(boxes)):
        near = [n for n, box in enumerate(people) if box and n not in found and iou[row, n] >= 0.5]
        if near:
            found.add(max(near, key=lambda n: iou[row, n]))
        else:
            false += not (inside[row] >= 0.5).any()
    return found, false


def recall(images: Sequence[PoseImage], boxes: Sequence[Sequence[Box]]) -> tuple[float, float, float]:
    """The share of people found, that of the large ones, and false boxes a photo."""
    everybody, large, false = [], [], 0
    for image, some in zip(images, boxes, strict=True):
        found, more = compared(image, some)
        false += more
        for n, person in enumerate(image.people):
            if not person.is_crowd:
                everybody.append(n in found)
                if person.labelled.sum() >= MIN_KEYPOINTS and max(person.box.w, person.box.h) >= MIN_SIDE:
                    large.append(n in found)
    return float(np.mean(everybody)), float(np.mean(large)), false / len(images)


def at_score(people: People, score: float) -> tuple[Box, ...]:
    return tuple(box for box, sure in zip(people.boxes, people.scores, strict=True) if sure >= score)


def predictions(
    localizer: Localizer, images: Sequence[PoseImage], people: Sequence[People]
) -> list[tuple[Poses, list[Prediction]]]:
    """The poses in the boxes of each image, and as predictions."""
    found = localizer.locate_all((image.path, some.boxes) for image, some in zip(images, people, strict=True))
    made = []
    for image, some, poses in zip(images, people, found, strict=True):
        assert isinstance(poses, Poses), poses
        rows = predictions_of(image, range(1, len(some) + 1), poses, "bundled", some.scores.tolist())
        made.append((poses, rows))
    return made


def keypoints(
    truth: PoseSet, people: Sequence[People], drawn: Path | None
) -> tuple[list[list[str]], dict[str, object]]:
    localizer, skeleton = Localizer.from_pretrained("bundled"), load_skeleton("coco17")
    labelled = [
        [person for person in image.people if person.labelled.any() and not person.is_crowd]
        for image in truth.images
    ]
    given = [People(tuple(person.box for person in some), np.ones(len(some))) for some in labelled]
    numbers = {}
    own = [row for _, rows in predictions(localizer, truth.images, given) for row in rows]
    numbers["labelled boxes"] = coco_ap(truth, own, skeleton.sigmas)
    found = predictions(localizer, truth.images, people)
    rows_of = []
    for limit in LIMITS:
        kept = [
            without_doubles(replace(poses, box_scores=some.scores), skeleton.sigmas, limit)
            for (poses, _), some in zip(found, people, strict=True)
        ]
        left = [[some.boxes[n] for n in stay] for stay, some in zip(kept, people, strict=True)]
        everybody, large, false = recall(truth.images, left)
        name = f"detected, one person above {limit:g}"
        numbers[name] = coco_ap(
            truth,
            [rows[n] for stay, (_, rows) in zip(kept, found, strict=True) for n in stay],
            skeleton.sigmas,
        ) | {"recall": everybody, "recall large": large, "false": false}
        if drawn and limit == 0.85:
            for image, stay, (poses, _), some in zip(truth.images, kept, found, people, strict=True):
                draw(image, stay, poses, some, drawn, skeleton.limbs)
    for name, row in numbers.items():
        values = [row.get(key) for key in ("AP", "AP50", "AR", "recall", "recall large", "false")]
        rows_of.append([name, *("" if value is None else f"{value:.3f}" for value in values)])
    return rows_of, dict(numbers)


def draw(
    image: PoseImage,
    kept: Sequence[int],
    poses: Poses,
    people: People,
    folder: Path,
    limbs: Sequence[tuple[int, int]],
) -> None:
    """Boxes that stay in green with their score, doubles in red."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels: Pixels = read_image(image.path)
    for n in kept:
        pixels = draw_pose(pixels, poses.people(n, n + 1), limbs)
    canvas = Image.fromarray(pixels)
    pen = ImageDraw.Draw(canvas)
    for n, box in enumerate(people.boxes):
        colour = "lime" if n in kept else "red"
        pen.rectangle(box.xyxy, outline=colour, width=2)
        pen.text((box.x + 3, box.y + 2), f"{people.scores[n]:.2f}", fill=colour)
    canvas.save(folder / f"{image.path.stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs=2, type=Path, action="append", required=True)
    parser.add_argument("--keypoints", action="store_true")
    parser.add_argument("--draw", type=Path)
    given = parser.parse_args()
    sets = [read_people(*pair) for pair in given.data]
    by_id: dict[int, PoseImage] = {}
    for data in sets:
        by_id = {image.id: image for image in data.images} | by_id
    images = list(by_id.values())
    least = Detector(min_score=min(SCORES), threads=1)
    pixels = [read_image(image.path) for image in images]
    begun, clock = time.process_time(), time.perf_counter()
    everybody = [least(some) for some in pixels]
    work, clock = time.process_time() - begun, time.perf_counter() - clock
    rows = []
    for score in SCORES:
        found = recall(images, [at_score(people, score) for people in everybody])
        rows.append([f"{score:g}", *(f"{value:.3f}" for value in found)])
    people = sum(not person.is_crowd for image in images for person in image.people)
    title = (
        f"{people} people of {len(images)} photos; {1000 * work / len(images):.0f} ms of processor a photo on one "
        f"core ({1000 * clock / len(images):.0f} ms by the clock)"
    )
    show("detect", title, ["lowest score", "recall", "recall, large", "false a photo"], rows, {"rows": rows})
    if given.keypoints:
        detector = Detector()
        truth = replace(sets[0], images=tuple(images))
        rows, data = keypoints(truth, [detector(some) for some in pixels], given.draw)
        header = ["boxes", "AP", "AP50", "AR", "recall", "recall, large", "false a photo"]
        show("detect-keypoints", f"Keypoints of the bundled model, {len(images)} photos", header, rows, data)


if __name__ == "__main__":
    main()
