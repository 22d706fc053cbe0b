"""Label what LSPET does not: faces, by MoveNet's own keypoint maps where they are sure, beside LSPET's 14 joints.

    python runs/teacher.py --vision parts/vision --lspet data/lspet --out lspet19.json

Writes LSPET 1 to 8,500 in COCO's form with the 19 keypoints of people19.toml. A face keypoint is taken from the peak of
its map within a head's length of the middle of the labelled head, if the map is sure enough; the flag is 2 there and 0
elsewhere. Labels made so are a teacher's: MoveNet was trained on COCO.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch.nn import functional as F
from transformers import AutoModel

import posetalk.model.movenet  # noqa: F401  (makes AutoModel know the tower)
from posetalk.crop.affine import square_of
from posetalk.crop.image import cut, normalise, read_image
from posetalk.read.dataset import read_people
from posetalk.skeleton import skeleton

HERE = Path(__file__).parent
LAST = 8500  # the others are for tests
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("vision", "lspet", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    tower = AutoModel.from_pretrained(given.vision).eval()
    people = list(read_people(given.lspet / "joints.mat", given.lspet / "images", last=LAST).people())
    joints, all19 = skeleton("lsp14").names, skeleton(str(HERE / "people19.toml")).names
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
            points = np.zeros((len(all19), 3))
            xy = squares[row].denormalise(places[row])
            for k in range(FACE):
                if sure[row, k] > SURE:
                    points[k] = (*xy[k], 2)
                    found += 1
            for k, name in enumerate(joints):
                points[all19.index(name)] = (*person.keypoints[k], person.visible[k])
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
    category = {"id": 1, "name": "person", "keypoints": list(all19)}
    given.out.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    print(f"{given.out}: {len(annotations)} people, {found} face keypoints of {FACE * len(annotations)}")


if __name__ == "__main__":
    main()
