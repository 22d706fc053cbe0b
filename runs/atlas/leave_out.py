"""An atlas' labels without some points and words, of the same pictures.

    python -m runs.atlas.leave_out atlas --without knee --out atlas-without-knees

OUT/atlas.json and OUT/atlas.toml hold what `without = ["knee"]` in the settings gives; the pictures stay in the atlas'
own folder. `--pictures` takes the first so many. `--joints people19.toml` leaves out the keypoints of a skeleton, whose
places people label a little otherwise than anny has them; texts that name them stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runs.atlas.points import read_points, skeleton_of, write_skeleton
from runs.atlas.shards import write_json

from posetalk.errors import PosetalkError
from posetalk.skeleton import load_skeleton


def labels_without(
    labels: dict[str, Any], names: Sequence[str], pictures: int | None = None
) -> dict[str, Any]:
    """COCO-form labels with the points `names` alone.

    Raises:
        PosetalkError: one of them is not labelled.
    """
    category = labels["categories"][0]
    missing = sorted(set(names) - set(category["keypoints"]))
    if missing:
        raise PosetalkError(
            f"the atlas has no point {missing[0]!r}; it was made with other points: make it anew"
        )
    kept = [category["keypoints"].index(name) for name in names]
    images = labels["images"][:pictures]
    wanted = {image["id"] for image in images}
    annotations = []
    for row in labels["annotations"]:
        points = [v for k in kept for v in row["keypoints"][3 * k : 3 * k + 3]]
        labelled = sum(flag > 0 for flag in points[2::3])
        if row["image_id"] in wanted and labelled:
            annotations.append({**row, "keypoints": points, "num_keypoints": labelled})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{**category, "keypoints": list(names)}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--without", nargs="+", default=())
    parser.add_argument("--joints", help="a skeleton")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    joints = load_skeleton(given.joints).names if given.joints else ()
    points = [point for point in read_points(given.without) if point.keypoint.name not in joints]
    labels = json.loads((given.atlas / "atlas.json").read_text(encoding="utf-8"))
    found = labels_without(labels, [point.keypoint.name for point in points], given.pictures)
    write_json(given.out / "atlas.json", found)
    write_skeleton(skeleton_of(points), given.out / "atlas.toml")
    print(
        f"{given.out}: {len(found['images'])} pictures, {len(found['annotations'])} people, {len(points)} points"
    )


if __name__ == "__main__":
    main()
