"""The labels the bundled model learns from and, apart from them, those it is calibrated on.

    python runs/make_labels.py --vision parts/vision --data data --out labels

OUT/lspet.json: LSPET 1 to 8,300 in COCO's form with the 19 keypoints of people19.toml: its own 14 joints, and
the faces, which it does not label, by MoveNet's own keypoint maps where they are sure: the peak of
each map within a head's length of the middle of the labelled head, with the flag 2; elsewhere the flag is 0. Such
labels are a teacher's, and MoveNet was trained on COCO.
OUT/coco.json: COCO's train2017 people but for every seventh photo.
OUT/held.json: LSPET 8,301 to 8,500 and those seventh photos, with COCO's 17 keypoints; pictures lie in DATA.
LSPET from 8,501 on and COCO's val2017 are for tests: they are not read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch.nn import functional as F
from transformers import AutoModel

import posetalk.model.movenet  # noqa: F401  (makes AutoModel know the tower)
from posetalk.formats.dataset import read_people
from posetalk.images.affine import square_of
from posetalk.images.opening import cut, normalise, read_image
from posetalk.skeleton import load_skeleton

HERE = Path(__file__).parent
TRAINED, LAST = 8300, 8500  # of LSPET: learned from, held out for calibration; the others are for tests
EVERY = 7  # of COCO's photos is held out
FACE = 5  # MoveNet's maps are in COCO's order: nose, eyes, ears first
SURE = 0.3
REACH = 1.0  # of the head's length (neck to top) around its middle
BATCH = 16


@torch.no_grad()
def faces(tower: torch.nn.Module, crops: np.ndarray, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3, S, S) crops, (n, 3) head x, y and length in 0..1 -> (n, 5, 2) places and (n, 5) how sure."""
    _, fine = tower.maps(torch.from_numpy(crops))
    heat = tower.heat(fine)[:, :FACE]
    side = heat.shape[-1]
    centres = (torch.arange(side) + 0.5) / side
    x, y, length = torch.from_numpy(heads).float().T[:, :, None, None]
    far = (centres[None, None, :] - x) ** 2 + (centres[None, :, None] - y) ** 2 > (REACH * length) ** 2
    heat = heat.masked_fill(far[:, None], -30).flatten(2)
    sure, best = heat.sigmoid().max(2)
    around = F.one_hot(best, side * side).float().unflatten(2, (side, side))
    around = F.max_pool2d(around, 5, stride=1, padding=2).flatten(2)
    share = (heat.exp() * around).clamp_min(1e-12)
    share = (share / share.sum(2, keepdim=True)).unflatten(2, (side, side))
    places = torch.stack([(share.sum(2) * centres).sum(2), (share.sum(3) * centres).sum(2)], -1)
    return places.numpy(), sure.numpy()


def label_lspet(tower: torch.nn.Module, folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """LSPET 1 to 8,500 in COCO's form, with the keypoints `names`."""
    people = list(read_people(folder / "joints.mat", folder / "images", last=LAST).people())
    joints = load_skeleton("lsp14").names
    images, annotations, found = [], [], 0
    for start in track(range(0, len(people), BATCH), description="faces"):
        batch = people[start : start + BATCH]
        pictures = [read_image(image.path) for image, _ in batch]
        squares = [square_of(person.box, 256, 1.25) for _, person in batch]
        heads = np.zeros((len(batch), 3))
        for row, ((_, person), square) in enumerate(zip(batch, squares, strict=True)):
            ends = [joints.index("neck"), joints.index("head top")]
            if person.labelled[ends].all():
                neck, top = square.normalise(person.keypoints[ends])
                heads[row] = (*(neck + top) / 2, np.linalg.norm(neck - top))
        crops = np.stack([normalise(cut(p, s), "half") for p, s in zip(pictures, squares, strict=True)])
        places, sure = faces(tower, crops, heads)
        for row, (image, person) in enumerate(batch):
            points = np.zeros((len(names), 3))
            xy = squares[row].denormalise(places[row])
            for k in range(FACE):
                if sure[row, k] > SURE:
                    points[k] = (*xy[k], 2)
                    found += 1
            for k, name in enumerate(joints):
                points[names.index(name)] = (*person.keypoints[k], person.visible[k])
            height, width = pictures[row].shape[:2]
            images.append({"id": image.id, "file_name": image.path.name, "width": width, "height": height})
            annotations.append(
                {
                    "id": person.id,
                    "image_id": image.id,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [round(v, 2) for v in person.box.xywh],
                    "area": round(person.area, 2),
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                    "keypoints": [round(float(v), 2) for v in points.reshape(-1)],
                }
            )
    print(f"{len(annotations)} people of LSPET, {found} face keypoints of {FACE * len(annotations)}")
    category = {"id": 1, "name": "person", "keypoints": list(names)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def part(labels: dict[str, Any], wanted: Callable[[int], bool]) -> dict[str, Any]:
    """The images whose ids are wanted, with their people."""
    images = [image for image in labels["images"] if wanted(image["id"])]
    people = [person for person in labels["annotations"] if wanted(person["image_id"])]
    return {**labels, "images": images, "annotations": people}


def inside(labels: dict[str, Any], folder: str) -> dict[str, Any]:
    """The same labels with their pictures named from one folder above, and COCO's 17 keypoints."""
    images = [{**image, "file_name": f"{folder}/{image['file_name']}"} for image in labels["images"]]
    people = [{**person, "keypoints": person["keypoints"][: 3 * 17]} for person in labels["annotations"]]
    return {**labels, "images": images, "annotations": people}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("vision", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    tower = AutoModel.from_pretrained(given.vision).eval()
    lspet = label_lspet(tower, given.data / "lspet", load_skeleton(str(HERE / "people19.toml")).names)
    coco = json.loads(
        (given.data / "coco_people" / "annotations" / "person_keypoints_train2017.json").read_text()
    )
    held_lspet = inside(part(lspet, lambda i: i > TRAINED), "lspet/images")
    held_coco = inside(part(coco, lambda i: i % EVERY == 0), "coco_people/train2017")
    held = {**held_coco}
    for key in ("images", "annotations"):
        held[key] = held_coco[key] + held_lspet[key]
    given.out.mkdir(parents=True, exist_ok=True)
    for name, labels in {
        "lspet": part(lspet, lambda i: i <= TRAINED),
        "coco": part(coco, lambda i: i % EVERY > 0),
        "held": held,
    }.items():
        (given.out / f"{name}.json").write_text(json.dumps(labels))
        print(
            f"{given.out}/{name}.json: {len(labels['annotations'])} people, {len(labels['images'])} pictures"
        )


if __name__ == "__main__":
    main()
