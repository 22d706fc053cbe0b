"""What the benchmarks compare answers alike, and what they count is what runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from benchmarks import sizes
from benchmarks.measure import Side, counted, in_turns, ratio
from benchmarks.passes import cost, passes
from benchmarks.sides import careful, digits, places, point, reference
from benchmarks.sizes import randomise

from posetalk.locate.decode import read
from posetalk.model.files import build, conversation
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings, ModelSettings
from posetalk.skeleton import load_skeleton

POINTS = load_skeleton("coco17").keypoints[:5]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))


def made(settings: ModelSettings, **changes: object) -> tuple[PoseLLM, object]:
    torch.manual_seed(0)
    model, tokenizer = build(settings.model_copy(update=changes))
    randomise(model)
    return model.eval(), tokenizer


def test_all_ways_of_asking_write_the_same(tiny_settings: ModelSettings, pixels: torch.Tensor) -> None:
    model, tokenizer = made(tiny_settings)
    talk = conversation(model.config, tokenizer)
    ours = digits(model, talk, pixels, read(model, talk, POINTS))
    assert len(ours.reshape(-1, 2).unique(dim=0)) > 3
    for person in range(2):
        for theirs in (reference, careful):
            written = theirs(model, talk, pixels[person : person + 1], POINTS)
            torch.testing.assert_close(places(tokenizer, written), ours[person])


@pytest.mark.parametrize("side", ["reference", "careful", "digits", "point"])
def test_the_plan_is_what_runs(tiny_settings: ModelSettings, pixels: torch.Tensor, side: str) -> None:
    changes = {"readout": "point", "reading": "once", "cells": 2} if side == "point" else {}
    model, tokenizer = made(tiny_settings, **changes)
    talk = conversation(model.config, tokenizer)
    questions = read(model, talk, POINTS)
    run = {
        "reference": lambda: reference(model, talk, pixels[:1], POINTS),
        "careful": lambda: careful(model, talk, pixels[:1], POINTS),
        "digits": lambda: digits(model, talk, pixels[:1], questions),
        "point": lambda: point(model, talk, pixels[:1], questions),
    }[side]
    plan = cost(model, passes(side, talk, POINTS))
    # what is not in the plan: ten rows of the head, heat maps; they are large beside a network of width 32
    assert counted(run)[0] == pytest.approx(plan.flops, rel=0.25 if side == "point" else 0.02)
    assert plan.passes == {"reference": 14, "careful": 14, "digits": 7, "point": 2}[side]


def test_sides_are_run_in_turns() -> None:
    calls: list[str] = []

    def side(name: str):
        return lambda: calls.append(name) or len(calls)

    found = in_turns({"a": side("a"), "b": side("b")}, 3)
    assert calls == ["a", "b"] * 4 and found["a"].answer == 7 and len(found["b"].seconds) == 3
    assert ratio(Side((4.0, 9.0, 2.0), 0, None), Side((2.0, 3.0, 2.0), 0, None)) == 2.0
    both = (Side((1.0,), 0, None, (6.0,)), Side((1.0,), 0, None, (2.0,)))
    assert ratio(*both) == 1.0 and ratio(*both, work=True) == 3.0
    worked = in_turns({"rest": lambda: time.sleep(0.2)}, 1)["rest"]
    assert worked.work[0] < 0.1 < worked.seconds[0]


def test_a_side_that_takes_minutes_runs_once() -> None:
    calls: list[str] = []
    found = in_turns(
        {"slow": lambda: calls.append("slow"), "fast": lambda: calls.append("fast")}, 2, ("slow",)
    )
    assert calls == ["slow", "fast", "fast", "fast"]
    assert len(found["slow"].seconds) == 1 and len(found["fast"].seconds) == 2
    assert ratio(Side((6.0,), 0, None), Side((1.0, 3.0), 0, None)) == 3.0


def test_the_readouts_share_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sizes, "configs", lambda _: (sizes.vit(32, 1, 2), sizes.llama(32, 64, 1, 4, 2, 8192), CropSettings())
    )
    digit, pointing, _ = sizes.pair("small")
    apart = sizes.network("small", "digits")[0]
    assert digit.config.readout == "digits" and pointing.config.readout == "point"
    mine, theirs = dict(digit.named_parameters()), dict(pointing.named_parameters())
    for name, weight in apart.named_parameters():
        assert mine[name] is theirs[name] and torch.equal(mine[name], weight)
    assert not any(value.is_meta for value in digit.state_dict(keep_vars=True).values())
    assert not any(value.is_meta for value in digit.buffers())


def test_operations_are_counted_twice_a_multiply_add() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    flops, product = counted(lambda: a @ b)
    assert flops == 2 * 3 * 4 * 5 and torch.equal(product, a @ b)


def test_the_folder_is_made_of_files_that_say_how_they_are_run() -> None:
    for file in (Path(__file__).parents[1] / "benchmarks").glob("*.py"):
        text = file.read_text()
        if "__main__" in text:
            assert f"python -m benchmarks.{file.stem}" in text
