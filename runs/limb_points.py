"""Add points along the limbs to labels of joints, under all the names that the body atlas has for them.

    python -m runs.limb_points --labels labels --out labels    # from the checkout

Of lspet.json and coco.json in LABELS (`make_labels.py`) OUT gets lspet_limbs.json and coco_limbs.json, with the
skeletons people19_limbs.toml and coco17_limbs.toml. A point of the atlas that lies inside a limb, on the line between
two joints, is labelled where that line is in the image, so that real photos teach its names too. It can be seen where
both joints can. The joints themselves get the atlas's other names and descriptions.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from runs.atlas.points import read_points, write_skeleton

from posetalk.skeleton import Keypoint, Skeleton, load_skeleton

HERE = Path(__file__).parent
SHARES = {"upper part": 0.25, "middle": 0.5, "lower part": 0.75}  # of the way between a limb's two joints
LIMBS = {
    "upper arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "lower leg": ("knee", "ankle"),
}
Lines = dict[str, tuple[str, str, float]]


def lines() -> Lines:
    """Name of the point -> two joints, and how far it lies on the way from the first to the second."""
    found: Lines = {"pelvis": ("left hip", "right hip", 0.5)}
    for side in ("left", "right"):
        for limb, (first, second) in LIMBS.items():
            for part, share in SHARES.items():
                found[f"{part} of the {side} {limb}"] = (f"{side} {first}", f"{side} {second}", share)
    return found


def with_words(skeleton: Skeleton, added: Lines) -> Skeleton:
    """The skeleton with the points behind its own, all with the atlas's names and descriptions."""
    atlas = {point.keypoint.name: point.keypoint for point in read_points()}

    def known(keypoint: Keypoint) -> Keypoint:
        words = atlas[keypoint.name]
        return replace(keypoint, synonyms=words.synonyms, paraphrases=(words.sentence, *words.paraphrases))

    keypoints = (*map(known, skeleton.keypoints), *(atlas[name] for name in added))
    return Skeleton(f"{skeleton.name}_limbs", keypoints, skeleton.limbs)


def with_points(labels: dict[str, Any], names: tuple[str, ...], added: Lines) -> dict[str, Any]:
    """The labels with the points behind their own."""
    people = []
    for person in labels["annotations"]:
        points = np.array(person["keypoints"], float).reshape(-1, 3)
        of = dict(zip(names, points, strict=True))
        for first, second, share in added.values():
            a, b = of[first], of[second]
            flag = min(a[2], b[2])
            xy = (1 - share) * a[:2] + share * b[:2] if flag else (0.0, 0.0)
            points = np.concatenate([points, [[*xy, flag]]])
        rounded = [round(float(v), 2) for v in points.reshape(-1)]
        people.append({**person, "keypoints": rounded, "num_keypoints": int((points[:, 2] > 0).sum())})
    category = {"id": 1, "name": "person", "keypoints": [*names, *added]}
    return {**labels, "annotations": people, "categories": [category]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("labels", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    added = lines()
    for file, name in (("lspet", str(HERE / "people19.toml")), ("coco", "coco17")):
        skeleton = load_skeleton(name)
        labels = json.loads((given.labels / f"{file}.json").read_text(encoding="utf-8"))
        given.out.mkdir(parents=True, exist_ok=True)
        richer = with_points(labels, skeleton.names, added)
        (given.out / f"{file}_limbs.json").write_text(json.dumps(richer), encoding="utf-8")
        words = with_words(skeleton, added)
        write_skeleton(words, given.out / f"{words.name}.toml")
        print(f"{given.out}/{file}_limbs.json: {len(richer['annotations'])} people, {len(words)} points")


if __name__ == "__main__":
    main()
