"""The model that is tuned: its parts by name, which of them are trained, and at which learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from posetalk.errors import PosetalkError
from posetalk.model.adapters import train_in_float32
from posetalk.model.files import load_part
from posetalk.model.machine import frozen_dtype
from posetalk.model.quantization import quantized
from posetalk.train.steps import checkpoint_activations
from posetalk.tune.files import model_folder, processor_of
from posetalk.tune.settings import TuneSettings

# What transformers calls the part between image and language: LLaVA and most others; SmolVLM, Idefics; Qwen.
CONNECTORS = ("multi_modal_projector", "connector", "merger")
LANGUAGE = "language_model"
HEAD = "lm_head"


def load_for_tuning(settings: TuneSettings) -> tuple[Any, Any]:
    """The model, with what is not trained frozen, and its processor.

    Raises:
        PosetalkError: no such model, one without the parts, qlora without bitsandbytes, targets that name no layer.
    """
    folder = resolved_model(settings.model)
    processor = processor_of(folder)
    if settings.pad_to_square:
        _pad_to_square(processor)
    model = _load(settings, folder)
    check_parts(model, settings.model)
    return freeze(model, settings), processor


def freeze(model: Any, settings: TuneSettings) -> Any:
    """The model with what is not trained frozen, and adapters on it where the method says so.

    Raises:
        PosetalkError: targets that name no layer.
    """
    if settings.method == "full":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part_of(name) != "rest")
    else:
        model = get_peft_model(model, lora_config(model, settings))
    train_in_float32(model)
    if settings.gradient_checkpointing:
        checkpoint_activations(model)
    return model


def resolved_model(name: str) -> str:
    """A folder, whole, since adapters remember where their model lies, or a hub id."""
    folder = model_folder(name)
    return str(Path(folder).resolve()) if Path(folder).is_dir() else folder


def part_of(name: str) -> str:
    """The part that a weight belongs to: connector, language, or rest, which is frozen."""
    pieces = name.split(".")
    if any(piece in CONNECTORS for piece in pieces):
        return "connector"
    return "language" if LANGUAGE in pieces or HEAD in pieces else "rest"


def check_parts(model: Any, name: str) -> None:
    """Raises PosetalkError: a model without connector or language model of a name that is known."""
    parts = {part_of(key) for key, _ in model.named_parameters()}
    if missing := {"connector", "language"} - parts:
        raise PosetalkError(
            f"{name} has no {' and no '.join(sorted(missing))} part of a known name; give a model built like LLaVA"
        )


def lora_config(model: Any, settings: TuneSettings) -> LoraConfig:
    """Adapters on linear layers of the language model, its head left out; the connector whole beside them."""
    targets, connector = [], set()
    for name, module in model.named_modules():
        if connector_name := next((piece for piece in name.split(".") if piece in CONNECTORS), None):
            connector.add(connector_name)
        elif isinstance(module, torch.nn.Linear) and part_of(name) == "language" and not name.endswith(HEAD):
            endings = settings.lora_target_modules or (name,)
            targets += [name for end in endings if f".{name}".endswith(f".{end}")]
    if not targets:
        raise PosetalkError(
            f"lora_target_modules {', '.join(settings.lora_target_modules)} name no linear layer of {settings.model}'s "
            "language model; "
            "leave them out for all of them"
        )
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets,
        modules_to_save=sorted(connector),
    )


def parameter_groups(model: Any, settings: TuneSettings) -> list[dict[str, Any]]:
    """The optimizer's groups: the connector at its own rate; norms and biases without decay."""
    parameters: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameters.setdefault((part_of(name), parameter.ndim > 1), []).append(parameter)
    rates = {"language": settings.learning_rate, "connector": settings.connector_learning_rate}
    return [
        {"params": parameters[key], "lr": rates[key[0]], "weight_decay": settings.weight_decay * key[1]}
        for key in sorted(
            parameters, reverse=True
        )  # the language model first: its rate is the one that is logged
    ]


def parameter_counts(model: Any) -> dict[str, int]:
    """How many parameters are trained of each part, and how many the whole model has."""
    counts = {"language": 0, "connector": 0, "all": 0}
    for name, parameter in model.named_parameters():
        counts["all"] += parameter.numel()
        if parameter.requires_grad:
            counts[part_of(name)] += parameter.numel()
    return counts


def _load(settings: TuneSettings, folder: str) -> Any:
    dtype = frozen_dtype(settings.language_model_dtype, settings.bf16, settings.method == "full")
    options: dict[str, Any] = {"dtype": dtype}
    if settings.method == "qlora":
        options = quantized("4bit", dtype, [*CONNECTORS, "vision_tower", "visual", "vision_model", HEAD])
    return load_part(AutoModelForImageTextToText, folder, "vision-language model", **options)


def _pad_to_square(processor: Any) -> None:
    """Have LLaVA's own image processor take the place of CLIP's, which cuts the middle out of an image."""
    from transformers import LlavaImageProcessorPil

    image_processor = processor.image_processor
    if not type(image_processor).__name__.startswith(("CLIPImageProcessor", "LlavaImageProcessor")):
        raise PosetalkError(
            f"pad_to_square is for LLaVA's images, and this model has a "
            f"{type(image_processor).__name__}; set it to false"
        )
    settings = {
        k: v
        for k, v in image_processor.to_dict().items()
        if k not in ("image_processor_type", "processor_class")
    }
    processor.image_processor = LlavaImageProcessorPil(**{**settings, "do_pad": True})
