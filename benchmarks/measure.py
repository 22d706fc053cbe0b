"""How the benchmarks measure: all sides in one run, in turns, medians with their spread, answers compared."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

OUT = Path(__file__).parents[1] / "benchmarks" / "out"


@dataclass(frozen=True, slots=True)
class Side:
    """One way of doing the work. seconds: of each round; flops: of one call, counted while it ran; answer: its last."""

    seconds: tuple[float, ...]
    flops: int
    answer: Any

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int, once: Sequence[str] = ()) -> dict[str, Side]:
    """Every side once without the clock, with its floating-point operations counted, then `rounds` times in turns.

    once: sides too long for that; they run a single time, first, cold and with the counting on the clock.
    """
    flops, seconds, answers = {}, {name: [] for name in sides}, {}
    for name, call in sides.items():
        begun = time.perf_counter()
        flops[name], answers[name] = counted(call)
        if name in once:
            seconds[name].append(time.perf_counter() - begun)
    for _ in range(rounds):
        for name, call in sides.items():
            if name not in once:
                begun = time.perf_counter()
                answers[name] = call()
                seconds[name].append(time.perf_counter() - begun)
    return {name: Side(tuple(seconds[name]), flops[name], answers[name]) for name in sides}


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


def ratio(slow: Side, fast: Side) -> float:
    """How many times as long `slow` takes: the median over rounds of the ratio within a round; of the medians where
    one of them ran once."""
    if len(slow.seconds) != len(fast.seconds):
        return slow.median / fast.median
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


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
