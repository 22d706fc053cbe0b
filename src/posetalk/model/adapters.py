"""Which parameters are trained: LoRA through peft, whole layers, or the connector alone."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from posetalk.errors import PosetalkError
from posetalk.model.posellm import CONNECTOR, NEW_MODULES, PoseLLM
from posetalk.settings import ModelSettings, Tuning

PARTS = {"vision_encoder": "vision_tower", "language_model": "language_model"}  # settings -> module


def set_trainable(model: PoseLLM, settings: ModelSettings) -> PoseLLM | PeftModel:
    """Freeze and unfreeze as the settings say; with LoRA the model comes back wrapped by peft.

    The connector is always trained in full. `layers` trains a whole part but for word embeddings and language-model
    head, so that words which training never shows keep their place among those it does. What is trained is in float32.

    Raises:
        PosetalkError: LoRA on a part that has no layers of those names.
    """
    model.requires_grad_(False)
    modes: dict[str, Tuning] = {
        "vision_encoder": settings.tune_vision_encoder or "lora",
        "language_model": settings.tune_language_model or "lora",
    }
    lora_parts = [PARTS[name] for name, mode in modes.items() if mode == "lora"]
    wrapped: Any = model
    if lora_parts:
        wrapped = get_peft_model(model, lora_config(model, lora_parts, settings))
    else:
        for part in new_modules(model):
            model.get_submodule(part).requires_grad_(True)
    for name, mode in modes.items():
        if mode == "layers":
            module = getattr(model.model, PARTS[name])
            module.requires_grad_(True)
            if name == "language_model":
                module.get_input_embeddings().requires_grad_(False)
    train_in_float32(wrapped)
    return wrapped


def train_in_float32(model: Any) -> None:
    """Put the trained parameters of a model into float32: small steps are lost in bfloat16."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def with_default_tuning(model: PoseLLM, settings: ModelSettings) -> ModelSettings:
    """The settings, completed for a saved model: LoRA on the parts that have layers for it; the others are frozen."""
    modes: dict[str, Tuning] = {}
    for name, part in PARTS.items():
        if getattr(settings, f"tune_{name}") is None:
            layer_names = {path.split(".")[-1] for path, _ in getattr(model.model, part).named_modules()}
            modes[f"tune_{name}"] = "lora" if layer_names & set(settings.lora.target_modules) else "frozen"
    return settings.model_copy(update=modes)


def lora_config(model: PoseLLM, parts: list[str], settings: ModelSettings) -> LoraConfig:
    names = [n for n, m in model.named_modules() if n.split(".")[-1] in settings.lora.target_modules]
    targets = [n for n in names if any(f".{part}." in f".{n}." for part in parts)]
    for part in parts:
        if not any(f".{part}." in f".{n}." for n in targets):
            raise PosetalkError(
                f"LoRA finds no layer called {', '.join(settings.lora.target_modules)} in the {part}; "
                "choose tune_vision_encoder/tune_language_model 'layers' or 'frozen', or other lora.target_modules"
            )
    return LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=targets,
        modules_to_save=[name.split(".")[-1] for name in new_modules(model)],
    )


def new_modules(model: PoseLLM) -> list[str]:
    """Paths of the modules of NEW_MODULES that this model has."""
    return [name for name, _ in model.named_modules() if name.split(".")[-1] in NEW_MODULES]


def trainable_parameters(model: Any) -> dict[str, int]:
    """Trained parameters of each part: connector, readout (reader and point head), language model, vision encoder."""
    counts = {"connector": 0, "readout": 0, "language_model": 0, "vision_encoder": 0}
    part_of_key = {
        CONNECTOR: "connector",
        "question_reader": "readout",
        ".point.": "readout",
        "vision_tower": "vision_encoder",
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = next((part for key, part in part_of_key.items() if key in f".{name}"), "language_model")
            counts[part] += parameter.numel()
    return counts
