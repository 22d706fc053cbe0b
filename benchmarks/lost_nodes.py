"""Runs on a Ray cluster of two nodes on this machine, one of which is killed again and again, against single runs.

    python -m benchmarks.lost_nodes --photos coco_people/val2017 --texts coco_val2017_text \
        [--pictures 1000] [--rows 2346] [--kills 10] [--runs locate,facts,server]

A kill is SIGKILL to the raylet of the second node and to all its workers; a new node joins a moment later. Each run has
to end with the files of the single run, as sets of lines. For `server` a server on loopback counts what it answered:
nothing is paid twice but what was in flight when a node was killed. Pictures are copies of the photos, made small.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.measure import show
from PIL import Image
from tests.llm.server import Act, Body, Server, running, said

MEMORY = 100_000_000  # bytes of each node's object store
CONCURRENCY = 8
PATIENCE = 20.0  # seconds
# seconds, at most, that a worker works before it is killed
PAUSE = {"locate": 20.0, "facts": 1.0, "server": 10.0}
STORE = {"include_dashboard": False, "object_store_memory": MEMORY}


class Nodes:
    """A head that stays, with a core, and a second node that is killed. kills: those that hit a worker at work."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # on a busy machine
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **STORE})
        self.address = self.cluster.address
        self.second = self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        self.kills = 0

    def workers(self) -> list[int]:
        """The processes of the second node's workers."""
        raylet = self._raylet()
        return [pid for pid in _processes() if _parent(pid) == raylet]

    def busy(self) -> bool:
        """Whether the second node has a worker at work."""
        return any(b"_Worker.do" in _title(pid) for pid in self.workers())

    def kill(self) -> None:
        """End the second node without notice."""
        self.kills += self.busy()
        for pid in [self._raylet(), *self.workers()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def replace(self) -> None:
        """Have another node join in place of the killed one."""
        with suppress(Exception):
            self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    def stop(self) -> None:
        self.cluster.shutdown()

    def _raylet(self) -> int:
        (process,) = self.second.all_processes["raylet"]
        return int(process.process.pid)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _parent(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _title(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@contextmanager
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    try:
        yield found
    finally:
        found.stop()


def answer(body: Body, _: int) -> Act:
    """By the schema, and different for each request, but always the same for the same one."""
    draw = random.Random(hashlib.sha256(json.dumps(body["messages"]).encode()).digest())
    word = [
        "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(3)) for _ in range(80)
    ]
    texts = [f"There is {' '.join(word[20 * n : 20 * n + 20])} behind the people." for n in range(4)]
    schema = body["response_format"]["json_schema"]["schema"]["properties"]
    if "turns" in schema:
        turns = [{"question": f"What is {word[n]} behind them?", "answer": texts[n]} for n in range(2)]
        return said(json.dumps({"turns": turns}), delay=0.2)
    return said(json.dumps({"answer": " ".join(texts)}), delay=0.2)


def command(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "posetalk", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> None:
    _, said_ = process.communicate()
    if process.returncode:
        raise SystemExit(f"posetalk failed:\n{said_[-3000:]}")


def disturbed(
    words: list[object],
    cluster: Nodes,
    kills: int,
    draw: random.Random,
    pause: float,
    amid: Callable[[], bool],
) -> tuple[float, int]:
    """Run a command while the second node is killed; gives seconds, and how many kills hit a worker at work.

    pause: seconds, at most, that a worker works before it is killed.
    amid: whether it is a good moment, which is waited for.
    """
    begun, before = time.monotonic(), cluster.kills
    process = command(*words)
    while process.poll() is None and cluster.kills - before < kills:
        if cluster.busy():
            time.sleep(draw.uniform(0, pause))
            until = time.monotonic() + PATIENCE
            while not amid() and time.monotonic() < until and process.poll() is None:
                time.sleep(0.001)
            if process.poll() is None:
                cluster.kill()
                cluster.replace()
        time.sleep(0.1)
    ended(process)
    return time.monotonic() - begun, cluster.kills - before


def lines(out: Path) -> dict[str, Any]:
    """What a run wrote, as sets."""
    names = ("predictions.jsonl", "people.jsonl", "samples.jsonl", "rejected.jsonl")
    found: dict[str, Any] = {
        n: sorted((out / n).read_bytes().splitlines()) for n in names if (out / n).exists()
    }
    if (out / "keypoints.json").exists():
        found["keypoints.json"] = sorted(map(json.dumps, json.loads((out / "keypoints.json").read_bytes())))
    return found


def pictures(photos: Path, number: int, folder: Path, side: int) -> None:
    """Small copies of the photos, numbered."""
    files = sorted(photos.glob("*.jpg"))
    folder.mkdir()
    for n in range(number):
        copy = folder / f"{n + 1:012d}.jpg"
        if n < len(files):
            with Image.open(files[n]) as image:
                image.thumbnail((side, side))
                image.convert("RGB").save(copy)
        else:
            shutil.copyfile(folder / f"{n % len(files) + 1:012d}.jpg", copy)


def texts(folder: Path, number: int, out: Path) -> list[object]:
    """The first images of a set with their labels and captions, as the words of `write`."""
    people = json.loads((folder / "person_keypoints_val2017.json").read_bytes())
    captions = json.loads((folder / "captions_val2017.json").read_bytes())
    ids = set(sorted({row["image_id"] for row in people["annotations"]})[:number])
    out.mkdir()
    for name, data in (("people", people), ("captions", captions)):
        data["images"] = [row for row in data["images"] if row["id"] in ids]
        data["annotations"] = [row for row in data["annotations"] if row["image_id"] in ids]
        (out / f"{name}.json").write_text(json.dumps(data))
    return ["write", out / "people.json", "--captions", out / "captions.json"]


def asks(server: Server) -> list[object]:
    """The options of `posetalk write` that ask the server."""
    return ["--writer", "openai", "--model", "m", "--base-url", server.url, "--concurrency", CONCURRENCY]


def in_flight(server: Server) -> None:
    while server.now:
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2346)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--shards", type=int, default=20, help="shards of a run")
    parser.add_argument("--side", type=int, default=320, help="longest side of a picture, px")
    parser.add_argument("--runs", default="locate,facts,server")
    given = parser.parse_args()
    rows, data, draw = [], {}, random.Random(0)
    os.environ.pop("OPENAI_API_KEY", None)
    with tempfile.TemporaryDirectory() as made, running(answer) as server, nodes() as cluster:
        folder = Path(made)
        pictures(given.photos, given.pictures, folder / "pictures", given.side)
        write = texts(given.texts, given.rows, folder / "texts")
        asking = asks(server)
        commands = {
            "locate": ["locate", folder / "pictures"],
            "facts": write,
            "server": [*write, *asking],
        }
        for name in given.runs.split(","):
            images = given.pictures if name == "locate" else given.rows
            single, many = folder / f"{name}-single", folder / f"{name}-many"
            ended(command(*commands[name], "--out", single))
            once = server.paid.copy()
            server.paid.clear()
            size = max(1, images // given.shards)
            words = [*commands[name], "--out", many, "--ray", cluster.address, "--shard-size", size]
            # more requests than one worker has in flight: both are asking
            amid = (lambda: server.now > CONCURRENCY // 2) if name == "server" else (lambda: True)
            seconds, hit = disturbed(words, cluster, given.kills, draw, PAUSE[name], amid)
            in_flight(server)
            twice = server.paid.total() - len(server.paid)
            equal = lines(single) == lines(many) and set(server.paid) == set(once)
            allowed = 2 * CONCURRENCY // 2 * hit  # in the hands of the killed worker, each time
            again = dict(server.paid)
            ended(command(*words))  # nothing is left to ask
            free = dict(server.paid) == again
            data[name] = {
                "images": images, "kills": hit, "equal": equal, "seconds": seconds, "paid": server.paid.total(),
                "twice": twice, "allowed": allowed, "nothing_asked_again": free,
            }  # fmt: skip
            rows.append(
                [name, images, hit, equal, server.paid.total(), twice, allowed, free, f"{seconds:.0f}"]
            )
            server.paid.clear()
    columns = [
        "run",
        "images",
        "kills",
        "equal",
        "paid",
        "twice",
        "in flight, at most",
        "rerun is free",
        "seconds",
    ]
    show("lost_nodes", "two nodes, the second killed again and again", columns, rows, data)
    if not all(
        row["equal"] and row["twice"] <= row["allowed"] and row["nothing_asked_again"]
        for row in data.values()
    ):
        raise SystemExit("a run differs from its single run, or something was paid twice")


if __name__ == "__main__":
    main()
