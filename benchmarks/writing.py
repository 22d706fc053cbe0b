"""How much of a server's time the writer keeps busy: 64 requests at once, each of which takes the server 0.2 s.

    python -m benchmarks.writing [--requests 640] [--rounds 5] [--delay 0.2]

The server is in a process of its own and only waits. Beside the writer, in turns with it: one request after the other,
as LLaVA-Pose's scripts ask; and the openai package alone, 64 requests at once, of which nothing is kept, for what it,
the server and the machine allow. The ideal is 64 / 0.2 s = 320 requests a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
from benchmarks.measure import show

from posetalk.llm.client import ServerSettings, request_body
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.llm.runner import generate
from posetalk.write.samples.sample import Turns

AT_ONCE, ONE_BY_ONE = 64, 15


def jobs(number: int) -> Iterator[ChatRequest]:
    """Requests of the size that a picture's captions, boxes and keypoints make."""
    context = "person 1: 0.123, 0.456, 0.789, 0.999; left wrist: 0.234, 0.567\n" * 50
    for i in range(number):
        messages = ({"role": "system", "content": context}, {"role": "user", "content": f"picture {i}"})
        yield ChatRequest(f"{i}-detail", i, f"{i}.jpg", "detail", messages, {"type": "object"})


def accept(job: ChatRequest, reply: str) -> Turns:
    return (("What is to be seen?", reply),)


def writer(settings: ServerSettings, number: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        assert generate(jobs(number), ledger, settings, accept, total=number).done == number


def package(settings: ServerSettings, number: int) -> None:
    async def ask() -> None:
        client = openai.AsyncOpenAI(api_key="none", base_url=settings.base_url, max_retries=0)
        todo = jobs(number)

        async def worker() -> None:
            for job in todo:
                await client.chat.completions.create(**request_body(job, settings, True))

        await asyncio.gather(*(worker() for _ in range(settings.concurrency)))
        await client.close()

    asyncio.run(ask())


def one_by_one(settings: ServerSettings, number: int) -> None:
    with openai.OpenAI(api_key="none", base_url=settings.base_url, max_retries=0) as client:
        for job in jobs(number):
            client.chat.completions.create(**request_body(job, settings, True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--delay", type=float, default=0.2, help="seconds that the server takes for a request"
    )
    given = parser.parse_args()
    command = [sys.executable, "-m", "tests.llm.server", "--delay", str(given.delay)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert server.stdout
    settings = ServerSettings(model="m", base_url=server.stdout.readline().strip(), concurrency=AT_ONCE)
    sides: dict[str, tuple[Callable[[ServerSettings, int], None], int]] = {
        "one by one": (one_by_one, ONE_BY_ONE),
        "openai alone": (package, given.requests),
        "posetalk": (writer, given.requests),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    work: dict[str, list[float]] = {name: [] for name in sides}
    load = []
    try:
        package(settings, AT_ONCE)  # loads what is loaded at the first call
        for _ in range(given.rounds):
            for name, (side, number) in sides.items():
                begun, worked = time.perf_counter(), time.process_time()
                side(settings, number)
                rates[name].append(number / (time.perf_counter() - begun))
                work[name].append((time.process_time() - worked) / number * 1e3)
            load.append(os.getloadavg()[0])
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    ideal = AT_ONCE / given.delay
    slow = rates["one by one"]
    rows = [
        [
            name,
            f"{statistics.median(found):.1f}",
            f"{min(found):.1f} to {max(found):.1f}",
            f"{statistics.median(found) / ideal:.1%}",
            f"{statistics.median(a / b for a, b in zip(found, slow, strict=True)):.1f}",
            f"{statistics.median(work[name]):.2f}",
        ]
        for name, found in rates.items()
    ]
    title = (
        f"{given.requests} requests, {AT_ONCE} at once, {given.delay:g} s each; "
        f"{os.cpu_count()} cores, load {min(load):.1f} to {max(load):.1f}"
    )
    columns = ["side", "requests a second", "spread", "of the ideal", "times one by one", "CPU, ms a request"]
    show("writing", title, columns, rows, {"rates": rates, "work": work, "load": load})


if __name__ == "__main__":
    main()
