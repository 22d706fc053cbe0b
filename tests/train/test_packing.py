"""Packed training is exactly training on separate questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.model.architectures import tiny_parts

from posetalk.model.files import build, conversation, load
from posetalk.skeleton import Keypoint
from posetalk.train.losses import IGNORE, forward_with_loss
from posetalk.train.packing import PackedSequence, collate, pack
from posetalk.train.target import Target

POINTS = [
    Keypoint("nose", "the tip of the nose"),
    Keypoint("left heel", "back of the foot"),
    Keypoint("chin"),
]
PLACES = [(0.1, 0.25), (0.7, 0.999), (0.4145, 0.0)]


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.fixture(params=["dinov2 llama", "llama 3.2", "qwen3", "smollm3", "smollm3 with windows"])
def network(request: pytest.FixtureRequest, tiny_model: Path, tmp_path: Path) -> tuple[Any, Any]:
    """A model and its tokenizer: scaled positions, norms of queries, a layer without positions or with a window."""
    if request.param == "dinov2 llama":
        return load(tiny_model)
    settings = tiny_parts(tmp_path, "dinov3", request.param.removesuffix(" with windows"))
    if "windows" in request.param:  # longer than a question with its image, shorter than the row
        config = tmp_path / "text" / "config.json"
        window = {"sliding_window": 180, "use_sliding_window": True, "layer_types": None}
        config.write_text(json.dumps(json.loads(config.read_text()) | window))
    return build(settings)


def test_block_packing_equals_separate_questions(network: tuple[Any, Any]) -> None:
    model, tokenizer = network
    talk, size = conversation(model.config, tokenizer), model.config.crop["size"]
    pixels = np.random.default_rng(0).standard_normal((2, 3, size, size)).astype(np.float32)
    asked = [[0, 1, 2], [2]]  # people with different numbers of keypoints, so that the batch is padded

    def packed(chosen: list[int]) -> PackedSequence:
        return pack(talk, [Target(POINTS[i], PLACES[i], True) for i in chosen])

    batch = collate([(pixels[i], packed(chosen)) for i, chosen in enumerate(asked)], pad=0)
    batch.pop("truth")
    together = forward_with_loss(model, batch).loss
    together.backward()
    packed_gradients = gradients(model)

    apart = torch.zeros(())
    answers = int((batch["labels"] != IGNORE).sum())
    for i, chosen in enumerate(asked):
        for one in chosen:
            single = pack(talk, [Target(POINTS[one], PLACES[one], True)], "chain")  # a plain causal sequence
            apart = (
                apart
                + forward_with_loss(
                    model,
                    {
                        "input_ids": torch.tensor([single.input_ids]),
                        "labels": torch.tensor([single.labels]),
                        "pixel_values": torch.from_numpy(pixels[i : i + 1]),
                    },
                    num_items_in_batch=answers,
                ).loss
            )
    apart.backward()
    separate_gradients = gradients(model)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
    assert packed_gradients.keys() == separate_gradients.keys()
    for name, gradient in separate_gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_chain_lets_later_questions_see_earlier_answers(tiny_model: Path) -> None:
    model, tokenizer = load(tiny_model)
    talk = conversation(model.config, tokenizer)

    def last_loss(first: tuple[float, float], packing: str) -> float:
        sequence = pack(talk, [Target(POINTS[0], first, True), Target(POINTS[1], PLACES[1], True)], packing)  # type: ignore[arg-type]
        batch = collate([(np.zeros((3, 56, 56), np.float32), sequence)], pad=0)
        batch.pop("truth")
        start = len(sequence.labels) - len(talk.answer.ids(0, 0))
        batch["labels"][:, :start] = IGNORE
        return float(forward_with_loss(model, batch).loss.detach())

    assert last_loss((0.1, 0.2), "block") == pytest.approx(last_loss((0.9, 0.8), "block"), abs=1e-6)
    assert abs(last_loss((0.1, 0.2), "chain") - last_loss((0.9, 0.8), "chain")) > 1e-6
