"""How the benchmarks measure: all sides in one run, in turns, medians with their spread, answers compared."""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

OUT = Path(__file__).parents[1] / "benchmarks" / "out"


def resident(process: int | Literal["self"] = "self") -> float:
    """MB of memory that a process holds now; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1e6


@dataclass(frozen=True, slots=True)
class Side:
    """One way of doing the work. seconds: of each round; flops: of one call, counted while it ran; answer: its last;
    work: processor seconds of each round, all threads', which other people's programs disturb less."""

    seconds: tuple[float, ...]
    flops: int
    answer: Any
    work: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int, once: Sequence[str] = ()) -> dict[str, Side]:
    """Every side once without the clock, with its floating-point operations counted, then `rounds` times in turns.

    once: sides too long for that; they run a single time, first, cold and with the counting on the clock.
    """
    flops, answers = {}, {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    work: dict[str, list[float]] = {name: [] for name in sides}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        begun, busy = time.perf_counter(), time.process_time()
        answer = call()
        seconds[name].append(time.perf_counter() - begun)
        work[name].append(time.process_time() - busy)
        return answer

    for name, call in sides.items():
        count = partial(counted, call)
        flops[name], answers[name] = timed(name, count) if name in once else count()
    for _ in range(rounds):
        for name, call in sides.items():
            if name not in once:
                answers[name] = timed(name, call)
    return {name: Side(tuple(seconds[name]), flops[name], answers[name], tuple(work[name])) for name in sides}


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    people, heads, rows, width = query
    return 2 * people * heads * rows * key[2] * (width + value[3])


def _attention_backward(_: Sequence[int], query: Any, key: Any, value: Any, *__: Any, **___: Any) -> int:
    return 5 * _attention(query, key, value) // 2  # five products of that size, forward has two


# torch counts every attention kernel but the CPU's
_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


def counted(call: Callable[[], Any]) -> tuple[int, Any]:
    """Floating-point operations of the matrix products, convolutions and attention in a call, 2 a multiply-add, and
    what it returns."""
    with FlopCounterMode(display=False, custom_mapping=_CPU) as counter:
        answer = call()
    return int(counter.get_total_flops()), answer


def ratio(slow: Side, fast: Side, work: bool = False) -> float:
    """How many times as long `slow` takes, in seconds or in processor seconds: the median over rounds of the ratio
    within a round; of the medians where one of them ran once."""
    slows, fasts = (slow.work, fast.work) if work else (slow.seconds, fast.seconds)
    if len(slows) != len(fasts):
        return statistics.median(slows) / statistics.median(fasts)
    return statistics.median(a / b for a, b in zip(slows, fasts, strict=True))


def machine() -> dict[str, Any]:
    """What ran, on what."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
        if Path("/proc/cpuinfo").exists()
        else iter([platform.processor()])
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
    }


def show(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], data: Any) -> None:
    """Print a table, and write it with everything measured to benchmarks/out/NAME.json."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(str, row))
    console = Console()
    console.width = max(console.width, 120)  # in a file too
    console.print(table)
    OUT.mkdir(exist_ok=True)
    found = {"machine": machine(), "columns": columns, "rows": rows, "data": data}
    (OUT / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
