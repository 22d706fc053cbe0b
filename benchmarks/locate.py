"""What a person with 17 keypoints costs, asked in four ways.

    python -m benchmarks.locate [--sizes bundled,small,1b] [--rounds 5]

Random weights, fp32, the same on all sides. Every side starts from the same crop and is checked to write the same
text; `point` has no text. `digits x8` and `point x8` ask eight people together, seconds are a person's. At the size 1b
the reference and the careful user, which take minutes, run once, with the counting on their clock, and nobody asks
eight people: ten minutes and 12 GB. The 7B rows are counted pass by pass on the meta device, where nothing is
computed; the same counting is held against what ran at the other sizes.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from benchmarks.measure import in_turns, ratio, show
from benchmarks.passes import cost, passes
from benchmarks.sides import careful, digits, places, point, reference
from benchmarks.sizes import Size, network, pair
from torch import Tensor

from posetalk.locate.decode import read
from posetalk.model.files import conversation, crop_settings
from posetalk.skeleton import load_skeleton

KEYPOINTS = load_skeleton("coco17").keypoints
TOGETHER = 8
TIES = 1  # keypoints whose text may differ in a digit: the order of sums decides between two as likely ones
SIDES = ("reference", "careful", "digits", "point")


def measure(size: Size, rounds: int) -> tuple[list[list[str]], dict[str, object]]:
    model, other, tokenizer = pair(size)
    talk, once = conversation(model.config, tokenizer), conversation(other.config, tokenizer)
    side = crop_settings(model.config).size
    pixels = torch.randn(TOGETHER, 3, side, side, generator=torch.Generator().manual_seed(2))
    questions, readings = read(model, talk, KEYPOINTS), read(other, once, KEYPOINTS)
    sides = {
        "reference": partial(reference, model, talk, pixels[:1], KEYPOINTS),
        "careful": partial(careful, model, talk, pixels[:1], KEYPOINTS),
        "digits": partial(digits, model, talk, pixels[:1], questions),
        "point": partial(point, other, once, pixels[:1], readings),
    }
    if size != "1b":  # of it eight people take minutes
        sides |= {
            "digits x8": partial(digits, model, talk, pixels, questions),
            "point x8": partial(point, other, once, pixels, readings),
        }
    found = in_turns(sides, rounds, once=("reference", "careful") if size == "1b" else ())
    expected = found["digits"].answer[0]
    for name in ("reference", "careful"):
        same(expected, places(tokenizer, found[name].answer), f"{size}: {name}")
    if "digits x8" in found:
        same(expected, found["digits x8"].answer[0], f"{size}: digits x8")
    rows, data = [], {}
    for name, one in found.items():
        people = TOGETHER if name.endswith("x8") else 1
        plan = cost(
            other if "point" in name else model,
            passes(name.split()[0], once if "point" in name else talk, KEYPOINTS),
        )
        seconds = [s / people for s in one.seconds]
        data[name] = {
            "seconds": seconds,
            "processor_seconds": [s / people for s in one.work],
            "flops": one.flops / people,
            "counted_on_meta": plan.flops,
            "kv_bytes": plan.kv_bytes,
            "passes": plan.passes,
            "against_reference": ratio(found["reference"], one) * people,
            "against_digits": ratio(found["digits"], one) * people,
        }
        rows.append(
            [
                f"{size}: {name}",
                f"{one.median / people:.3f} ({min(seconds):.3f}-{max(seconds):.3f})",
                f"{ratio(found['reference'], one) * people:.1f}x",
                f"{ratio(found['careful'], one) * people:.1f}x",
                f"{one.flops / people / 1e9:,.1f}",
                f"{plan.flops / 1e9:,.1f}",
                f"{plan.kv_bytes / 1e6:,.1f}",
                str(plan.passes),
            ]
        )
    return rows, data


def same(expected: Tensor, found: Tensor, where: str) -> None:
    apart = (expected - found).abs().amax(1) > 1e-9
    if apart.any():
        sentence = f"{where} answers {int(apart.sum())} of {len(expected)} keypoints otherwise"
        if int(apart.sum()) > TIES:
            raise SystemExit(sentence)
        print(f"{sentence}: random weights give two digits that are as likely as each other")


def count_7b() -> tuple[list[list[str]], dict[str, object]]:
    rows, data = [], {}
    tokenizer = network("small", "digits")[1]
    for name in SIDES:
        model, _ = network("7b", "point" if name == "point" else "digits", device="meta")
        plan = cost(model, passes(name, conversation(model.config, tokenizer), KEYPOINTS))
        data[name] = {"flops": plan.flops, "kv_bytes": plan.kv_bytes, "passes": plan.passes}
        first = data["reference"]["flops"]
        rows.append(
            [
                f"7b, counted: {name}",
                "",
                f"{first / plan.flops:.1f}x of FLOPs",
                "",
                "",
                f"{plan.flops / 1e9:,.0f}",
                f"{plan.kv_bytes / 1e6:,.0f}",
                str(plan.passes),
            ]
        )
    return rows, data


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="bundled,small,1b")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    columns = [
        "a person",
        "seconds",
        "reference /",
        "generate /",
        "GFLOP ran",
        "GFLOP planned",
        "KV MB",
        "passes",
    ]
    rows, data = [], {}
    for size in (*given.sizes.split(","), "7b"):
        some, data[size] = count_7b() if size == "7b" else measure(size, given.rounds)
        rows += some
        show(
            "locate", "A person, 17 keypoints", columns, rows, data
        )  # what is measured is not lost with the next


if __name__ == "__main__":
    main()
