"""The bundled model in ONNX Runtime beside the same in torch.

    python -m benchmarks.engine [--rounds 9]

Places of 17 keypoints, of one person and of eight together, with one thread and two, both engines in turns on the same
crops of noise; seconds and processor time are a person's. benchmarks/cold_start.py has the time to the first answer.
"""

from __future__ import annotations

import argparse

import numpy as np
from benchmarks.measure import in_turns, ratio, show

from posetalk import Box, Localizer

NOISE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
BOXES = [Box(20 + 80 * n, 30, 150, 400) for n in range(8)]


def locate(localizer: Localizer, people: int) -> np.ndarray:
    return localizer.set_image(NOISE).locate(BOXES[:people]).xy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    rows: list[list[str]] = []
    data: dict[str, object] = {}
    for threads in (1, 2):
        engines = {
            name: Localizer.from_pretrained(engine=name, threads=threads) for name in ("torch", "onnx")
        }
        for people in (1, 8):
            found = in_turns(
                {name: lambda one=one, people=people: locate(one, people) for name, one in engines.items()},
                rounds,
            )
            assert np.abs(found["torch"].answer - found["onnx"].answer).max() < 1e-2
            for name, one in found.items():
                work = sorted(one.work)[len(one.work) // 2] / people
                rows.append(
                    [
                        f"{name}, {people} together, {threads} threads",
                        f"{1e3 * one.median / people:.1f}",
                        f"{1e3 * work:.1f}",
                        f"{people / one.median:.1f}",
                        f"{ratio(found['torch'], one):.2f}x",
                    ]
                )
                data[rows[-1][0]] = {"seconds": one.seconds, "processor_seconds": one.work}
    columns = ["a person, 17 keypoints", "ms", "processor ms", "people a second", "torch /"]
    show("engine", "The bundled model in two engines", columns, rows, data)


if __name__ == "__main__":
    main()
