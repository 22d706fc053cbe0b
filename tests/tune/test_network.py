"""What is trained, at which rate, and the 7B recipe by its shapes; nothing of 7B is loaded or run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import get_peft_model
from tests.tune.conftest import tiny, tiny_llava
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from posetalk.errors import PosetalkError
from posetalk.model.files import make_config
from posetalk.model.names import PRESETS
from posetalk.model.parts import part_config
from posetalk.model.posellm import PoseLLM
from posetalk.settings import Settings
from posetalk.tune.network import load_for_tuning, lora_config, parameter_counts, parameter_groups, part_of
from posetalk.tune.presets import Preset, preset
from posetalk.tune.settings import Method, TuneSettings

FSDP = Path(__file__).parents[2] / "runs" / "fsdp.yaml"
DATA = {"data": [{"file": "x.json", "images": "x"}]}


def recipe(name: Preset, method: Method | None = None) -> TuneSettings:
    return TuneSettings.check(preset(name, method) | DATA, name)


@pytest.fixture(scope="module")
def big() -> Any:
    """LLaVA-1.5-7B without numbers: Vicuna-7B, CLIP ViT-L/14 at 336 px, a two-layer connector; 32,064 words."""
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
        max_position_embeddings=4096,
    )  # fmt: skip
    with torch.device("meta"):
        return LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text))


CONNECTOR = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
# query, key, value, output: 4096 x 4096; gate, up, down: 4096 x 11008; r (in + out) numbers each
ADAPTERS = 32 * 128 * (4 * (4096 + 4096) + 3 * (4096 + 11008))


def test_fsdp_wraps_the_layers_of_the_7b_networks(big: Any) -> None:
    """accelerate refuses a name that a network does not have, so that training names its own."""
    of_tuning = yaml.safe_load(FSDP.read_text())["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"]
    [of_training] = re.findall(r"--fsdp_transformer_layer_cls_to_wrap (\S+)", FSDP.read_text())
    with torch.device("meta"):
        recipe = PRESETS["posellm-7b"]
        parts = (part_config(recipe.vision_encoder), part_config(recipe.language_model))
        pointer = PoseLLM(make_config(recipe, *parts))
    for network, wrapped, encoder in (
        (big, of_tuning, "CLIPEncoderLayer"),
        (pointer, of_training, "Dinov2Layer"),
    ):
        layers = [type(module).__name__ for module in network.modules()]
        assert {name: layers.count(name) for name in wrapped.split(",")} == {
            "LlamaDecoderLayer": 32,
            encoder: 24,
        }


def test_accelerate_takes_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(FSDP))
    assert found.distributed_type == "FSDP" and found.num_processes == 8 and found.mixed_precision == "bf16"


def test_the_7b_recipe_trains_these_numbers(big: Any) -> None:
    settings = recipe("llava-1.5-7b")
    assert (settings.method, settings.lora_rank, settings.lora_alpha) == ("lora", 128, 256)
    assert (settings.learning_rate, settings.connector_learning_rate) == (2e-4, 2e-5)
    assert (settings.batch_size, settings.epochs, settings.warmup_ratio, settings.weight_decay) == (
        128,
        1,
        0.03,
        0,
    )
    with torch.device("meta"):
        tuned = get_peft_model(big, lora_config(big, settings))
    found = parameter_counts(tuned)
    assert found["connector"] == CONNECTOR == 20_979_712
    assert found["language"] == ADAPTERS == 319_815_680
    assert not [n for n, p in tuned.named_parameters() if p.requires_grad and part_of(n) == "rest"]
    [language, connector, biases] = parameter_groups(tuned, settings)
    assert (language["lr"], connector["lr"], biases["lr"]) == (2e-4, 2e-5, 2e-5)
    assert sum(p.numel() for p in language["params"]) == ADAPTERS


@pytest.mark.parametrize(
    ("name", "method", "rates"),
    [
        ("llava-1.5-7b", "full", (2e-5, 2e-5)),
        ("llava-1.5-7b", "qlora", (2e-4, 2e-5)),
        ("bundled", None, (1e-4, 1e-4)),
        ("bundled", "lora", (5e-4, 1e-4)),
        ("tiny", None, (1e-3, 1e-3)),
    ],
)
def test_a_recipes_rates_are_its_methods(
    name: Preset, method: Method | None, rates: tuple[float, float]
) -> None:
    settings = recipe(name, method)
    assert (settings.learning_rate, settings.connector_learning_rate) == rates
    assert settings.batch_size % settings.per_device_batch_size == 0


def test_all_weights_but_the_towers_are_trained_with_decay_where_it_belongs(llava: Path, talk: Path) -> None:
    settings = tiny(
        llava, talk, method="full", learning_rate=1e-3, connector_learning_rate=1e-4, weight_decay=0.1
    )
    model, _ = load_for_tuning(settings)
    of = {
        id(parameter): group for group in parameter_groups(model, settings) for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == ("vision_tower" not in name) == (id(parameter) in of), name
        if parameter.requires_grad:
            group = of[id(parameter)]
            assert group["lr"] == (1e-4 if "projector" in name else 1e-3)
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0)


def test_targets_choose_the_layers(llava: Path, talk: Path) -> None:
    model, _ = load_for_tuning(tiny(llava, talk, lora_target_modules=("q_proj", "self_attn.v_proj")))
    adapted = {
        name.split(".lora_A")[0].split(".")[-1] for name, _ in model.named_parameters() if "lora_A" in name
    }
    assert adapted == {"q_proj", "v_proj"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"lora_target_modules": ("query",)}, "lora_target_modules query name no linear layer"),
        ({"method": "qlora"}, "needs the package bitsandbytes"),
        ({"model": "/nowhere"}, "no processor at /nowhere"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(
    more: Any, reason: str, llava: Path, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(PosetalkError, match=reason):
        load_for_tuning(tiny(llava, talk, **more))


def test_pad_is_for_llavas_pictures(talk: Path, tmp_path: Path) -> None:
    from transformers import SiglipImageProcessorPil

    model, processor = tiny_llava()
    processor.image_processor = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(PosetalkError, match="pad_to_square is for LLaVA's images"):
        load_for_tuning(tiny(tmp_path, talk, pad_to_square=True))


def test_a_language_model_alone_is_refused(tiny_parts: tuple[Path, Path], talk: Path) -> None:
    with pytest.raises(PosetalkError, match="processor"):
        load_for_tuning(tiny(tiny_parts[1], talk))


def test_settings_are_saved_whole(talk: Path, tmp_path: Path) -> None:
    settings = recipe("llava-1.5-7b", "full")
    settings.save(tmp_path / "run.toml")
    given, saved = (one.model_dump() for one in (settings, TuneSettings.load(tmp_path / "run.toml")))
    assert saved.pop("data") == tuple(
        {name: str(Path(path).resolve()) for name, path in source.items()} for source in given.pop("data")
    )
    assert saved == given and isinstance(settings, Settings)
