"""Describe labelled places, locate what was described, and measure the distance; without a judge.

    python runs/describe_round_trip.py --annotations person_keypoints_val2017.json --images val2017 --out OUT \
        --captions captions_val2017.json --points described_points.json --masks instances_val2017.json \
        --mask-images tiny/val2017 --atlas atlas/atlas.json --atlas-images atlas/images

The bundled model locates everybody's keypoints in labelled boxes, `describe_point` describes each labelled place, and
the model locates the words in the box of the person who is labelled. OUT gets rows.jsonl and round_trip.md.

Places: COCO's joints; places between two joints; described points; points of rendered people (--atlas). Of --masks
random places inside people's masks, and near people outside all masks, to see what is called `not on a person`. The
command goes on where it stopped; other options need another OUT.

Ways to describe:

- both: `describe_point` as it is, joints and named points
- joints: the same from COCO's 17 keypoints alone
- nearest: the name of the keypoint or named point that is nearest, without geometry
- label: no description; what the labels call the place is located, which is the model's own error

error: a share of the longer side of the box. part, side: how often the words name the part and side that the labels do,
alone or as one of two that the place is between.
A place whose words say that it is on nobody, or on a part that cannot be told, has the error of the box's middle.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from describe_scores import LENGTHS, WAYS, report
from described_labels import part_of, read_described, side_of
from PIL import Image, ImageDraw

from posetalk import Box, Keypoint, Localizer, PointDescription, body_points, describe_point
from posetalk.describe.figure import Figure
from posetalk.describe.parts import parts
from posetalk.describe.point import describe_figures
from posetalk.describe.who import named_people, people_of
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import image_path
from posetalk.formats.dataset import read_people
from posetalk.messages import track
from posetalk.types import Poses
from posetalk.write.from_facts.speaker import Subject

LIMBS = {
    ("shoulder", "elbow"): "upper arm",
    ("elbow", "wrist"): "forearm",
    ("hip", "knee"): "thigh",
    ("knee", "ankle"): "lower leg",
}
SHARES = {
    1 / 4: "a quarter of the way",
    1 / 3: "one third of the way",
    1 / 2: "halfway",
    2 / 3: "two thirds of the way",
    3 / 4: "three quarters of the way",
}
ALIKE = {"shin": "lower leg", "calf": "lower leg"}
# Parts that name a described point rightly.
ACCEPTED = {
    "navel": ("navel",),
    "chin": ("chin",),
    "mouth": ("mouth",),
    "forehead": ("forehead",),
    "top of the head": ("top of the head",),
    "throat": ("throat",),
    "crotch": ("crotch",),
    "heel": ("heel",),
    "big toe": ("toes of the {} foot",),
    "hand": ("{} hand",),
    "index fingertip": ("fingers of the {} hand",),
    "thumb tip": ("{} thumb", "fingers of the {} hand"),
    "shin": ("lower leg",),
    "thigh": ("thigh",),
    "armpit": ("{} armpit",),
    "buttock": ("{} buttock",),
    "breastbone": ("middle of the chest",),
    "nape": ("nape",),
    "shoulder blade": ("{} shoulder blade",),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A labelled place. part, side: what the labels call it; several parts may be right."""

    kind: str
    name: str
    parts: tuple[str, ...]
    side: str
    xy: tuple[float, float]
    visible: bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """A person with labelled places, among all people of the image: the one of boxes[row]."""

    image: Path
    boxes: tuple[Box, ...]
    row: int
    spots: tuple[Spot, ...]
    captions: tuple[str, ...] = ()

    @property
    def box(self) -> Box:
        return self.boxes[self.row]


def of_coco(
    annotations: Path, images: Path, captions: Path | None, rng: np.random.Generator
) -> list[Labelled]:
    """Joints and places between them of all labelled people."""
    data = read_people(annotations, images)
    texts = read_captions(captions)[0] if captions else {}
    found = []
    for image in data.images:
        people = [p for p in image.people if p.labelled.any() and not p.is_crowd]
        boxes = tuple(person.box for person in people)
        for row, person in enumerate(people):
            at = {
                name: (xy, flag)
                for name, xy, flag in zip(data.keypoint_names, person.keypoints, person.visible, strict=True)
                if flag > 0
            }
            spots = [
                Spot(
                    "joint",
                    name,
                    (part_of(name),),
                    side_of(name),
                    (float(xy[0]), float(xy[1])),
                    bool(flag == 2),
                )
                for name, (xy, flag) in at.items()
            ]
            for (first, last), limb in LIMBS.items():
                for side in ("left", "right"):
                    share = float(rng.choice(list(SHARES)))
                    ends = f"{side} {first}", f"{side} {last}"
                    if not set(ends) <= set(at):
                        continue
                    (a, seen), (b, also) = (at[end] for end in ends)
                    x, y = (1 - share) * a + share * b
                    place = (float(x), float(y))
                    name = f"point {SHARES[share]} from the {ends[0]} to the {ends[1]}"
                    spots.append(Spot("between", name, (limb,), side, place, bool(seen == also == 2)))
            found.append(Labelled(image.path, boxes, row, tuple(spots), texts.get(image.id, ())))
    return found


def of_points(points: Path, images: Path) -> list[Labelled]:
    """The described points."""
    seen = [
        {q["name"]: q["visible"] == 2 for q in person["points"]}
        for person in json.loads(points.read_text(encoding="utf-8"))["people"]
    ]
    found = []
    for person, visible in zip(read_described(points, images), seen, strict=True):
        spots = [
            Spot(
                "described point", name, tuple(text.format(side_of(name)) for text in ACCEPTED[part_of(name)]),
                side_of(name), xy, visible[name],
            )
            for name, xy in person.points.items()
        ]  # fmt: skip
        found.append(Labelled(person.image, (person.box,), 0, tuple(spots)))
    return found


def of_atlas(labels: Path, images: Path, count: int, rng: np.random.Generator) -> list[Labelled]:
    """Visible named points of rendered people, one person a picture."""
    data = json.loads(labels.read_text(encoding="utf-8"))
    names = [name.replace("_", " ") for name in data["categories"][0]["keypoints"]]
    said = {point.name: point.said for point in parts().points}
    files = {image["id"]: image["file_name"] for image in data["images"]}
    chosen = rng.choice(len(data["annotations"]), min(count, len(data["annotations"])), replace=False)
    found = []
    for index in sorted(int(i) for i in chosen):
        person = data["annotations"][index]
        rows = np.array(person["keypoints"], float).reshape(-1, 3)
        spots = [
            Spot(
                "render",
                name,
                (said.get(name, part_of(name)),),
                next((side for side in ("left", "right") if side in name.split()), ""),
                (float(x), float(y)),
                True,
            )
            for name, (x, y, flag) in zip(names, rows, strict=True)
            if flag == 2 and (name in said or name in BODY)
        ]
        together = [p for p in data["annotations"] if p["image_id"] == person["image_id"]]
        boxes = tuple(Box(*p["bbox"]) for p in together)
        file = images / files[person["image_id"]]
        found.append(Labelled(file, boxes, together.index(person), tuple(spots)))
    return found


BODY = {point.name for point in body_points()}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was located in an image, once for all its places."""

    poses: Poses
    figures: dict[str, list[Figure]]
    subjects: dict[int, Subject]

    @classmethod
    def of(cls, poses: Poses, captions: Sequence[str]) -> Seen:
        figures = {
            way: [Figure.of(given, row) for row in range(len(given))]
            for way, given in (("both", poses), ("joints", poses.keypoints(17)))
        }
        return cls(poses, figures, named_people(people_of(poses), poses.names, captions))


def nearest(poses: Poses, row: int, xy: tuple[float, float]) -> str:
    """The name of the nearest keypoint of a person."""
    return poses.names[int(np.linalg.norm(poses.xy[row] - np.array(xy), axis=1).argmin())]


def measure(people: Sequence[Labelled], done: set[int]) -> Iterator[list[dict[str, object]]]:
    """For each person that is not done, a row for each place and way."""
    localizer = Localizer.from_pretrained("bundled", threads=1)
    image: tuple[Path, tuple[Box, ...]] | None = None
    for number, one in enumerate(track(people, "people", len(people))):
        if number in done:
            continue
        if image != (one.image, one.boxes):
            image = (one.image, one.boxes)
            poses = localizer.set_image(one.image).locate(one.boxes, body_points())
            seen = Seen.of(poses, one.captions)
        side = max(one.box.w, one.box.h)
        asked: list[Keypoint] = []
        rows: list[tuple[dict[str, object], dict[str, int]]] = []
        for spot in one.spots:
            for way in (*WAYS, "label"):
                row, texts = described(seen, one, spot, way)
                used = {length: len(asked) + k for k, length in enumerate(texts)}
                asked += texts.values()
                rows.append(({"person": number, "big": side >= 96, "way": way, **asdict(spot), **row}, used))
        found = localizer.locate([one.box], list(dict.fromkeys(asked))) if asked else None
        index = {keypoint: k for k, keypoint in enumerate(dict.fromkeys(asked))}
        for row, used in rows:
            place = np.array(row["xy"])
            row["middle"] = float(np.linalg.norm(np.array(one.box.center) - place) / side)
            row["errors"] = {
                length: float(np.linalg.norm(found.xy[0, index[asked[k]]] - place) / side)
                for length, k in used.items()
                if found is not None
            }
        yield [row for row, _ in rows]


def described(
    seen: Seen, one: Labelled, spot: Spot, way: str
) -> tuple[dict[str, object], dict[str, Keypoint]]:
    """What a way says of a place, and what to ask for, by length."""
    if way == "label":
        return {"part_right": True, "side_right": True, "text": spot.name}, {"name": Keypoint(spot.name)}
    if way == "nearest":
        name = nearest(seen.poses, one.row, spot.xy)
        part = part_of(name)
        right = part in spot.parts or name in spot.parts
        row = {"part_right": right, "side_right": side_of(name) == spot.side, "text": name}
        return row, {"name": Keypoint(name)}
    words = describe_figures(seen.figures[way], seen.subjects, spot.xy)
    row = {
        "text": words.full,
        "certain": words.certain,
        "own_person": words.index == one.row,
        "on_person": words.person is not None,
        "part_right": any(part in ALIKE.get(words.part or "", words.name) for part in spot.parts),
        "side_right": words.part is not None and (words.side or "") == spot.side,
    }
    if words.part is None:
        return row, {}
    return row, wordings(words) if way == "both" else {"sentence": Keypoint(words.sentence)}


def wordings(words: PointDescription) -> dict[str, Keypoint]:
    keypoints = (Keypoint(words.name), Keypoint(words.phrase), Keypoint(words.sentence))
    return dict(zip(LENGTHS, (*keypoints, Keypoint(words.name, words.sentence)), strict=True))


def masks(file: Path, images: Path, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    """Random places in masks of people and near them: what is called a person."""
    data = json.loads(file.read_text(encoding="utf-8"))
    by_image: dict[int, list[dict[str, object]]] = defaultdict(list)
    for label in data["annotations"]:
        if label["category_id"] == 1:
            by_image[label["image_id"]].append(label)
    localizer = Localizer.from_pretrained("bundled", threads=1)
    for image in track(data["images"], "images with masks", len(data["images"])):
        labels = by_image[image["id"]]
        people = [p for p in labels if not p["iscrowd"] and max(p["bbox"][2:]) >= 64]  # type: ignore[index]
        if not people or any(p["iscrowd"] for p in labels):
            continue
        drawn = [mask_of(p["segmentation"], image["width"], image["height"]) for p in labels]  # type: ignore[arg-type]
        anybody = np.any(drawn, 0)
        poses = localizer.set_image(image_path(images, image["file_name"])).locate(
            [p["bbox"] for p in people],
            body_points(),  # type: ignore[misc]
        )
        for row, person in enumerate(people):
            own = drawn[labels.index(person)]
            left, top, right, bottom = Box(*person["bbox"]).scaled(1.2).xyxy  # type: ignore[misc]
            for _ in range(40):
                x, y = rng.uniform(left, right), rng.uniform(top, bottom)
                column, line = int(x), int(y)
                if not (0 <= x < image["width"] and 0 <= y < image["height"]):
                    continue
                truth = bool(own[line, column])
                if not truth and anybody[line, column]:
                    continue
                words = describe_point(poses, (x, y))
                yield {
                    "truth": truth,
                    "said": words.person is not None,
                    "own": words.index == row,
                    "certain": words.certain,
                }


def mask_of(polygons: list[list[float]], width: int, height: int) -> np.ndarray:
    image = Image.new("1", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(image).polygon(polygon, fill=1)
    return np.asarray(image)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    for name in (
        "annotations",
        "images",
        "captions",
        "points",
        "masks",
        "mask-images",
        "atlas",
        "atlas-images",
    ):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--renders", type=int, default=150, help="how many rendered people")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    people = of_coco(given.annotations, given.images, given.captions, rng) if given.annotations else []
    if given.points:
        people += of_points(given.points, given.images)
    if given.atlas:
        people += of_atlas(given.atlas, given.atlas_images, given.renders, rng)
    given.out.mkdir(parents=True, exist_ok=True)
    file, file_of_masks = given.out / "rows.jsonl", given.out / "masks.json"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    with file.open("a", encoding="utf-8") as out:
        for some in measure(people, {row["person"] for row in rows}):
            out.write("".join(json.dumps(row) + "\n" for row in some))
            out.flush()
            rows += some
    on_people: list[dict[str, object]] = []
    if given.masks and file_of_masks.exists():
        on_people = json.loads(file_of_masks.read_text())
    elif given.masks:
        on_people = list(masks(given.masks, given.mask_images, rng))
        file_of_masks.write_text(json.dumps(on_people), encoding="utf-8")
    text = report(rows, on_people)
    (given.out / "round_trip.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
