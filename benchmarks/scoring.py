"""COCO keypoint evaluation: posetalk's engine against pycocotools, equal numbers.

    python -m benchmarks.scoring --annotations person_keypoints_val2017.json [--rounds 5]

The labelled keypoints, moved at random, are the predictions: a person each, and for every fifth a second one elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from benchmarks.measure import in_turns, ratio, show
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def moved(truth: COCO, seed: int = 0) -> list[dict[str, Any]]:
    """Predictions: every labelled person with keypoints off by up to a fifth of the body, and some in wrong places."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, person in enumerate(truth.anns.values()):
        if person["iscrowd"] or not person["num_keypoints"]:
            continue
        points = np.array(person["keypoints"], float).reshape(-1, 3)
        spread = np.sqrt(person["area"]) * rng.uniform(0, 0.2)
        for offset in (0, 50) if number % 5 == 0 else (0,):
            xy = points[:, :2] + rng.normal(0, spread, (len(points), 2)) + offset
            both = np.column_stack([xy, np.ones(len(points))])
            rows.append(
                {
                    "image_id": person["image_id"],
                    "category_id": 1,
                    "keypoints": both.reshape(-1).tolist(),
                    "score": float(rng.uniform(0, 1)),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        truth, faster = COCO(str(given.annotations)), hotcoco.COCO(str(given.annotations))
        rows = moved(truth)
        found, faster_found = truth.loadRes(rows), faster.load_res(rows)

    def run(engine: Any, labels: Any, results: Any) -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            one = engine(labels, results, "keypoints")
            one.evaluate()
            one.accumulate()
            one.summarize()
        return [float(v) for v in one.stats[:10]]

    sides = in_turns(
        {
            "pycocotools": lambda: run(COCOeval, truth, found),
            "hotcoco (posetalk's)": lambda: run(hotcoco.COCOeval, faster, faster_found),
        },
        given.rounds,
    )
    first, second = sides.values()
    if first.answer != second.answer:
        raise SystemExit(f"the numbers differ: {first.answer} and {second.answer}")
    table = [
        [
            name,
            f"{one.median:.2f} ({min(one.seconds):.2f}-{max(one.seconds):.2f})",
            f"{ratio(first, one):.1f}x",
            f"{one.answer[0]:.4f}",
        ]
        for name, one in sides.items()
    ]
    data = {name: {"seconds": one.seconds, "numbers": one.answer} for name, one in sides.items()}
    title = f"{len(rows)} predictions for {len(truth.anns)} labels"
    show("scoring", title, ["engine", "seconds", "pycocotools /", "AP"], table, data)


if __name__ == "__main__":
    main()
