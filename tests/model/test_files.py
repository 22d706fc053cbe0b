"""Presets have the paper's sizes; saved models answer as they did before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from posetalk.errors import PosetalkError
from posetalk.model.adapters import set_trainable, trainable_parameters
from posetalk.model.files import build, load, make_config, save
from posetalk.model.names import PRESETS
from posetalk.model.parts import part_config
from posetalk.model.posellm import PoseLLM
from posetalk.settings import ModelSettings


@pytest.mark.parametrize(("name", "connector"), [("posellm-7b", 20_979_712), ("locllm-7b", 4_198_400)])
def test_presets_train_as_many_numbers_as_the_papers(name: str, connector: int) -> None:
    settings = PRESETS[name]
    config = make_config(settings, part_config(settings.vision_encoder), part_config(settings.language_model))
    with torch.device("meta"):
        model = set_trainable(PoseLLM(config), settings)
    assert trainable_parameters(model) == {
        "connector": connector,
        "readout": 0,
        "language_model": 4_194_304,
        "vision_encoder": 786_432,
    }


def test_merged_and_adapters_answer_alike(tiny_settings: ModelSettings, tmp_path: Path) -> None:
    model, tokenizer = build(tiny_settings)
    network = set_trainable(model, tiny_settings)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    save(network, tokenizer, tmp_path / "adapters", "adapters")
    save(network, tokenizer, tmp_path / "merged", "merged")
    assert not [*tmp_path.rglob("*.bin"), *tmp_path.rglob("*.pt")]
    logits = []
    for form in ("adapters", "merged"):
        loaded, _ = load(tmp_path / form)
        ids = torch.tensor([[0] + [loaded.config.image_token_id] * 16 + [5, 6]])
        with torch.no_grad():
            pixels = torch.linspace(-1, 1, 3 * 56 * 56).view(1, 3, 56, 56)
            logits.append(loaded(input_ids=ids, pixel_values=pixels).logits)
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-4)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(PosetalkError, match="not a PoseLLM"):
        load(tmp_path)


def test_the_connector_gets_the_last_norm_without_class_token(tiny_model: Path) -> None:
    model, _ = load(tiny_model)
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.model.vision_tower(pixels).last_hidden_state[:, 1:]
        found = model.model.get_image_features(pixels).last_hidden_state
    torch.testing.assert_close(found, expected)
    assert found.shape == (2, 16, 32)
