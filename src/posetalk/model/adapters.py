"""What of a network is trained: LoRA on both towers through peft, whole layers, or the connector alone."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from posetalk.errors import PosetalkError
from posetalk.model.posellm import PoseLLM
from posetalk.settings import ModelSettings, Tuning

CONNECTOR = "multi_modal_projector"
FRESH = (CONNECTOR, "question_reader", "point")  # what no pre-trained part brings is always trained in full
TOWERS = {"vision_encoder": "vision_tower", "language_model": "language_model"}  # settings -> module


def set_trainable(model: PoseLLM, settings: ModelSettings) -> PoseLLM | PeftModel:
    """Freeze and unfreeze as the settings say; with LoRA the model comes back wrapped by peft.

    The connector is always trained in full. `layers` trains a tower but for its word embeddings and language-model
    head, so that words which training never shows keep their place among those it does. Errors: LoRA asked for on a
    tower without layers of those names.
    """
    model.requires_grad_(False)
    tuning: dict[str, Tuning] = {
        "vision_encoder": settings.tune_vision_encoder or "lora",
        "language_model": settings.tune_language_model or "lora",
    }
    adapted = [TOWERS[name] for name, how in tuning.items() if how == "lora"]
    wrapped: Any = model
    if adapted:
        wrapped = get_peft_model(model, lora_config(model, adapted, settings))
    else:
        for part in fresh(model):
            model.get_submodule(part).requires_grad_(True)
    for name, how in tuning.items():
        if how == "layers":
            tower = getattr(model.model, TOWERS[name])
            tower.requires_grad_(True)
            if name == "language_model":
                tower.get_input_embeddings().requires_grad_(False)
    return wrapped


def fitting(model: PoseLLM, settings: ModelSettings) -> ModelSettings:
    """The settings with what they leave open of a saved model: LoRA on a tower that has layers for it; others are kept
    as they are."""
    chosen: dict[str, Tuning] = {}
    for name, part in TOWERS.items():
        if getattr(settings, f"tune_{name}") is None:
            ends = {path.split(".")[-1] for path, _ in getattr(model.model, part).named_modules()}
            chosen[f"tune_{name}"] = "lora" if ends & set(settings.lora.target_modules) else "frozen"
    return settings.model_copy(update=chosen)


def lora_config(model: PoseLLM, towers: list[str], settings: ModelSettings) -> LoraConfig:
    names = [n for n, m in model.named_modules() if n.split(".")[-1] in settings.lora.target_modules]
    chosen = [n for n in names if any(f".{tower}." in f".{n}." for tower in towers)]
    for tower in towers:
        if not any(f".{tower}." in f".{n}." for n in chosen):
            raise PosetalkError(
                f"LoRA finds no layer called {', '.join(settings.lora.target_modules)} in the {tower}; "
                "choose tune_vision/tune_text 'layers' or 'frozen', or other lora.targets"
            )
    return LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=chosen,
        modules_to_save=[name.split(".")[-1] for name in fresh(model)],
    )


def fresh(model: PoseLLM) -> list[str]:
    """Paths of the modules of FRESH that this model has."""
    return [name for name, _ in model.named_modules() if name.split(".")[-1] in FRESH]


def trainable(model: Any) -> dict[str, int]:
    """Trained parameters of each part: connector, readout (reader and point head), language model, vision encoder."""
    counts = {"connector": 0, "readout": 0, "language_model": 0, "vision_encoder": 0}
    parts = {
        CONNECTOR: "connector",
        "question_reader": "readout",
        ".point.": "readout",
        "vision_tower": "vision_encoder",
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = next((part for key, part in parts.items() if key in f".{name}"), "language_model")
            counts[part] += parameter.numel()
    return counts
