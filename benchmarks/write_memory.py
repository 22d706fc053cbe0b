"""Time and memory of `posetalk write` with the facts writer, as the data set grows.

    python -m benchmarks.write_memory --annotations person_keypoints_val2017.json --captions captions_val2017.json

The files as they are, and repeated under new ids as often as --times says (20: as many pictures as COCO train2014 has
with people). A process each; memory is its largest resident size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import show

APART = 10**7  # COCO's ids are smaller


def repeated(data: dict[str, Any], times: int) -> dict[str, Any]:
    """A COCO file `times` times over: ids of pictures and of annotations are new each time."""
    found: dict[str, Any] = {
        key: value for key, value in data.items() if key not in ("images", "annotations")
    }
    for key in ("images", "annotations"):
        found[key] = [
            row | {name: row[name] + turn * APART for name in ("id", "image_id") if name in row}
            for turn in range(times)
            for row in data.get(key, [])
        ]
    return found


def resident(process: int) -> float:
    """MB of the largest resident size so far. Not wait4's, which begins with that of the process that started it."""
    status = Path(f"/proc/{process}/status").read_text()
    return next((int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    rows, data = [], {}
    with tempfile.TemporaryDirectory() as made:
        for times in (1, given.times):
            files = []
            for source in (given.annotations, given.captions):
                files.append(Path(made) / f"{times}-{source.name}")
                files[-1].write_text(json.dumps(repeated(json.loads(source.read_text()), times)))
            words = ["write", str(files[0]), "--captions", str(files[1]), "--out", f"{made}/out-{times}"]
            begun, peak = time.perf_counter(), 0.0
            child = subprocess.Popen([sys.executable, "-m", "posetalk", *words], stdout=subprocess.DEVNULL)
            while child.poll() is None:
                peak = max(peak, resident(child.pid))
                time.sleep(0.1)
            if child.returncode:
                raise SystemExit("posetalk write failed")
            seconds = time.perf_counter() - begun
            samples = sum(1 for _ in (Path(made) / f"out-{times}" / "samples.jsonl").open())
            pictures = len(json.loads(files[0].read_text())["images"])
            data[str(times)] = {"pictures": pictures, "samples": samples, "seconds": seconds, "peak_mb": peak}
            rows.append([f"{pictures:,}", f"{samples:,}", f"{seconds:.0f}", f"{peak:.0f}"])
    show(
        "write_memory",
        "posetalk write, facts writer",
        ["pictures", "samples", "seconds", "peak MB"],
        rows,
        data,
    )


if __name__ == "__main__":
    main()
