"""Many people: fifty boxes in one picture, and a folder of a thousand pictures.

    python -m benchmarks.crowd [--pictures 1000]

The bundled model, in ONNX Runtime and in torch. The folder is made from the photo `camera` that scikit-image carries,
640 x 480 JPEGs, one box each; `one by one` is `set_image` and `locate` a picture, `together` is `locate_all`, in turns
over parts of the folder; both in ONNX Runtime, and `locate_all` in torch. Memory is the process's resident size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
from benchmarks.measure import in_turns, resident, show

from posetalk.images.opening import read_image
from posetalk.locate.localizer import Localizer
from posetalk.types import Box

PART = 50


def crowd(photo: np.ndarray) -> tuple[list[list[str]], dict[str, object]]:
    boxes = [Box(5.0 * i, 3.0 * i, 200, 260) for i in range(50)]

    def ask(localizer: Localizer) -> Callable[[], object]:
        return lambda: localizer.set_image(photo).locate(boxes)

    ways: list[dict[str, Any]] = [{"readout": "point", "engine": "onnx"}]
    ways += [{"readout": readout, "engine": "torch"} for readout in ("point", "digits")]
    sides = {
        f"{way['readout']}, {way['engine']}, {batch} at a time": ask(
            Localizer.from_pretrained(**way, batch_size=batch)
        )
        for way in ways
        for batch in (1, 8, 16)
    }
    found = in_turns(sides, 3)
    rows = [[name, f"{50 / one.median:.1f}"] for name, one in found.items()]
    return rows, {name: one.seconds for name, one in found.items()}


def folder(photo: np.ndarray, count: int) -> tuple[list[list[str]], dict[str, object]]:
    localizer, other = (Localizer.from_pretrained(engine=engine) for engine in ("onnx", "torch"))
    box = [Box(60, 0, 345, 452)]
    speeds: dict[str, list[float]] = {"one by one": [], "together": [], "together, torch": []}
    memory = []
    with tempfile.TemporaryDirectory() as made:
        rng = np.random.default_rng(0)
        for i in range(count):
            noisy = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(f"{made}/{i:04d}.jpg", cv2.resize(noisy, (640, 480)))
        files = sorted(Path(made).iterdir())
        for start in range(0, count, 2 * PART):
            some, others = files[start : start + PART], files[start + PART : start + 2 * PART]
            others = others or some
            begun = time.perf_counter()
            for file in some:
                localizer.set_image(file).locate(box)
            between = time.perf_counter()
            for _ in localizer.locate_all((file, box) for file in others):
                pass
            ended = time.perf_counter()
            for _ in other.locate_all((file, box) for file in others):
                pass
            speeds["together, torch"].append(len(others) / (time.perf_counter() - ended))
            speeds["one by one"].append(len(some) / (between - begun))
            speeds["together"].append(len(others) / (ended - between))
            memory.append(resident())
    rows = [[name, f"{statistics.median(s):.1f} ({min(s):.1f}-{max(s):.1f})"] for name, s in speeds.items()]
    tenth = memory[max(len(memory) // 10, 1) - 1]
    rows.append(["memory, MB, after a tenth and at the end", f"{tenth:.0f}, {memory[-1]:.0f}"])
    return rows, {"pictures_a_second": speeds, "memory_mb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000)
    given = parser.parse_args()
    photo = read_image(Path(skimage.__path__[0]) / "data" / "camera.png")
    rows, data = crowd(photo)
    show("crowd", "A crowd of 50, 17 keypoints", ["asked", "people a second"], rows, data)
    rows, data = folder(photo, given.pictures)
    show("folder", f"A folder of {given.pictures} pictures", ["asked", "pictures a second"], rows, data)


if __name__ == "__main__":
    main()
