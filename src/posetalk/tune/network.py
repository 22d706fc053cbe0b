"""The model that is tuned: its parts by name, what of it is trained, and how fast."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from posetalk.errors import PosetalkError
from posetalk.model.files import load_part
from posetalk.tune.files import place, processor_of
from posetalk.tune.settings import TuneSettings

# What transformers calls the part between picture and language: LLaVA and most others; SmolVLM, Idefics; Qwen.
CONNECTORS = ("multi_modal_projector", "connector", "merger")
LANGUAGE = "language_model"
HEAD = "lm_head"


def network(settings: TuneSettings) -> tuple[Any, Any]:
    """The model, with what is not trained frozen, and its processor.

    Errors: no such model, one without the parts, qlora without bitsandbytes or GPU, targets that name no layer.
    """
    folder = base(settings.model)
    processor = processor_of(folder)
    if settings.pad_to_square:
        _pad(processor)
    model = _load(settings, folder)
    check_parts(model, settings.model)
    if settings.method == "full":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part(name) != "rest")
    else:
        if settings.method == "qlora":
            model = prepare_model_for_kbit_training(
                model, use_gradient_checkpointing=settings.gradient_checkpointing
            )
        model = get_peft_model(model, lora(model, settings))
    for parameter in model.parameters():
        if parameter.requires_grad:  # small steps are lost in bfloat16
            parameter.data = parameter.data.float()
    return model, processor


def base(name: str) -> str:
    """A folder, whole, since adapters remember where their model lies, or a hub id."""
    folder = place(name)
    return str(Path(folder).resolve()) if Path(folder).is_dir() else folder


def part(name: str) -> str:
    """The part that a weight belongs to: connector, language, or rest, which is frozen."""
    pieces = name.split(".")
    if any(piece in CONNECTORS for piece in pieces):
        return "connector"
    return "language" if LANGUAGE in pieces or HEAD in pieces else "rest"


def check_parts(model: Any, name: str) -> None:
    """Errors: a model that has no connector or no language model of a name that is known."""
    parts = {part(key) for key, _ in model.named_parameters()}
    if missing := {"connector", "language"} - parts:
        raise PosetalkError(
            f"{name} has no {' and no '.join(sorted(missing))} part of a known name; give a model built like LLaVA"
        )


def lora(model: Any, settings: TuneSettings) -> LoraConfig:
    """Adapters on linear layers of the language model, its head left out; the connector whole beside them."""
    targets, connector = [], set()
    for name, module in model.named_modules():
        if last := next((piece for piece in name.split(".") if piece in CONNECTORS), None):
            connector.add(last)
        elif isinstance(module, torch.nn.Linear) and part(name) == "language" and not name.endswith(HEAD):
            ends = settings.lora_target_modules or (name,)
            targets += [name for end in ends if f".{name}".endswith(f".{end}")]
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


def groups(model: Any, settings: TuneSettings) -> list[dict[str, Any]]:
    """The optimizer's groups: the connector at its own rate; norms and biases without decay."""
    found: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault((part(name), parameter.ndim > 1), []).append(parameter)
    rates = {"language": settings.learning_rate, "connector": settings.connector_learning_rate}
    return [
        {"params": found[key], "lr": rates[key[0]], "weight_decay": settings.weight_decay * key[1]}
        for key in sorted(found, reverse=True)  # the language model first: its rate is the one that is logged
    ]


def counts(model: Any) -> dict[str, int]:
    """How many numbers are trained, of each part and in the whole model."""
    found = {"language": 0, "connector": 0, "all": 0}
    for name, parameter in model.named_parameters():
        found["all"] += parameter.numel()
        if parameter.requires_grad:
            found[part(name)] += parameter.numel()
    return found


def _load(settings: TuneSettings, folder: str) -> Any:
    more: dict[str, Any] = {"dtype": torch.float32}
    if settings.method != "full" and settings.bf16 and torch.cuda.is_available():
        more["dtype"] = torch.bfloat16  # frozen weights need no more
    if settings.method == "qlora":
        if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
            raise PosetalkError(
                "method qlora needs the package bitsandbytes and a CUDA GPU, which are not both here; use lora"
            )
        more["device_map"] = {"": torch.cuda.current_device()}
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=[*CONNECTORS, "vision_tower", "visual", "vision_model", HEAD],
        )
    return load_part(AutoModelForImageTextToText, folder, "vision-language model", **more)


def _pad(processor: Any) -> None:
    """Have LLaVA's own image processor take the place of CLIP's, which cuts the middle out of a picture."""
    from transformers import LlavaImageProcessorPil

    old = processor.image_processor
    if not type(old).__name__.startswith(("CLIPImageProcessor", "LlavaImageProcessor")):
        raise PosetalkError(
            f"pad is for LLaVA's pictures, and this model has a {type(old).__name__}; set it to false"
        )
    kept = {k: v for k, v in old.to_dict().items() if k not in ("image_processor_type", "processor_class")}
    processor.image_processor = LlavaImageProcessorPil(**{**kept, "do_pad": True})
