"""What is counted without numbers is what real networks compute and allocate: other tools measure those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from tests.plan.conftest import real
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from transformers import BertConfig, LlavaConfig

from posetalk.locate.decode import decode, heat_maps, prefill, read
from posetalk.model.posellm import PoseLLMConfig
from posetalk.plan import jobs
from posetalk.plan.count import Count
from posetalk.plan.memory import memory_of
from posetalk.plan.network import for_locating, for_training, for_tuning, words_of
from posetalk.settings import TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.tune.settings import TuneSettings

POINTS = load_skeleton("coco17").keypoints[:6]
aten = torch.ops.aten
# torch's counter has no formula for the kernel of CPUs, which computes the same products
CPU_ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: sdpa_flop_count(*shapes[:3]),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda *shapes, **_: sdpa_backward_flop_count(
        *shapes[:4]
    ),
}


def saved_bytes(network: nn.Module, step: Callable[[], object]) -> int:
    """Bytes of the storages that autograd keeps during a step, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)  # so that no address is given twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    return sum(size for address, size in storages.items() if address not in weights)


def peak_bytes(step: Callable[[], object]) -> int:
    """Largest number of bytes that torch's allocator had given out during a step."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def flops(step: Callable[[], object]) -> int:
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
        step()
    return counter.get_total_flops()


def train_step(settings: TrainSettings, config: PoseLLMConfig) -> tuple[nn.Module, Callable[[], Any], Any]:
    batch = jobs.training_batch(settings, config, words_of(config, None), POINTS)
    network = real(for_training(settings, config))
    jobs.with_gradients(network)
    pixels = torch.rand(len(batch["input_ids"]), 3, 112, 112)

    def forward() -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(settings.bf16)):
            return forward_with_loss(network, batch | {"pixel_values": pixels}, LossSettings()).loss

    return network, forward, batch


def assert_near(found: int, expected: int) -> None:
    assert expected > 0 and abs(found - expected) <= 0.05 * expected, (found, expected)


CASES = [
    {"packing": "block"},
    {"packing": "chain", "bf16": True},
    {"packing": "chain", "gradient_checkpointing": True},
    {"packing": "block", "bf16": True, "gradient_checkpointing": True},
]


@pytest.mark.parametrize("change", CASES, ids=lambda c: "-".join(map(str, c.values())))
def test_a_training_step_is_counted_as_it_runs(
    train_settings: TrainSettings, config: PoseLLMConfig, change: dict[str, Any]
) -> None:
    settings = train_settings.model_copy(update=change)
    network, forward, batch = train_step(settings, config)
    count = jobs.training_count(settings, config, batch)
    assert_near(count.saved, saved_bytes(network, forward))
    assert_near(count.peak, peak_bytes(lambda: forward().backward()))
    assert count.flops == flops(lambda: forward().backward())


def test_weights_gradients_and_optimiser_are_those_of_a_real_step(
    train_settings: TrainSettings, config: PoseLLMConfig
) -> None:
    network, forward, _ = train_step(train_settings, config)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    forward().backward()
    optimizer.step()

    def bytes_of(tensors: Any) -> int:
        return sum(t.numel() * t.element_size() for t in tensors)

    found = memory_of(for_training(train_settings, config), Count(0, 0, (0,), 0))
    assert found.weights == bytes_of([*network.parameters(), *network.buffers()])
    assert found.gradients == bytes_of(p.grad for p in trained)
    state = [v for values in optimizer.state.values() for k, v in values.items() if k != "step"]
    assert found.optimizer == bytes_of(state)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_tuning_step_is_counted_as_it_runs(
    tune_settings: TuneSettings, llava_config: LlavaConfig, checkpointing: bool
) -> None:
    from trl.trainer.utils import add_fused_lm_head

    settings = tune_settings.model_copy(update={"gradient_checkpointing": checkpointing})
    tokens, samples = 90, 2
    network = real(for_tuning(settings, llava_config))
    model = jobs.base(network)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    jobs.with_gradients(network)
    ids = torch.zeros(samples, tokens, dtype=torch.long)
    ids[:, :16] = llava_config.image_token_id
    labels = ids.masked_fill(ids > 0, -100)
    pixels = torch.rand(samples, 3, 56, 56)

    def forward() -> Any:
        out = network(input_ids=ids, pixel_values=pixels, labels=labels, fused_lm_head=True)
        return -out.log_probs.sum()

    count = jobs.tuning_count(settings, llava_config, tokens)
    assert_near(count.saved, saved_bytes(network, forward))
    assert_near(
        count.flops, flops(lambda: forward().backward())
    )  # the head runs over the image's tokens here


@pytest.mark.parametrize("readout", ["digits", "point"])
def test_locating_is_counted_as_it_runs(config: PoseLLMConfig, readout: Any) -> None:
    config = PoseLLMConfig.from_dict(config.to_dict() | {"cells": 4 if readout == "point" else 0})
    talk, people = words_of(config, None), 3
    model: Any = real(for_locating(config, torch.float32))
    pixels = torch.rand(people, 3, 112, 112)

    def locate() -> None:
        prefix = prefill(model, talk, pixels, cells=readout == "point")
        questions = read(model, talk, POINTS)
        if readout == "point":
            heat_maps(model, prefix, questions)
        else:
            decode(model, talk, prefix, questions, 3)

    count = jobs.locating_count(config, talk, POINTS, people, torch.float32, readout, 3)
    assert count.flops == flops(locate)
    assert_near(count.peak, peak_bytes(locate))
    tokens = len(talk.prefix) + sum(len(talk.question(point)) for point in POINTS)
    assert count.cache >= people * tokens * 5 * 2 * 64 * 4


def test_a_text_encoder_is_counted_as_if_every_question_were_new(
    train_settings: TrainSettings, config: PoseLLMConfig, tmp_path: Path
) -> None:
    """Vectors of known questions are kept in a run: the count is the first step's."""
    words = byte_tokenizer()
    words.save_pretrained(tmp_path)
    encoder = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    encoder.save_pretrained(tmp_path)
    model = train_settings.model.model_copy(update={"question_encoder": str(tmp_path), "reading": "once"})
    made = {"reading": "once", "readout": "point", "cells": 4}
    found = {"question": str(tmp_path), "question_config": encoder.to_dict()}
    apart = PoseLLMConfig.from_dict(config.to_dict() | made | found)
    settings = train_settings.model_copy(update={"model": model})
    network, forward, batch = train_step(settings, apart)

    def step() -> None:
        network.get_base_model().model.question_encoder._known.clear()
        forward().backward()

    count = jobs.training_count(settings, apart, batch)
    assert count.flops == flops(step)
    assert_near(count.peak, peak_bytes(step))
    without = jobs.training_count(settings, PoseLLMConfig.from_dict(config.to_dict() | made), batch)
    assert without.flops != count.flops
