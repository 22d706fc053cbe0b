"""Two workers of a cluster on this machine against one: photos located, and text asked of a server that takes 0.2 s.

    python -m benchmarks.workers --photos coco_people/val2017 --texts coco_val2017_text [--pictures 240] [--rows 1920]

In turns, `--rounds` times. A worker computes with one thread. The server has a process of its own, and a worker keeps 8
requests in flight, so that 40 a second are ideal for each. Two numbers of each side: from the start of the run to its
end, the start of the workers included; and from the first shard that is done to the last, by the shards between.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.lost_nodes import pictures, texts
from benchmarks.measure import show

from posetalk.llm.client import ServerSettings
from posetalk.scale.cluster import Cluster, Done, connected
from posetalk.scale.locate import locate_shards
from posetalk.scale.write import write_shards
from posetalk.write.samples.sample import MODEL_KINDS
from posetalk.write.settings import WriteSettings

DELAY, IN_FLIGHT = 0.2, 8


class Timed:
    """A cluster that notes when each shard is done."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.moments: list[float] = []

    def size(self) -> int:
        return self._cluster.size()

    def each(self, work: Callable[..., Any], shards: Any, *given: Any) -> Iterator[Done[Any]]:
        for done in self._cluster.each(work, shards, *given):
            self.moments.append(time.perf_counter())
            yield done

    def steady(self, workers: int) -> float:
        """Shards a second, once every worker has done one."""
        moments = sorted(self.moments)[workers - 1 :]
        return (len(moments) - 1) / (moments[-1] - moments[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--rows", type=int, default=1920)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=24, help="of pictures; a third of it of text")
    given = parser.parse_args()
    command = [sys.executable, "-m", "tests.llm.server", "--delay", str(DELAY)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert server.stdout
    url = server.stdout.readline().strip()
    text_shards = max(4, given.shards // 3)
    whole: dict[tuple[str, int], list[float]] = {}
    steady: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pictures(given.photos, given.pictures, folder / "pictures", 640)
        _, people, _, captions = texts(given.texts, given.rows, folder / "texts")
        settings = WriteSettings(
            writer="m", annotations=str(people), captions=str(captions), kinds=MODEL_KINDS, recipe="grounded"
        )
        out = folder / "out"

        def locate(cluster: Any, _: int) -> None:
            size = given.pictures // given.shards
            locate_shards(cluster, [folder / "pictures"], "coco17", out=out, shard_size=size)

        def write(cluster: Any, workers: int) -> None:
            asked = ServerSettings(model="m", base_url=url, concurrency=IN_FLIGHT * workers, max_revisions=0)
            write_shards(cluster, settings, out, shard_size=given.rows // text_shards, server=asked)

        try:
            for _ in range(given.rounds):
                for name, run in (("locate", locate), ("write", write)):
                    for workers in (1, 2):
                        with connected("local", workers=workers, device="cpu") as cluster:
                            timed, begun = Timed(cluster), time.perf_counter()
                            run(timed, workers)
                            whole.setdefault((name, workers), []).append(time.perf_counter() - begun)
                            steady.setdefault((name, workers), []).append(timed.steady(workers))
                        shutil.rmtree(out)
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()
    rows = []
    for name, number in (("locate", given.pictures), ("write", given.rows * len(MODEL_KINDS))):
        per_shard = number / (given.shards if name == "locate" else text_shards)
        one, two = (statistics.median(steady[name, workers]) * per_shard for workers in (1, 2))
        seconds = [statistics.median(whole[name, workers]) for workers in (1, 2)]
        ideal = 2 * IN_FLIGHT / DELAY
        rows.append(
            [
                name,
                f"{number:,}",
                *(f"{value:.0f}" for value in seconds),
                f"{seconds[0] / seconds[1]:.2f}",
                f"{one:.1f}",
                f"{two:.1f}",
                f"{two / one:.2f}",
                f"{two / ideal:.1%}" if name == "write" else "",
            ]
        )
    columns = [
        "run",
        "rows",
        "s, one",
        "s, two",
        "ratio",
        "a second, one",
        "a second, two",
        "ratio",
        "of the ideal",
    ]
    found = {f"{name} {workers}": values for (name, workers), values in steady.items()}
    title = f"{given.shards} shards, medians of {given.rounds}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    show("workers", title, columns, rows, {"steady": found})


if __name__ == "__main__":
    main()
