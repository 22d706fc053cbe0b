"""Supervised keypoints a second: the reference's chain against packed questions, and against `point`.

    python -m benchmarks.training [--size small] [--rounds 5]

One gradient step (forward, backward, AdamW) of LoRA on both towers and the connector, LocLLM's settings, fp32, random
weights and pictures, the same prompts on all sides. `chain` takes five keypoints of a person in a row (LocLLM), `block`
all of them beside each other, `point` all of them, read once. That reading is shared by the people of a step, so there
are 20 of them (a step of `posetalk train` has 64 by default); the others' speed does not depend on it, they have two.
The second table grows the number of keypoints, a person a step.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import torch
from benchmarks.measure import in_turns, ratio, show
from benchmarks.sizes import Size, configs, network

from posetalk.model.adapters import set_trainable
from posetalk.model.files import conversation
from posetalk.process import keep_memory
from posetalk.settings import ModelSettings
from posetalk.skeleton import Keypoint, load_skeleton
from posetalk.train.losses import forward_with_loss
from posetalk.train.packing import CHAIN, Packing, collate, pack
from posetalk.train.target import Target

PEOPLE = {"chain": 2, "block": 2, "point": 20}
FEW = 1
COUNTS = (1, 5, 17, 50, 133)
SIDES: dict[str, tuple[str, Packing]] = {
    "chain": ("digits", "chain"),
    "block": ("digits", "block"),
    "point": ("point", "block"),
}


def keypoints(count: int) -> list[Keypoint]:
    """`count` keypoints with COCO's sentences, over and over, under names of their own."""
    known = load_skeleton("coco17").keypoints
    return [
        Keypoint(known[i % 17].name + (f" {i // 17 + 1}" if i >= 17 else ""), known[i % 17].sentence)
        for i in range(count)
    ]


def stepper(
    size: Size, side: str, points: Sequence[Keypoint], people: int
) -> tuple[Callable[[], float], int]:
    """A call that makes one gradient step, and how many keypoints it learns from."""
    readout, packing = SIDES[side]
    model, tokenizer = network(size, readout)  # type: ignore[arg-type]
    talk = conversation(model.config, tokenizer)
    crop = configs(size)[2]
    settings = ModelSettings(vision_encoder="-", language_model="-", crop=crop)
    if size == "bundled":
        settings = settings.model_copy(update={"tune_vision_encoder": "frozen"})
    trained = set_trainable(model, settings)
    trained.train()
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-4)
    rng = np.random.default_rng(0)

    def view() -> tuple[np.ndarray, object]:
        targets = [Target(point, tuple(rng.uniform(0, 1, 2)), True) for point in points]
        if packing == "chain":
            targets = [targets[i] for i in rng.permutation(len(targets))[:CHAIN]]
        pixels = rng.standard_normal((3, crop.size, crop.size), np.float32)
        return pixels, pack(talk, targets, packing, readout)  # type: ignore[arg-type]

    batch = collate([view() for _ in range(people)], pad=0, readout=readout)  # type: ignore[arg-type, misc]

    def step() -> float:
        loss = forward_with_loss(trained, batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    asked = min(len(points), CHAIN) if packing == "chain" else len(points)
    return step, people * asked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    keep_memory()  # as `posetalk train` does
    packings(given.size, given.rounds)
    growth(given.size, max(1, given.rounds // 2))


def packings(size: Size, rounds: int) -> None:
    """The first table: 17 keypoints, the three sides in turns."""
    steps = {side: stepper(size, side, keypoints(17), PEOPLE[side]) for side in SIDES}
    found = in_turns({side: step for side, (step, _) in steps.items()}, rounds)
    rows, data = [], {}
    for side, one in found.items():
        learned = steps[side][1]
        faster = ratio(found["chain"], one) * learned / steps["chain"][1]
        lighter = ratio(found["chain"], one, work=True) * learned / steps["chain"][1]
        cheaper = found["chain"].flops / one.flops * learned / steps["chain"][1]
        speeds = [learned / seconds for seconds in one.seconds]
        data[side] = {
            "keypoints_a_second": speeds,
            "keypoints_a_processor_second": [learned / seconds for seconds in one.work],
            "faster": faster,
            "less_work": lighter,
            "fewer_flops": cheaper,
            "flops": one.flops,
        }
        rows.append(
            [
                side,
                str(learned),
                f"{learned / one.median:.1f} ({min(speeds):.1f}-{max(speeds):.1f})",
                f"{faster:.2f}x",
                f"{lighter:.2f}x",
                f"{cheaper:.2f}x",
            ]
        )
    columns = [
        "packing",
        "keypoints a step",
        "keypoints a second",
        "against chain",
        "by processor",
        "by FLOPs",
    ]
    show("training", f"Training, {size}, 17 keypoints", columns, rows, data)


def growth(size: Size, rounds: int) -> None:
    """The second table: a step of few people as keypoints grow."""
    grown, data = [], {}
    for count in COUNTS:
        some = {side: stepper(size, side, keypoints(count), FEW) for side in ("block", "point")}
        timed = in_turns({side: step for side, (step, _) in some.items()}, rounds)
        data[str(count)] = {side: timed[side].seconds for side in timed}
        grown.append(
            [str(count)]
            + [f"{timed[side].median:.2f} s, {some[side][1] / timed[side].median:.1f}/s" for side in timed]
        )
    show(
        "training_growth",
        "A step of a person as keypoints grow",
        ["keypoints", "block", "point"],
        grown,
        data,
    )


if __name__ == "__main__":
    main()
