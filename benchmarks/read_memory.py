"""How much memory reading a COCO-style file as large as COCO train2017's takes, made here with polygons and all.

    python -m benchmarks.read_memory

118,287 images and 262,465 people with 17 keypoints, as person_keypoints_train2017.json has; prints the file's size, the
peak memory of the process that reads it, and their ratio.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from posetalk.skeleton import load_skeleton

IMAGES, PEOPLE = 118_287, 262_465
NAMES = [name.replace(" ", "_") for name in load_skeleton("coco17").names]


def write(path: Path) -> None:
    draw = random.Random(0)
    with path.open("w") as file:
        file.write('{"images": [')
        for n in range(1, IMAGES + 1):
            row = {"id": n, "file_name": f"{n:012d}.jpg", "width": 640, "height": 480, "license": 1}
            file.write(
                ("," if n > 1 else "") + json.dumps(row | {"coco_url": "http://images.example/" + "x" * 40})
            )
        file.write('], "annotations": [')
        for n in range(1, PEOPLE + 1):
            polygon = [round(draw.uniform(0, 480), 2) for _ in range(60)]
            row = {
                "id": n,
                "image_id": draw.randint(1, IMAGES),
                "category_id": 1,
                "iscrowd": 0,
                "area": 5000.0,
            }
            points = [draw.randint(1, 470) if i % 3 < 2 else 2 for i in range(51)]
            row |= {"bbox": [1.5, 2.5, 100.0, 200.0], "keypoints": points, "num_keypoints": 17}
            file.write(("," if n > 1 else "") + json.dumps(row | {"segmentation": [polygon]}))
        category = {"id": 1, "name": "person", "keypoints": NAMES}
        file.write('], "categories": ' + json.dumps([category]) + "}")


def read(path: Path) -> None:
    from posetalk.formats.coco import read_coco

    data = read_coco(path, path.parent)
    assert sum(1 for _ in data.people()) == PEOPLE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kB
    size = path.stat().st_size / 1e9
    print(f"file {size:.2f} GB, peak {peak:.2f} GB, {peak / size:.1f} times the file")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "people.json"
            write(path)
            subprocess.run([sys.executable, __file__, str(path)], check=True)
