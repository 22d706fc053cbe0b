"""Labels of points that nobody labelled, from labelled joints: for keypoints that a model has never been asked for.

    python runs/derived.py --annotations person_keypoints_val2017.json --out derived.json
    posetalk evaluate --annotations derived.json --images val2017 --skeleton runs/derived.toml --out OUT

The points of derived.toml lie halfway between two joints of COCO. Neither their names nor these lines were ever part of
the bundled model's training (train/between.py keeps them out).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from posetalk.skeleton import load_skeleton

HERE = Path(__file__).parent
ENDS = {
    "pelvis": ("left hip", "right hip"),
    "thorax": ("left shoulder", "right shoulder"),
    "middle of the left thigh": ("left hip", "left knee"),
    "middle of the right thigh": ("right hip", "right knee"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    names, derived = load_skeleton("coco17").names, load_skeleton(str(HERE / "derived.toml")).names
    pairs = [[names.index(end) for end in ENDS[name]] for name in derived]
    labels = json.loads(given.annotations.read_text())
    for person in labels["annotations"]:
        points = np.array(person["keypoints"], float).reshape(-1, 3)
        both = points[pairs]  # (4, 2, 3)
        there = (both[..., 2] > 0).all(1)
        middle = np.column_stack([both[..., :2].mean(1), both[..., 2].min(1)]) * there[:, None]
        person["keypoints"] = middle.round(2).reshape(-1).tolist()
        person["num_keypoints"] = int(there.sum())
    labels["categories"] = [{"id": 1, "name": "person", "keypoints": list(derived)}]
    given.out.write_text(json.dumps(labels))
    print(f"{given.out}: {sum(p['num_keypoints'] > 0 for p in labels['annotations'])} people")


if __name__ == "__main__":
    main()
