"""Networks of today's parts learn, answer, and answer the same from their folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.model.architectures import SIZE, tiny_parts
from transformers import PhiConfig, PhiForCausalLM

from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.model.adapters import set_trainable
from posetalk.model.files import build, conversation, load, save
from posetalk.skeleton import Keypoint
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target
from posetalk.types import Box

POINTS = [
    Keypoint("nose", "the tip of the nose"),
    Keypoint("left heel"),
    Keypoint("chin", "its lowest point"),
]
PLACES = [(0.1, 0.25), (0.7, 0.999), (0.4145, 0.0)]

NETWORKS = [
    ("dinov3", "qwen3", "digits", "inline"),
    ("dinov3", "smollm3", "point", "once"),
    ("registers", "qwen3", "point", "once"),
    ("siglip", "llama 3.2", "digits", "once"),
    ("siglip", "llama", "point", "inline"),
    ("dinov3 convnext", "smollm3", "digits", "inline"),
]


def batch_of(model: Any, tokenizer: Any) -> dict[str, Any]:
    talk, readout = conversation(model.config, tokenizer), model.config.readout
    targets = [Target(p, xy, True) for p, xy in zip(POINTS, PLACES, strict=True)]
    pixels = np.random.default_rng(0).standard_normal((2, 3, SIZE, SIZE)).astype(np.float32)
    rows = [pack(talk, targets, readout=readout), pack(talk, targets[1:], readout=readout)]
    batch = collate(list(zip(pixels, rows, strict=True)), pad=1, readout=readout)
    batch.pop("truth")
    return batch


def answers(model: Any, tokenizer: Any) -> np.ndarray:
    picture = np.random.default_rng(1).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    localizer = Localizer(model, tokenizer).set_image(picture)
    poses = localizer.locate([Box(5, 5, 60, 70), Box(20, 10, 40, 60)], POINTS)
    assert np.isfinite(poses.xy).all() and poses.xy.shape == (2, 3, 2)
    return poses.xy


@pytest.mark.parametrize(("vision", "text", "readout", "reading"), NETWORKS)
def test_it_learns_and_answers_the_same_from_its_folder(
    tmp_path: Path, vision: str, text: str, readout: str, reading: str
) -> None:
    frozen = {"tune_vision_encoder": "frozen"} if "convnext" in vision else {}  # has no layer for LoRA
    settings = tiny_parts(tmp_path, vision, text, readout=readout, reading=reading, **frozen)
    model, tokenizer = build(settings)
    tied = text != "llama"
    assert (model.lm_head.weight is model.get_input_embeddings().weight) is tied
    network = set_trainable(model, settings)
    batch = batch_of(model, tokenizer)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.003)
    network.train()
    losses = []
    for _ in range(3):
        loss = forward_with_loss(network, batch, LossSettings(heatmap_sigma=0.1)).loss
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    assert losses[2] < losses[0]
    learned = [name for name, p in network.named_parameters() if "lora_B" in name and p.any()]
    assert any("language_model" in name for name in learned)
    assert any("vision_tower" in name for name in learned) is not bool(frozen)

    network.eval()
    save(network, tokenizer, tmp_path / "adapters", "adapters")
    save(network, tokenizer, tmp_path / "merged", "merged")  # merges LoRA into `model`
    expected = answers(model, tokenizer)
    for form in ("merged", "adapters"):
        loaded, its_tokenizer = load(tmp_path / form)
        assert (loaded.lm_head.weight is loaded.get_input_embeddings().weight) is tied
        np.testing.assert_allclose(answers(loaded, its_tokenizer), expected, atol=1e-3)
    with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as weights:
        keys = list(weights.keys())
    assert sum("lm_head" in key or "embed_tokens" in key for key in keys) == (1 if tied else 2)
    assert not [key for key in keys if "text_model" in key or ".head." in key]


@pytest.mark.parametrize("vision", ["dinov3", "registers", "siglip"])
def test_lora_finds_query_and_value_of_every_layer(tmp_path: Path, vision: str) -> None:
    settings = tiny_parts(tmp_path, vision, "qwen3")
    network = set_trainable(build(settings)[0], settings)
    adapted = [name for name, _ in network.named_parameters() if "lora_A" in name]
    assert sum("vision_tower" in name for name in adapted) == 2 * 2
    assert sum("language_model" in name for name in adapted) == 2 * 2


def test_lora_on_a_convolutional_encoder_is_refused(tmp_path: Path) -> None:
    settings = tiny_parts(tmp_path, "dinov3 convnext", "qwen3")
    with pytest.raises(
        PosetalkError, match=r"LoRA finds no layer called q_proj.* in the vision_tower; choose"
    ):
        set_trainable(build(settings)[0], settings)


@pytest.mark.parametrize("vision", ["dinov3", "registers", "siglip", "dinov3 convnext"])
def test_training_and_answering_see_the_same_patches(tmp_path: Path, vision: str) -> None:
    model, _ = build(tiny_parts(tmp_path, vision, "llama"))
    pixels = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        learned = model.train().model.vision_output(pixels).last_hidden_state
        asked = model.eval().model.vision_output(pixels).last_hidden_state
        every = model.model.vision_tower(
            pixels, **({"interpolate_pos_encoding": True} if vision == "siglip" else {})
        )
    torch.testing.assert_close(learned, asked)
    first = {"dinov3": 4, "registers": 4, "siglip": 0, "dinov3 convnext": 1}[
        vision
    ]  # class, registers, pooled
    torch.testing.assert_close(asked, every.last_hidden_state[:, first:])
    assert asked.shape[1] == (4 if "convnext" in vision else 16) == model.config.image_seq_length


def test_a_patch_moved_in_the_image_moves_among_the_tokens(tmp_path: Path) -> None:
    """SigLIP's positions, interpolated from 3 x 3 to 4 x 4, keep rows and columns apart."""
    model, _ = build(tiny_parts(tmp_path, "siglip", "llama"))
    positions = model.model.vision_tower.embeddings
    with torch.no_grad():
        positions.patch_embedding.weight.zero_()
        positions.position_embedding.weight.zero_()
        positions.position_embedding.weight[2] = 1.0  # the top right of 3 x 3
        seen = positions(torch.zeros(1, 3, SIZE, SIZE), interpolate_pos_encoding=True)[0, :, 0].view(4, 4)
    assert seen.argmax() == 3  # the top right of 4 x 4


def test_a_head_with_a_bias_is_refused(tmp_path: Path) -> None:
    settings = tiny_parts(tmp_path, "dinov3", "llama")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    PhiForCausalLM(PhiConfig(**small, vocab_size=258)).save_pretrained(tmp_path / "text")
    with pytest.raises(PosetalkError, match="has a bias, which a PoseLLM does not save; choose another"):
        build(settings)


def test_an_encoder_that_wants_more_than_pixels_is_refused(tmp_path: Path) -> None:
    settings = tiny_parts(tmp_path, "siglip", "llama")
    config = json.loads((tmp_path / "vision" / "config.json").read_text())
    config["model_type"] = "siglip2"  # NaFlex: of patches that are cut out before
    config["vision_config"] = {
        **config["vision_config"],
        "model_type": "siglip2_vision_model",
        "num_patches": 9,
    }
    config["text_config"]["model_type"] = "siglip2_text_model"
    (tmp_path / "vision" / "config.json").write_text(json.dumps(config))
    with pytest.raises(PosetalkError, match="cannot load the vision encoder"):
        build(settings)
