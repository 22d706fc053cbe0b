"""What is known of published parts: they count what their publishers count, and a network of them fits together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen3NextConfig,
    SiglipConfig,
    SiglipModel,
    SmolLM3Config,
    ViTConfig,
)

from posetalk.errors import PosetalkError
from posetalk.model.files import image_tokens, load_part, make_config
from posetalk.model.parts import context_size, encoder_config, known_crop, known_parts, part_config
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings, ModelSettings

# Parameters (tied ones once) as the hub counts the published weights, or as those who loaded them report.
ENCODERS = {  # and the tokens of the known crop
    "facebook/dinov2-large": (304_368_640, 256),
    "facebook/dinov2-with-registers-large": (304_372_736, 256),
    "facebook/dinov3-vitl16-pretrain-lvd1689m": (303_129_600, 256),
    "facebook/dinov3-convnext-tiny-pretrain-lvd1689m": (27_820_128, 256),
}
PAIRS = {  # of encoders, of images and of texts, with the latter's vocabulary of 256,000
    "google/siglip2-base-patch16-224": (375_187_970, 196),
    "google/siglip2-so400m-patch14-384": (1_136_008_498, 729),
}
LANGUAGE_MODELS = {
    "lmsys/vicuna-7b-v1.5": 6_738_415_616,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
}


def count(model_class: Any, config: PreTrainedConfig) -> int:
    with torch.device("meta"):
        model = model_class.from_config(config)
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_known_part_is_counted_here() -> None:
    known = known_parts()
    assert set(known["vision_encoders"]) == {*ENCODERS, *PAIRS}
    assert set(known["language_models"]) == set(LANGUAGE_MODELS)


@pytest.mark.parametrize(("name", "published"), [(n, p) for n, (p, _) in ENCODERS.items()])
def test_an_encoder_has_the_published_number_of_parameters(name: str, published: int) -> None:
    assert count(AutoModel, part_config(name)) == published


@pytest.mark.parametrize(("name", "published"), [(n, p) for n, (p, _) in PAIRS.items()])
def test_a_pair_of_encoders_has_the_published_number(name: str, published: int) -> None:
    vision = part_config(name)
    widths = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    text = {key: getattr(vision, key) for key in widths} | {"vocab_size": 256_000}
    assert count(AutoModel, SiglipConfig(vision_config=vision.to_dict(), text_config=text)) == published


@pytest.mark.parametrize(("name", "published"), LANGUAGE_MODELS.items())
def test_a_language_model_has_the_published_number_of_parameters(name: str, published: int) -> None:
    assert count(AutoModelForCausalLM, part_config(name)) == published


@pytest.mark.parametrize(("name", "tokens"), [(n, t) for n, (_, t) in (ENCODERS | PAIRS).items()])
def test_the_known_crop_is_whole_patches(name: str, tokens: int) -> None:
    crop = CropSettings(**known_crop(name))
    config = encoder_config(part_config(name))
    assert image_tokens(config, crop.size) == tokens
    patch = getattr(config, "patch_size", 32)
    assert crop.size % patch == 0


NETWORKS = [
    ("facebook/dinov3-vitl16-pretrain-lvd1689m", "Qwen/Qwen3-0.6B"),
    ("google/siglip2-so400m-patch14-384", "meta-llama/Llama-3.2-1B"),
    ("facebook/dinov3-convnext-tiny-pretrain-lvd1689m", "HuggingFaceTB/SmolLM3-3B"),
    ("facebook/dinov2-with-registers-large", "Qwen/Qwen3-8B"),
]


@pytest.mark.parametrize(("vision", "text"), NETWORKS)
def test_a_network_of_known_parts_is_its_parts_and_a_connector(vision: str, text: str) -> None:
    settings = ModelSettings(
        vision_encoder=vision, language_model=text, crop=CropSettings(**known_crop(vision))
    )
    config = make_config(settings, part_config(vision), part_config(text))
    with torch.device("meta"):
        model = PoseLLM(config)
    model.tie_weights()
    v, t = config.vision_config.hidden_size, config.text_config.hidden_size
    connector = (v + 1) * t + (t + 1) * t
    encoder = count(AutoModel, encoder_config(part_config(vision)))
    assert sum(p.numel() for p in model.parameters()) == encoder + LANGUAGE_MODELS[text] + connector
    assert config.image_token_id == config.text_config.vocab_size  # no word of the tokenizer's, padded or not


def test_a_crop_of_another_encoder_is_nobodys() -> None:
    assert known_crop("somebody/encoder") == {}


def test_a_folder_is_read_even_where_it_is_called_like_a_known_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LlamaConfig(hidden_size=64).save_pretrained("Qwen/Qwen3-8B")
    assert part_config("Qwen/Qwen3-8B").model_type == "llama"


def test_other_names_are_asked_for_and_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="there is no folder"):
        part_config(str(tmp_path / "none" / "such"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing of this kind"}))
    with pytest.raises(PosetalkError, match="cannot load the configuration"):
        part_config(str(tmp_path))


def test_what_is_handed_out_does_not_change_what_is_known() -> None:
    part_config("meta-llama/Llama-3.1-8B").rope_parameters["factor"] = 1.0
    known_crop("google/siglip2-base-patch16-224")["size"] = 1
    assert part_config("meta-llama/Llama-3.1-8B").rope_parameters["factor"] == 8.0
    assert known_crop("google/siglip2-base-patch16-224")["size"] == 224


def test_an_encoder_is_taken_without_what_it_is_not_asked_for() -> None:
    dino = part_config("facebook/dinov3-vitl16-pretrain-lvd1689m")
    assert dino.pos_embed_rescale == 2.0 and encoder_config(dino).pos_embed_rescale is None
    pair = SiglipConfig(vision_config={"hidden_size": 96})
    assert encoder_config(pair).hidden_size == 96 and not encoder_config(pair).vision_use_head
    assert pair.vision_config.vision_use_head


def small(config_class: type[PreTrainedConfig], **more: Any) -> PreTrainedConfig:
    return config_class(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=1, **more,
    )  # fmt: skip


WINDOWS = [  # of 16 image tokens
    (small(LlamaConfig, max_position_embeddings=512), 512),
    (small(MistralConfig, sliding_window=4096, max_position_embeddings=32768), 4096),
    (small(MistralConfig, sliding_window=None, max_position_embeddings=32768), 32768),
    (small(Gemma2Config, sliding_window=1024), 1024),
    (small(SmolLM3Config, sliding_window=8, pad_token_id=0), 32768),  # no layer uses it
    (small(SmolLM3Config, sliding_window=512, use_sliding_window=True, pad_token_id=0), 512),
]


@pytest.mark.parametrize(("text", "size"), WINDOWS)
def test_the_shortest_view_limits_a_question(text: PreTrainedConfig, size: int) -> None:
    assert context_size(text) == size


REFUSED = [
    (small(MistralConfig, sliding_window=100), "look back 100 tokens, and an image takes 16"),
    (small(SmolLM3Config, sliding_window=64, use_sliding_window=True, pad_token_id=0), "look back 64 tokens"),
    (small(Qwen3NextConfig), "layers of the kind linear_attention"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_a_language_model_that_would_not_see_the_image_is_refused(text: PreTrainedConfig, says: str) -> None:
    vision = ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64)
    with pytest.raises(PosetalkError, match=says):
        make_config(ModelSettings(crop=CropSettings(size=64)), vision, text)


def test_the_encoder_of_images_is_loaded_out_of_a_pair(tmp_path: Path) -> None:
    small_encoder = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    pair = SiglipModel(
        SiglipConfig(
            vision_config=small_encoder | {"image_size": 64, "patch_size": 16},
            text_config=small_encoder | {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        )
    )  # fmt: skip
    pair.save_pretrained(tmp_path)
    wanted = encoder_config(AutoConfig.from_pretrained(tmp_path))
    encoder = load_part(AutoModel, str(tmp_path), "vision tower", config=wanted).eval()
    names = {name for name, _ in encoder.named_parameters()}
    assert not [name for name in names if "head" in name or "text" in name]
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = encoder(pixels).last_hidden_state
        expected = pair.eval().vision_model(pixels).last_hidden_state
    torch.testing.assert_close(found, expected)
