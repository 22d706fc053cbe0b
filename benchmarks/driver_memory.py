"""Memory of the process that cuts and joins a run over many machines, as the data set grows.

    python -m benchmarks.driver_memory --annotations person_keypoints_val2017.json --captions captions_val2017.json \
        [--sizes 1000,20000] [--runs write,locate]

`write` has the facts writer write the first images of the set, repeated under new ids where there are more. `locate`
looks for people in grey images, in which it finds nobody. Memory is the largest resident size of the process that was
started; those of Ray and of its workers are others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import show
from benchmarks.write_memory import repeated, resident
from PIL import Image


def labels(source: Path, size: int, out: Path) -> Path:
    """A COCO file of so many images."""
    data = json.loads(source.read_bytes())
    ids = {row["image_id"] for row in data["annotations"]}
    data["images"] = [row for row in data["images"] if row["id"] in ids]
    data = repeated(data, -(-size // len(data["images"])))
    kept = {row["id"] for row in data["images"][:size]}
    data["images"] = data["images"][:size]
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] in kept]
    out.write_text(json.dumps(data))
    return out


def photos(size: int, folder: Path) -> Path:
    """So many grey images."""
    folder.mkdir()
    Image.new("RGB", (64, 48), "grey").save(folder / "0.png")
    for number in range(1, size):
        (folder / f"{number}.png").hardlink_to(folder / "0.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--sizes", default="1000,20000")
    parser.add_argument("--runs", default="write,locate")
    given = parser.parse_args()
    rows, data = [], {}
    with tempfile.TemporaryDirectory() as made:
        for run in given.runs.split(","):
            for size in map(int, given.sizes.split(",")):
                place = Path(made) / f"{run}-{size}"
                place.mkdir()
                if run == "write":
                    people = labels(given.annotations, size, place / "people.json")
                    words = [
                        "write",
                        people,
                        "--captions",
                        labels(given.captions, size, place / "captions.json"),
                    ]
                else:
                    words = ["locate", photos(size, place / "photos")]
                words += ["--out", place / "out", "--ray", "local"]
                begun, peak = time.perf_counter(), 0.0
                child = subprocess.Popen(
                    [sys.executable, "-m", "posetalk", *map(str, words)], stdout=subprocess.DEVNULL
                )
                while child.poll() is None:
                    peak = max(peak, resident(child.pid))
                    time.sleep(0.1)
                if child.returncode:
                    raise SystemExit(f"posetalk {run} failed")
                seconds = time.perf_counter() - begun
                data[f"{run} {size}"] = {"seconds": seconds, "peak_mb": peak}
                rows.append([run, f"{size:,}", f"{seconds:.0f}", f"{peak:.0f}"])
    columns = ["run", "rows", "seconds", "peak MB"]
    show("driver_memory", "the process that cuts and joins", columns, rows, data)


if __name__ == "__main__":
    main()
