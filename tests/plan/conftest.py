"""Small networks of more than three layers, and settings that lead to them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import CLIPVisionConfig, Dinov2Config, LlamaConfig, LlavaConfig

from posetalk.model.files import make_config
from posetalk.model.posellm import PoseLLMConfig
from posetalk.settings import CropSettings, ModelSettings, TrainSettings
from posetalk.tune.settings import TuneSettings

NO_DATA = {"data": [{"annotations": "none", "images": "none"}]}


def text(vocabulary: int = 9000, layers: int = 5) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
    )


@pytest.fixture(scope="session")
def model_settings() -> ModelSettings:
    return ModelSettings(vision_encoder="vision", language_model="text", crop=CropSettings(size=112))


@pytest.fixture(scope="session")
def config(model_settings: ModelSettings) -> PoseLLMConfig:
    vision = Dinov2Config(
        hidden_size=48, num_hidden_layers=4, num_attention_heads=4, image_size=112, patch_size=14, mlp_ratio=2
    )
    return make_config(model_settings, vision, text())


@pytest.fixture(scope="session")
def train_settings(model_settings: ModelSettings) -> TrainSettings:
    given = {"model": model_settings.model_dump(mode="json"), "per_device_batch_size": 2, "bf16": False}
    return TrainSettings.check(NO_DATA | given, "test")


@pytest.fixture(scope="session")
def llava_config() -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=56,
        patch_size=14,
        projection_dim=48,
    )
    return LlavaConfig(
        vision_config=vision, text_config=text(400), image_token_index=399, image_seq_length=16
    )


@pytest.fixture(scope="session")
def tune_settings() -> TuneSettings:
    given: dict[str, Any] = {"data": [{"file": "none", "images": "none"}], "model": "none", "bf16": False}
    return TuneSettings.check(given | {"lora_rank": 4, "per_device_batch_size": 2}, "test")


def real(network: nn.Module) -> nn.Module:
    """A network of the meta device with numbers."""
    torch.manual_seed(0)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if not tensor.is_floating_point():
                tensor.zero_()
            elif tensor.ndim > 1:
                tensor.normal_(0, 0.05)
            else:
                tensor.fill_(0.5)
    return network
