"""The body atlas: rendered people with some 300 named points each, for `posetalk train`.

    pip install anny==0.6.2          # Apache-2.0, bodies CC0; with its warp-lang, roma and trimesh
    python -m runs.atlas runs/atlas.toml --out atlas

OUT/images/*.jpg, OUT/atlas.json (COCO's form), OUT/atlas.toml (the skeleton, with all names and descriptions): one
[[data]] of `posetalk train`. Stopped and started again it goes on. Read are LSPET 1 to 8,300 and COCO's
train2017 alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from runs.atlas.backdrop import Backdrops
from runs.atlas.body import Anatomy
from runs.atlas.fit import pose_bank
from runs.atlas.people import People
from runs.atlas.picture import cover, jpeg, lit, photo
from runs.atlas.points import read_points, skeleton_of, write_skeleton
from runs.atlas.poses import PoseBank
from runs.atlas.scene import FOCUS, Labels, Studio
from runs.atlas.settings import AtlasSettings
from runs.atlas.shards import SHARD, merge, shard_file, write_json

CLOTH_PHOTOS = 24  # parts of photos that become patterns of cloth


class Atlas:
    """Makes picture i of an atlas."""

    def __init__(self, settings: AtlasSettings, bank: PoseBank, anatomy: Anatomy) -> None:
        self.settings = settings
        self.points = read_points(settings.without)
        every = {point.keypoint.name: point for point in read_points()}
        focus = {what: anatomy.locate([every[name] for name in names]) for what, names in FOCUS.items()}
        self.studio = Studio(People(anatomy, bank, settings), anatomy.locate(self.points), focus, settings)
        self.backdrops = Backdrops(settings.athletes, Path(settings.coco))
        rng = np.random.default_rng((settings.seed, 2**32))
        self._cloth = [self.backdrops.patch(rng, 96, 96) for _ in range(CLOTH_PHOTOS)]

    def picture(self, number: int) -> tuple[bytes, list[Labels]]:
        """A JPEG file and the people in it; a scene that shows nobody well is drawn anew."""
        size = self.settings.size
        for attempt in range(100):
            rng = np.random.default_rng((self.settings.seed, number, attempt))
            scene = self.studio.scene(rng, self._cloth)
            things, covered = cover(rng, self.backdrops, size, self.settings.covered_share)
            people = self.studio.labels(scene, covered)
            if people:
                break
        image = self.backdrops.draw(rng, size)
        colour, shown = lit(scene, rng)
        image[shown] = colour[shown]
        image[covered] = things[covered]
        low, high = self.settings.quality
        return jpeg(photo(image, rng), int(rng.integers(low, high + 1))), [labels for _, labels in people]


def rows_of(number: int, size: int, people: list[Labels]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Image and annotations in COCO's form; ids are given when shards are merged."""
    image = {"id": number + 1, "file_name": f"{number:06d}.jpg", "width": size, "height": size}
    annotations = [
        {
            "image_id": number + 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": list(one.box),
            "area": round(0.53 * one.box[2] * one.box[3], 1),
            "num_keypoints": int((one.points[:, 2] > 0).sum()),
            "keypoints": [
                int(v) if k == 2 else round(float(v), 1) for row in one.points for k, v in enumerate(row)
            ],
        }
        for one in people
    ]
    return image, annotations


def _bank(settings: AtlasSettings, anatomy: Anatomy, file: Path) -> PoseBank:
    if not file.exists():
        bank = pose_bank(anatomy, settings.athletes, Path(settings.layouts), settings.poses, settings.seed)
        np.savez(file.with_suffix(".part.npz"), angles=bank.angles, roots=bank.roots)
        file.with_suffix(".part.npz").replace(file)
    with np.load(file) as data:
        return PoseBank(data["angles"], data["roots"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="in place of the settings' own")
    parser.add_argument("--pictures", type=int, help="in place of the settings' own")
    given = parser.parse_args()
    changes = {key: getattr(given, key) for key in ("seed", "pictures") if getattr(given, key) is not None}
    settings = AtlasSettings.check(AtlasSettings.read(given.settings) | changes, str(given.settings))
    torch.set_num_threads(1)
    with settings.claim(given.out):
        anatomy = Anatomy()
        atlas = Atlas(settings, _bank(settings, anatomy, given.out / "poses.npz"), anatomy)
        (given.out / "images").mkdir(exist_ok=True)
        shards = -(-settings.pictures // SHARD)
        started, made = time.perf_counter(), 0
        for shard in track(range(shards), "Pictures"):
            if shard_file(given.out, shard).exists():
                continue
            images, annotations = [], []
            for number in range(shard * SHARD, min((shard + 1) * SHARD, settings.pictures)):
                file, people = atlas.picture(number)
                (given.out / "images" / f"{number:06d}.jpg").write_bytes(file)
                image, rows = rows_of(number, settings.size, people)
                images.append(image)
                annotations += rows
                made += 1
            write_json(shard_file(given.out, shard), {"images": images, "annotations": annotations})
        spent = time.perf_counter() - started
        labels = merge(given.out, [p.keypoint.name for p in atlas.points], shards)
        write_json(given.out / "atlas.json", labels)
        write_skeleton(skeleton_of(atlas.points), given.out / "atlas.toml")
    flags = np.concatenate([np.array(one["keypoints"])[2::3] for one in labels["annotations"]])
    print(
        f"{given.out}: {len(labels['images'])} pictures, {len(labels['annotations'])} people of "
        f"{len(atlas.points)} points; {(flags > 1).mean():.0%} in view, {(flags == 1).mean():.0%} hidden"
        + (f"; {1000 * spent / made:.0f} ms a picture" if made else "")
    )


if __name__ == "__main__":
    main()
