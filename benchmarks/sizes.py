"""The networks that are measured: the bundled one's parts, and larger ones with random weights."""

from __future__ import annotations

from typing import Any, Literal

import torch
from transformers import Dinov2Config, LlamaConfig, PreTrainedConfig

from posetalk.model.files import load, make_config
from posetalk.model.names import PRESETS
from posetalk.model.parts import part_config
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings, ModelSettings

LOUD = 3.0
Size = Literal["bundled", "small", "1b", "7b"]


def configs(size: Size) -> tuple[PreTrainedConfig, PreTrainedConfig, CropSettings]:
    """Vision tower, language model and crop of a size."""
    match size:
        case "bundled":
            config = load("bundled")[0].config
            return config.vision_config, config.text_config, CropSettings.check(config.crop, "bundled")
        case "small":  # DINOv2-S and SmolLM2-135M
            return vit(384, 12, 6), llama(576, 1536, 30, 9, 3, 49152), CropSettings()
        case "1b":  # DINOv2-L and Llama-3.2-1B
            return vit(1024, 24, 16), llama(2048, 8192, 16, 32, 8, 128256), CropSettings()
        case "7b":
            parts = PRESETS["posellm-7b"]
            return part_config(parts.vision_encoder), part_config(parts.language_model), CropSettings()


def vit(width: int, layers: int, heads: int) -> Dinov2Config:
    return Dinov2Config(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, image_size=518, patch_size=14
    )


def llama(width: int, inner: int, layers: int, heads: int, groups: int, words: int) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=words,
    )


def network(size: Size, readout: Literal["digits", "point"], device: str = "cpu") -> tuple[PoseLLM, Any]:
    """A network and its tokenizer: questions inline for `digits` (the papers'), read once for `point`.

    Weights are random from one seed; where the two readouts share parts they share weights.
    """
    vision, text, crop = configs(size)
    text.tie_word_embeddings = False  # tied random words would repeat the word before
    reading: Literal["inline", "once"] = "once" if readout == "point" else "inline"
    settings = ModelSettings(
        vision_encoder="-", language_model="-", crop=crop, readout=readout, reading=reading
    )
    tokenizer = load("bundled")[1]
    with torch.device(device):
        torch.manual_seed(0)
        model = PoseLLM(make_config(settings, vision, text)).eval()
        if device != "meta":
            randomise(model)
    return model, tokenizer


def pair(size: Size) -> tuple[PoseLLM, PoseLLM, Any]:
    """The networks for `digits` and `point`, with one set of weights in memory, and the tokenizer."""
    pointing, tokenizer = network(size, "point")
    digits, _ = network(size, "digits", device="meta")
    for part in ("vision_tower", "multi_modal_projector", "language_model"):
        setattr(digits.model, part, getattr(pointing.model, part))
    digits.lm_head = pointing.lm_head
    return digits, pointing, tokenizer


@torch.no_grad()
def randomise(model: PoseLLM) -> None:
    """Weights for which answers differ from question to question, the same for both readouts."""
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "point" not in name and "reader" not in name and weight.ndim > 1:
            weight.normal_(std=weight.shape[1:].numel() ** -0.5)
        if any(part in name for part in ("q_proj", "k_proj", "embed_tokens")):
            weight.mul_(LOUD)  # attention that chooses, and words that matter
