"""Everybody in a folder of photos, as `posetalk locate FOLDER --out RUN` does it.

    python -m benchmarks.photos FOLDER [--photos 1000] [--engines onnx torch] [--torch-photos 300] [--threads 2]

The first photos of FOLDER, in the order of their names, linked into a folder of their own; each engine in a process of
its own, one after the other, from the start of the process to its end. Memory is the process's resident size: when a
tenth of the photos was searched for people, when all were, when a tenth of the people was located, and at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import resident, show

from posetalk import read_predictions

PAUSE = 0.1  # seconds between two looks at a process


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


Sample = tuple[float, tuple[int, ...], float]  # seconds, lines of the files, MB


def watched(words: list[str], *files: Path) -> list[Sample]:
    """Run a command of posetalk, and look at it from time to time: the lines of some files, and its memory."""
    samples: list[Sample] = []
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "posetalk", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        if memory := resident(process.pid):
            samples.append((time.perf_counter() - begun, tuple(map(lines, files)), memory))
        time.sleep(PAUSE)
    assert process.returncode == 0, words
    return [*samples, (time.perf_counter() - begun, tuple(map(lines, files)), samples[-1][2])]


def first(samples: list[Sample], column: int, least: float) -> Sample:
    """The first look at which a file had so many lines."""
    return next(sample for sample in samples if sample[1][column] >= least)


def run(photos: list[Path], engine: str, threads: str) -> dict[str, float]:
    """Locate everybody; seconds, people and MB."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "photos", Path(name) / "run"
        folder.mkdir()
        for photo in photos:
            (folder / photo.name).symlink_to(photo.resolve())
        words = ["locate", str(folder), "--out", str(out), "--engine", engine, "--threads", threads]
        samples = watched(words, out / "people.jsonl", out / "predictions.jsonl")
        rows, _ = read_predictions(out / "predictions.jsonl")
    return {
        "photos": len(photos),
        "people": sum(not row.double for row in rows),
        "located": len(rows),
        "seconds": samples[-1][0],
        "seconds_of_search": first(samples, 0, len(photos))[0],
        "mb_tenth_searched": first(samples, 0, len(photos) / 10)[2],
        "mb_searched": first(samples, 0, len(photos))[2],
        "mb_tenth_located": first(samples, 1, len(rows) / 10)[2],
        "mb_end": samples[-1][2],
        "mb_most": max(sample[2] for sample in samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--engines", nargs="+", default=["onnx", "torch"])
    parser.add_argument("--torch-photos", type=int, default=300)
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    photos = sorted(given.folder.iterdir())[: given.photos]
    rows, data = [], {}
    for engine in given.engines:
        taken = photos[: given.torch_photos] if engine == "torch" else photos
        one = data[engine] = run(taken, engine, given.threads)
        rows.append(
            [
                f"{engine}, {len(taken)} photos",
                f"{one['people']:.0f}",
                f"{one['seconds']:.0f} ({one['seconds_of_search']:.0f})",
                f"{one['photos'] / one['seconds']:.1f}",
                f"{one['people'] / one['seconds']:.1f}",
                f"{one['mb_tenth_searched']:.0f}, {one['mb_searched']:.0f}",
                f"{one['mb_tenth_located']:.0f}, {one['mb_end']:.0f}",
            ]
        )
    columns = ["engine", "people", "seconds (of search)", "photos a second", "people a second"]
    columns += ["MB, search: a tenth, all", "MB, located: a tenth, all"]
    show("photos", f"Everybody in the photos of {given.folder.name}", columns, rows, data)


if __name__ == "__main__":
    main()
