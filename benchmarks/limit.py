"""How near `locate` comes to the machine's own matrix products, and where the rest of the time goes.

    python -m benchmarks.limit [--size small] [--rounds 5]

Eight people of one picture through `Localizer.locate`, cutting and normalising included, fp32, random weights. The
limit is the speed at which this machine multiplies matrices of the very shapes of the network's linear layers, measured
in turns with `locate` itself.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from benchmarks.measure import in_turns, show
from benchmarks.sizes import network
from torch import nn
from torch.profiler import ProfilerActivity, profile

from posetalk.locate.localizer import Localizer
from posetalk.types import Box

PEOPLE = 8


def products(model: nn.Module, call: Callable[[], Any]) -> Counter[tuple[int, int, int]]:
    """How often each shape (m, k, n) is multiplied by the linear layers during a call."""
    found: Counter[tuple[int, int, int]] = Counter()

    def note(module: nn.Linear, given: tuple[torch.Tensor, ...]) -> None:
        found[given[0].numel() // module.in_features, module.in_features, module.out_features] += 1

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, nn.Linear)]
    call()
    for hook in hooks:
        hook.remove()
    return found


def multiply(shapes: Counter[tuple[int, int, int]]) -> Callable[[], None]:
    """The same products and nothing else."""
    ready = [
        (torch.randn(m, k), torch.randn(n, k), torch.empty(m, n), times)
        for (m, k, n), times in shapes.items()
    ]

    def run() -> None:
        for a, b, out, times in ready:
            for _ in range(times):
                torch.mm(a, b.T, out=out)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    boxes = [Box(40 + 60 * i, 40, 120, 360) for i in range(PEOPLE)]
    rows, data = [], {}
    for readout in ("digits", "point"):
        model, tokenizer = network(given.size, readout)  # type: ignore[arg-type]
        localizer = Localizer(model, tokenizer, decoding="greedy", batch_size=PEOPLE)

        def locate(localizer: Localizer = localizer) -> object:
            return localizer.set_image(picture).locate(boxes)

        locate()  # the questions of `point` are read once in a localizer's life
        shapes = products(model, locate)
        with torch.no_grad():
            found = in_turns({"locate": locate, "products": multiply(shapes)}, given.rounds)
        speed = found["locate"].flops / found["locate"].median
        limit = found["products"].flops / found["products"].median
        data[readout] = {name: {"seconds": one.seconds, "flops": one.flops} for name, one in found.items()}
        rows.append(
            [
                readout,
                f"{found['locate'].median / PEOPLE:.3f}",
                f"{found['locate'].flops / PEOPLE / 1e9:.1f}",
                f"{speed / 1e9:.1f}",
                f"{limit / 1e9:.1f}",
                f"{speed / limit:.0%}",
            ]
        )
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            locate()
        events = sorted(profiled.key_averages(), key=lambda e: -e.self_cpu_time_total)
        total = sum(e.self_cpu_time_total for e in events)
        top = [[e.key, f"{e.self_cpu_time_total / total:.1%}", str(e.count)] for e in events[:14]]
        show(
            f"profile_{readout}",
            f"Where the time of {readout} goes",
            ["operation", "share", "calls"],
            top,
            None,
        )
    columns = ["readout", "seconds a person", "GFLOP a person", "GFLOP/s", "of its products alone", "reached"]
    show("limit", f"{given.size}: locate against its own matrix products", columns, rows, data)


if __name__ == "__main__":
    main()
