"""Tiny models of the architectures that parts.toml names: their own classes, two layers, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tests.conftest import byte_tokenizer
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    Dinov2WithRegistersConfig,
    DINOv3ConvNextConfig,
    DINOv3ViTConfig,
    LlamaConfig,
    PreTrainedConfig,
    Qwen3Config,
    SiglipConfig,
    SmolLM3Config,
)

from posetalk.settings import CropSettings, LoraSettings, ModelSettings

SIZE = 64
_SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TEXT = {**_SMALL, "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 1}
_WORDS = 258  # of the byte tokenizer


def encoder_of(name: str) -> PreTrainedConfig:
    """A vision encoder for 64 px: 16 tokens, but for the ConvNeXt's 4."""
    match name:
        case "registers":
            return Dinov2WithRegistersConfig(
                **(_SMALL | {"mlp_ratio": 2}), image_size=56, patch_size=16, num_register_tokens=3
            )
        case "dinov3":
            return DINOv3ViTConfig(**_SMALL, image_size=SIZE, patch_size=16, num_register_tokens=3)
        case "dinov3 convnext":
            return DINOv3ConvNextConfig(hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1])
        case "siglip":  # of 48 px: its 9 positions are interpolated to 16
            vision = {**_SMALL, "image_size": 48, "patch_size": 16}
            text = {**_SMALL, "vocab_size": 40, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
            return SiglipConfig(vision_config=vision, text_config=text)
        case _:
            raise KeyError(name)


def language_model_of(name: str) -> PreTrainedConfig:
    """A language model with grouped queries and what its family has beside."""
    match name:
        case "llama":
            return LlamaConfig(**_TEXT, vocab_size=_WORDS)
        case "llama 3.2":  # scaled positions; the head's weights are the word embeddings'
            scaled = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
            scaled |= {"original_max_position_embeddings": 64, "rope_theta": 5e5, "rope_type": "llama3"}  # type: ignore[dict-item]
            return LlamaConfig(
                **_TEXT, vocab_size=_WORDS, tie_word_embeddings=True, rope_parameters=scaled, head_dim=8
            )
        case "qwen3":  # norms of queries and keys, heads wider than the model, rows behind the vocabulary
            return Qwen3Config(**_TEXT, vocab_size=_WORDS + 62, head_dim=12, tie_word_embeddings=True)
        case "smollm3":  # its second layer knows no positions
            return SmolLM3Config(
                **_TEXT, vocab_size=_WORDS, no_rope_layers=[1, 0], pad_token_id=None, tie_word_embeddings=True
            )
        case _:
            raise KeyError(name)


def tiny_parts(folder: Path, vision: str, text: str, **settings: Any) -> ModelSettings:
    """Save a vision encoder and a language model with its tokenizer; the settings of a network of them."""
    torch.manual_seed(0)
    AutoModel.from_config(encoder_of(vision)).save_pretrained(folder / "vision")
    AutoModelForCausalLM.from_config(language_model_of(text)).save_pretrained(folder / "text")
    byte_tokenizer().save_pretrained(folder / "text")
    return ModelSettings(
        vision_encoder=str(folder / "vision"),
        language_model=str(folder / "text"),
        crop=CropSettings(size=SIZE),
        lora=LoraSettings(dropout=0.0),
        **settings,
    )
