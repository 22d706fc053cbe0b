"""Networks of the meta device, as the product builds them from the same settings."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    PreTrainedConfig,
)

from posetalk.errors import PosetalkError
from posetalk.model.adapters import set_trainable, with_default_tuning
from posetalk.model.files import conversation, load_part, make_config
from posetalk.model.machine import frozen_dtype
from posetalk.model.parts import part_config
from posetalk.model.posellm import PoseLLM, PoseLLMConfig
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.file_tokenizer import QUESTION_TOKENIZER, question_tokenizer
from posetalk.resources import BUNDLED, model_path
from posetalk.settings import ModelSettings, TrainSettings
from posetalk.skeleton import Keypoint
from posetalk.train.steps import checkpoint_activations
from posetalk.tune.files import model_folder
from posetalk.tune.network import freeze
from posetalk.tune.settings import TuneSettings

LLAVA = "llava-hf/llava-1.5-7b-hf"
# LLaMA-2's tokenizer makes 795 tokens of our questions about COCO's 17 keypoints, the bundled one 739.
_MORE_TOKENS = 795 / 739


def posellm_config(settings: TrainSettings) -> PoseLLMConfig:
    """The configuration of the network of a training run.

    Raises:
        PosetalkError: a model or part that is not there.
    """
    model = settings.model or ModelSettings()
    if settings.start:
        config = load_part(AutoConfig, model_path(settings.start), "model")
        if not isinstance(config, PoseLLMConfig):
            raise PosetalkError(
                f"{settings.start} is a {config.model_type} model, not a PoseLLM; build one with posetalk train"
            )
        return config
    if not (model.vision_encoder and model.language_model):
        raise PosetalkError("a network has a vision encoder and a language model; name both, or a model")
    config = make_config(model, part_config(model.vision_encoder), part_config(model.language_model))
    if model.question_encoder:
        config.question, config.question_config = model.question_encoder, part_config(model.question_encoder)
    return config


def llava_config(settings: TuneSettings) -> Any:
    """The configuration of the model that is tuned.

    Raises:
        PosetalkError: no such model, one that is not built as LLaVA.
    """
    if settings.model == LLAVA:
        return LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=24,
                num_attention_heads=16,
                image_size=336,
                patch_size=14,
                projection_dim=768,
            ),
            text_config=LlamaConfig(vocab_size=32064, max_position_embeddings=4096),
            image_token_index=32000,
        )
    config = load_part(AutoConfig, model_folder(settings.model), "vision-language model")
    if config.model_type != "llava":
        raise PosetalkError(
            f"{settings.model} is a {config.model_type} model; plan counts models built as LLaVA"
        )
    return config


def shortened(config: Any, vision: int, text: int) -> Any:
    """The same network with fewer layers."""
    config = deepcopy(config)
    for part, layers in ((config.vision_config, vision), (config.text_config, text)):
        before = depth(part)
        if before:
            for key, value in vars(part).items():
                if isinstance(value, list) and len(value) == before:
                    setattr(part, key, value[:layers])
            part.num_hidden_layers = layers
    return config


def depth(part: PreTrainedConfig) -> int:
    """How many layers of one kind a part has; 0 where they differ."""
    layers = int(getattr(part, "num_hidden_layers", 0) or 0)
    lists = [v for v in vars(part).values() if isinstance(v, list) and len(v) == layers]
    return 0 if any(value != values[0] for values in lists for value in values) else layers


def for_training(settings: TrainSettings, config: PoseLLMConfig) -> nn.Module:
    """The network of a training run on the meta device, with its adapters, in its dtypes."""
    model_settings = settings.model or ModelSettings()
    with torch.device("meta"):
        model = PoseLLM(config)
        if settings.start:
            model_settings = with_default_tuning(model, model_settings)
        lowered(model, language_model_dtype(settings, model_settings))
        network: nn.Module = set_trainable(model, model_settings)
    if settings.gradient_checkpointing:
        checkpoint_activations(network)
    return network.train()


def for_tuning(settings: TuneSettings, config: Any) -> nn.Module:
    """The network of a tuning run on the meta device, with its adapters, in its dtypes."""
    dtype = _frozen_dtype(settings.language_model_dtype, settings.bf16, settings.method == "full")
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config).to(dtype)
        if settings.method == "qlora":
            settings = settings.model_copy(update={"method": "lora"})
        network: nn.Module = freeze(model, settings)
    return network.train()


def quantised(network: nn.Module) -> list[torch.Tensor]:
    """The weights that bitsandbytes holds in few bits: those of the language model's linear layers."""
    return [
        module.weight
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and ".language_model." in f".{name}." and "lora_" not in name
    ]


def for_locating(config: PoseLLMConfig, dtype: torch.dtype) -> PoseLLM:
    """The network that is asked, on the meta device."""
    with torch.device("meta"):
        model = PoseLLM(config)
        lowered(model, dtype).requires_grad_(False).eval()
    return model


def lowered(model: PoseLLM, dtype: torch.dtype) -> PoseLLM:
    """The network with its language model in `dtype`; the other parts stay in float32."""
    model.model.language_model.to(dtype)
    model.lm_head.to(dtype)
    return model


def language_model_dtype(settings: TrainSettings, model: ModelSettings) -> torch.dtype:
    """As a training run on a GPU holds the language model's weights."""
    return _frozen_dtype(settings.language_model_dtype, settings.bf16, model.tune_language_model == "layers")


def _frozen_dtype(
    dtype: Literal["float32", "bfloat16"] | None, bf16: bool | None, trains_layers: bool
) -> torch.dtype:
    """`frozen_dtype` on a machine with a GPU."""
    return frozen_dtype(dtype or ("float32" if bf16 is False else "bfloat16"), bf16, trains_layers)


class _Longer(Conversation):
    """The bundled model's words in place of LLaMA-2's, which are shorter."""

    def question(self, keypoint: Keypoint, *, first: bool = True) -> tuple[int, ...]:
        words = super().question(keypoint, first=first)
        if self.question_tokenizer is not None:
            return words
        return words + words[:1] * (round(len(words) * _MORE_TOKENS) - len(words))


def words_of(config: PoseLLMConfig, name: str | None) -> Conversation:
    """How the network is asked. name: a folder with its tokenizer; else the bundled model's words stand in for it."""
    reader = None if config.question_config is None else _reader_words(config, name)
    if name and Path(name).is_dir():
        return conversation(config, load_part(AutoTokenizer, name, "tokenizer"), reader)
    talk = conversation(config, load_part(AutoTokenizer, str(BUNDLED), "tokenizer"), reader)
    talk.__class__ = _Longer
    return talk


def _reader_words(config: PoseLLMConfig, name: str | None) -> Tokenizer:
    """Of the text encoder that reads questions: the network's own, the encoder's folder's, or the bundled model's."""
    own, part = Path(name or "", QUESTION_TOKENIZER), Path(config.question or "", "tokenizer.json")
    return question_tokenizer(
        next((file for file in (own, part) if file.is_file()), BUNDLED / QUESTION_TOKENIZER)
    )


def kind_of(folder: Path) -> str:
    """What config.json of a model folder calls it. Raises PosetalkError: it cannot be read."""
    try:
        return str(json.loads((folder / "config.json").read_bytes()).get("model_type"))
    except (OSError, ValueError, AttributeError, RecursionError):
        raise PosetalkError(
            f"{folder} holds no model that can be read; give a model folder or a TOML file"
        ) from None
