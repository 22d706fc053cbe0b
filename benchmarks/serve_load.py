"""The server under load, on loopback: throughput against a plain Python loop, waiting, memory, overload, a kill.

    python -m benchmarks.serve_load FOLDER [--seconds 60] [--callers 1 8 32] [--photos 24]

Photos of FOLDER, in the order of their names, half of them shrunk to half of their sides. In turns of `--seconds` each:
a loop of `set_image` and `locate` in this process, then so many callers at once, who ask for one photo after the other,
each on a connection of its own. The two never compute at the same time. Every answer is compared with the one that a
single call got before. Memory is the server's resident size. At the end a server with a short queue is overloaded,
killed and started again.
"""

from __future__ import annotations

import argparse
import io
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import resident, show
from benchmarks.served import Served
from PIL import Image

from posetalk import Localizer

WARM_UP = 3  # photos that are asked for before the clock
OVERLOAD_CALLERS = 48


@dataclass(frozen=True, slots=True)
class Load:
    """What so many callers got in a time.

    seconds: how long each answered request took. refused: how long each refused one took. wrong: answers that are not
    those of a single call. wall: seconds in all. mb: the server's memory at a tenth and at the end.
    """

    callers: int
    seconds: tuple[float, ...]
    refused: tuple[float, ...]
    wrong: int
    wall: float
    mb: tuple[float, float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    def percentile(self, share: float) -> float:
        """Seconds within which a share of the requests was answered."""
        times = sorted(self.seconds)
        return times[min(int(share * len(times)), len(times) - 1)] if times else float("nan")


def mixed(folder: Path, count: int) -> list[bytes]:
    """Photos of mixed sizes, as files."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.jpg"))[:count]):
        data = path.read_bytes()
        if number % 2:
            with Image.open(path) as image:
                file = io.BytesIO()
                image.convert("RGB").resize((image.width // 2, image.height // 2)).save(
                    file, "JPEG", quality=90
                )
                data = file.getvalue()
        found.append(data)
    assert found, f"{folder} has no photos (*.jpg)"
    return found


def answer_of(reply: Any) -> Any:
    """What must be the same at every time."""
    return {key: value for key, value in reply.json.items() if key != "seconds"}


def loop(photos: Sequence[bytes], seconds: float) -> float:
    """Photos a second of a plain loop over files, in this process."""
    localizer = Localizer.from_pretrained("bundled")
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"{number}.jpg" for number in range(len(photos))]
        for file, data in zip(files, photos, strict=True):
            file.write_bytes(data)
        for file in files[:WARM_UP]:
            localizer.set_image(file).locate()
        begun = time.perf_counter()
        for done, file in enumerate(itertools.cycle(files), 1):
            localizer.set_image(file).locate()
            if (took := time.perf_counter() - begun) >= seconds:
                return done / took
    raise AssertionError


def load(served: Served, photos: Sequence[bytes], right: Sequence[Any], callers: int, seconds: float) -> Load:
    """So many callers at once, for a time."""
    taken, lock = itertools.count(), threading.Lock()
    answered: list[float] = []
    refused: list[float] = []
    wrong = 0
    begun = time.perf_counter()

    def ask() -> None:
        nonlocal wrong
        while time.perf_counter() - begun < seconds:
            with lock:
                index = next(taken) % len(photos)
            started = time.perf_counter()
            reply = served.locate(photos[index])
            took = time.perf_counter() - started
            with lock:
                if reply.status == 503:
                    refused.append(took)
                elif reply.status == 200 and answer_of(reply) == right[index]:
                    answered.append(took)
                else:
                    wrong += 1
            if reply.status == 503:
                time.sleep(0.05)

    with ThreadPoolExecutor(callers) as pool:
        asking = [pool.submit(ask) for _ in range(callers)]
        time.sleep(seconds / 10)
        early = resident(served.process.pid)
        for one in asking:
            one.result()
    wall = time.perf_counter() - begun
    return Load(callers, tuple(answered), tuple(refused), wrong, wall, (early, resident(served.process.pid)))


def singly(served: Served, photos: Sequence[bytes]) -> list[Any]:
    """The answer to each photo, asked for alone."""
    return [answer_of(served.locate(photo)) for photo in photos]


def overload(photos: Sequence[bytes], right: Sequence[Any], seconds: float) -> dict[str, float]:
    """A short queue and many callers; then one caller; then the process is killed and started again."""
    with Served("--queue-size", "8") as served:
        crowd = load(served, photos, right, OVERLOAD_CALLERS, seconds)
        after = load(served, photos, right, 1, min(seconds, 5))
        served.process.kill()
        served.process.wait()
        begun = time.perf_counter()
        with Served("--queue-size", "8", port=served.port) as again:
            back = time.perf_counter() - begun
            same = singly(again, photos[:WARM_UP]) == list(right[:WARM_UP])
    return {
        "answered": len(crowd.seconds),
        "refused": len(crowd.refused),
        "refused_p50": statistics.median(crowd.refused) if crowd.refused else float("nan"),
        "refused_most": max(crowd.refused, default=float("nan")),
        "wrong": crowd.wrong + after.wrong,
        "refused_after": len(after.refused),
        "answered_after": len(after.seconds),
        "seconds_to_start_again": back,
        "same_after_kill": float(same),
    }


def run(
    photos: Sequence[bytes], callers: Sequence[int], seconds: float, tell: Callable[[str], object] = print
) -> tuple[float, list[Load], dict[str, float]]:
    """Photos a second of the loop, the load of each number of callers, and the overload."""
    tell(f"a plain loop, {seconds:g} s")
    plain = loop(photos, seconds)
    loads = []
    with Served() as served:
        right = singly(served, photos)
        for count in callers:
            tell(f"{count} callers, {seconds:g} s")
            loads.append(load(served, photos, right, count, seconds))
    tell(f"{OVERLOAD_CALLERS} callers of a short queue, a kill")
    return plain, loads, overload(photos, right, min(seconds, 20))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--photos", type=int, default=24)
    given = parser.parse_args()
    photos = mixed(given.folder, given.photos)
    plain, loads, crowd = run(photos, given.callers, given.seconds)
    rows = [["a plain loop", f"{plain:.2f}", "1", "", "", "", "", ""]]
    rows += [
        [
            f"{one.callers} callers",
            f"{one.rate:.2f}",
            f"{one.rate / plain:.2f}",
            *(f"{one.percentile(share):.3f}" for share in (0.5, 0.95, 0.99)),
            f"{one.mb[0]:.0f}, {one.mb[1]:.0f}",
            str(one.wrong),
        ]
        for one in loads
    ]
    columns = [
        "",
        "photos a second",
        "of the loop's",
        "p50 s",
        "p95 s",
        "p99 s",
        "MB at a tenth, the end",
        "wrong",
    ]
    data = {
        "plain": plain,
        "overload": crowd,
        **{
            f"callers_{one.callers}": {
                "rate": one.rate,
                "p50": one.percentile(0.5),
                "p95": one.percentile(0.95),
                "p99": one.percentile(0.99),
                "mb": one.mb,
                "wrong": one.wrong,
                "refused": len(one.refused),
            }
            for one in loads
        },
    }
    show(
        "serve_load",
        f"The server under load, {len(photos)} photos of {given.folder.name}",
        columns,
        rows,
        data,
    )
    print("overload:", ", ".join(f"{name} {value:.4g}" for name, value in crowd.items()))


if __name__ == "__main__":
    main()
