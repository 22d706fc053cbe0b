"""What the benchmarks compare answers alike, and what they count is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.measure import Side, counted, in_turns, ratio
from benchmarks.passes import cost, passes
from benchmarks.sides import careful, digits, places, point, reference
from benchmarks.sizes import randomise

from posetalk.locate.decode import read
from posetalk.model.files import build, conversation
from posetalk.model.posellm import PoseLLM
from posetalk.settings import ModelSettings
from posetalk.skeleton import skeleton

POINTS = skeleton("coco17").keypoints[:5]


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
    assert counted(run) == pytest.approx(plan.flops, rel=0.25 if side == "point" else 0.02)
    assert plan.passes == {"reference": 14, "careful": 14, "digits": 7, "point": 2}[side]


def test_sides_are_run_in_turns() -> None:
    calls: list[str] = []

    def side(name: str):
        return lambda: calls.append(name) or len(calls)

    found = in_turns({"a": side("a"), "b": side("b")}, 3)
    assert calls == ["a", "b"] * 4 and found["a"].answer == 7 and len(found["b"].seconds) == 3
    assert ratio(Side((4.0, 9.0, 2.0), 0, None), Side((2.0, 3.0, 2.0), 0, None)) == 2.0


def test_operations_are_counted_twice_a_multiply_add() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    assert counted(lambda: a @ b) == 2 * 3 * 4 * 5


def test_the_folder_is_made_of_files_that_say_how_they_are_run() -> None:
    for file in (Path(__file__).parents[1] / "benchmarks").glob("*.py"):
        text = file.read_text()
        if "__main__" in text:
            assert f"python -m benchmarks.{file.stem}" in text
