"""From the start of a process to its answer.

    python -m benchmarks.cold_start COCO_PEOPLE [--split val2017] [--rounds 7] [--threads 2]

Commands of posetalk in processes of their own, all in turns, with their files in the system's cache; `locate` in ONNX
Runtime and in torch. COCO_PEOPLE has photos in SPLIT/: the first one in which the detector finds one person, and the
first one with eight, are located. Seconds are medians; those of the processor are all threads'.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import show

from posetalk import Localizer


def run(words: list[str]) -> tuple[float, float]:
    """Seconds of a command, by the clock and of the processor."""

    def busy() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    clock, work = time.perf_counter(), busy()
    subprocess.run([sys.executable, "-m", "posetalk", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - clock, busy() - work


def photos_with(folder: Path, counts: tuple[int, ...]) -> dict[int, Path]:
    """The first photo of a folder for each number of people."""
    localizer, found = Localizer.from_pretrained(), dict[int, Path]()
    for photo in sorted(folder.iterdir()):
        found.setdefault(len(localizer.set_image(photo).locate(keypoints="nose")), photo)
        if set(counts) <= set(found):
            break
    return {count: found[count] for count in counts}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("coco_people", type=Path)
    parser.add_argument("--split", default="val2017")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    one, eight = photos_with(given.coco_people / given.split, (1, 8)).values()
    asked = {
        "one given box": [str(one), "--box", "100,100,200,200"],
        "one person, found": [str(one)],
        "eight people, found": [str(eight)],
    }
    commands = {"--help": ["--help"]}
    commands |= {
        f"{name}, {engine}": ["locate", *words, "--engine", engine, "--threads", given.threads]
        for name, words in asked.items()
        for engine in ("onnx", "torch")
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(given.rounds + 1):
        for name, words in commands.items():
            taken[name].append(run(words))
    rows = []
    for name, rounds in taken.items():
        clock, work = zip(*rounds[1:], strict=True)  # the first reads the files from disk
        spread = f"{min(clock):.2f}-{max(clock):.2f}"
        rows.append([name, f"{statistics.median(clock):.2f}", spread, f"{statistics.median(work):.2f}"])
    columns = ["command", "seconds", "from-to", "of the processor"]
    show("cold_start", "From the start of a process to its answer", columns, rows, taken)


if __name__ == "__main__":
    main()
