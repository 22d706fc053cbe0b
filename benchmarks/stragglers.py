"""What slow machines and lost ones cost a run over many machines, by simulation over measured times of photos.

    python -m benchmarks.stragglers --photos coco_people/val2017 [--times times.json] [--draws 5]

The processor time of each photo (its people found and located, one thread) is measured once and kept in --times. A
shard takes the sum of the times of its photos, drawn from them: for more than a thousand photos by their mean and
variance. A worker is a core; a machine has 16. One machine in a hundred is a straggler, three times as slow. A machine
is lost once in a day on average; that is noticed after half a minute, and the machine is replaced after five. A shard
that was in work there goes to another worker, which goes on where it stopped: what is lost is a batch, a model's load
and the wait. For comparison, `anew` is a shard that begins from its first photo again.

The table shows how much of the machines' time is used, of what is possible: photos' time over that of all workers until
the last shard is done; and how much of that is lost by machines that were lost.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import show

CORES = 16  # of a machine, each a worker
SLOW, FACTOR = 0.01, 3.0  # share of machines that are stragglers, and how much slower they are
LIFE = 86_400.0  # seconds, mean until a machine is lost
NOTICED, REPLACED, LOADED = 30.0, 300.0, 5.0  # seconds
BATCH = 8  # photos that a killed worker does again
RUNS = (  # photos, workers, sizes of shards
    (118_287, 32, (100, 1_000, 5_000)),
    (100_000_000, 1_600, (1_000, 10_000, 50_000)),
    (10_000_000_000, 16_000, (10_000, 100_000)),
)


@dataclass(frozen=True, slots=True)
class Photos:
    """Seconds of photos: all of them, their mean, and their standard deviation."""

    seconds: tuple[float, ...]
    mean: float
    deviation: float

    @classmethod
    def of(cls, seconds: list[float]) -> Photos:
        return cls(tuple(seconds), statistics.mean(seconds), statistics.pstdev(seconds))

    def shard(self, size: int, draw: random.Random) -> float:
        """Seconds of a shard of so many photos."""
        if size <= 1000:
            return sum(draw.choices(self.seconds, k=size))
        return max(size * self.mean * 0.5, draw.gauss(size * self.mean, self.deviation * size**0.5))


@dataclass(frozen=True, slots=True)
class Outcome:
    """hours: until the last shard is done; used: the share of the workers' time in photos; losses: of shards in work;
    lost: the share of the time that was spent on photos that were done again."""

    hours: float
    used: float
    losses: int
    lost: float


def simulate(
    photos: Photos, number: int, workers: int, size: int, draw: random.Random, *, anew: bool = False
) -> Outcome:
    """One run. A worker takes the next shard when it is free; a machine's workers are lost together."""
    machines = [_Machine(draw) for _ in range(max(1, workers // CORES))]
    free = [(LOADED, worker) for worker in range(workers)]
    again: list[tuple[float, int]] = []  # when a lost shard can be had, and its photos
    full, rest = divmod(number, size)
    todo = full + bool(rest)
    end = work = lost = 0.0
    losses = 0
    while todo or again:
        begin, worker = heapq.heappop(free)
        machine = machines[worker % len(machines)]
        if again and (not todo or again[0][0] <= begin):
            ready, part = heapq.heappop(again)
            begin = max(begin, ready)
        else:
            todo -= 1
            part = rest if rest and not todo else size
        seconds, gone = photos.shard(part, draw) * machine.factor, machine.lost_after(begin)
        if begin + seconds <= gone:
            end, work = max(end, begin + seconds), work + part * photos.mean
            heapq.heappush(free, (begin + seconds, worker))
            continue
        done = int(part * (gone - begin) / seconds)
        kept = 0 if anew else max(0, done - BATCH)
        heapq.heappush(again, (gone + NOTICED, part - kept))
        heapq.heappush(free, (gone + REPLACED + LOADED, worker))
        losses, lost, work = losses + 1, lost + (done - kept) * photos.mean, work + kept * photos.mean
    return Outcome(end / 3600, work / (end * workers), losses, lost / (end * workers))


class _Machine:
    """When a machine is lost, again and again, and how slow it is."""

    def __init__(self, draw: random.Random) -> None:
        self.factor = FACTOR if draw.random() < SLOW else 1.0
        self._draw, self._lost = draw, [draw.expovariate(1 / LIFE)]

    def lost_after(self, moment: float) -> float:
        """When it is lost next."""
        while self._lost[-1] <= moment:
            self._lost.append(self._lost[-1] + REPLACED + self._draw.expovariate(1 / LIFE))
        return self._lost[bisect_right(self._lost, moment)]


def measured(folder: Path) -> Iterator[float]:
    """Processor seconds of each photo, after one that loads everything."""
    from posetalk.detect.detector import Detector
    from posetalk.locate.localizer import Localizer

    localizer = Localizer.from_pretrained(
        "bundled", threads=1, detector=Detector.from_pretrained("bundled", threads=1)
    )
    files = sorted(folder.glob("*.jpg"))
    for path in [files[0], *files]:
        begun = time.process_time()
        localizer.set_image(path)
        localizer.locate(None, "coco17")
        yield time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--times", type=Path, default=Path("benchmarks/out/photo_times.json"))
    parser.add_argument("--draws", type=int, default=5)
    given = parser.parse_args()
    if not given.times.exists():
        given.times.parent.mkdir(parents=True, exist_ok=True)
        given.times.write_text(json.dumps(list(measured(given.photos))[1:]))
    photos = Photos.of(json.loads(given.times.read_text()))
    rows, data = [], {"mean": photos.mean, "deviation": photos.deviation}
    for number, workers, sizes in RUNS:
        for size in sizes:
            found = {}
            for anew in (False, True):
                outcomes = [
                    simulate(photos, number, workers, size, random.Random(seed), anew=anew)
                    for seed in range(given.draws)
                ]
                found[anew] = [
                    statistics.median(getattr(o, name) for o in outcomes) for name in Outcome.__slots__
                ]
            hours, used, losses, lost = found[False]
            rows.append(
                [
                    f"{number:,}",
                    f"{workers:,}",
                    f"{size:,}",
                    f"{-(-number // size):,}",
                    f"{hours:.1f}",
                    f"{used:.1%}",
                    f"{losses:,.0f}",
                    f"{lost:.3%}",
                    f"{found[True][1]:.1%}",
                ]
            )
            data[f"{number} {size}"] = found[False]
    title = (
        f"{photos.mean:.3f} s a photo on average (sd {photos.deviation:.3f}), medians of {given.draws} runs"
    )
    columns = [
        "photos",
        "workers",
        "a shard",
        "shards",
        "hours",
        "used",
        "shards lost",
        "done again",
        "used, anew",
    ]
    show("stragglers", title, columns, rows, data)


if __name__ == "__main__":
    main()
