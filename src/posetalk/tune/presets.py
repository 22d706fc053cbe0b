"""Recipes by name: settings without data."""

from __future__ import annotations

from typing import Any, Literal

from posetalk.model.machine import fast_bfloat16
from posetalk.tune.settings import Method

Preset = Literal["llava-1.5-7b", "bundled", "tiny"]

# LLaVA-1.5's second stage (arXiv 2310.03744 and its scripts finetune.sh, finetune_lora.sh): batch 128, one epoch,
# cosine after 3 % of warm-up, no weight decay, 2,048 tokens, images padded to squares. 2e-5 for all weights; with
# LoRA 128/256 2e-4 and the connector at 2e-5.
_LLAVA: dict[str, Any] = {
    "model": "llava-hf/llava-1.5-7b-hf",
    "batch_size": 128,
    "per_device_batch_size": 16,
    "epochs": 1,
    "warmup_ratio": 0.03,
    "max_length": 2048,
    "pad_to_square": True,
    "connector_learning_rate": 2e-5,
}
_LORA: dict[str, Any] = {"lora_rank": 128, "lora_alpha": 256, "lora_dropout": 0.05, "learning_rate": 2e-4}

# The small model on a CPU.
_BUNDLED: dict[str, Any] = {
    "model": "small",
    "batch_size": 16,
    "per_device_batch_size": 8,
    "epochs": 1,
    "warmup_ratio": 0.03,
    "gradient_checkpointing": False,
    "num_workers": 0,
    "save_steps": 100,
}

# The bundled localiser on a CPU: matrices so small that bfloat16 gains nothing.
_TINY: dict[str, Any] = _BUNDLED | {
    "model": "tiny",
    "per_device_batch_size": 16,
    "learning_rate": 1e-3,
    "connector_learning_rate": 1e-3,
    "bf16": False,
}


def preset(name: Preset, method: Method | None = None) -> dict[str, Any]:
    """The settings of a recipe, as TuneSettings takes them. method: by default the recipe's own."""
    match name:
        case "llava-1.5-7b":
            chosen_method = method or "lora"
            return (
                _LLAVA
                | {"method": chosen_method}
                | ({"learning_rate": 2e-5} if chosen_method == "full" else _LORA)
            )
        case "bundled":
            chosen_method = method or "full"
            rates = (
                {"learning_rate": 1e-4}
                if chosen_method == "full"
                else {"learning_rate": 5e-4, "lora_rank": 16, "lora_alpha": 32}
            )
            precision = {"bf16": fast_bfloat16()}
            return _BUNDLED | precision | {"method": chosen_method, "connector_learning_rate": 1e-4} | rates
        case "tiny":
            return _TINY | {"method": method or "full"}
