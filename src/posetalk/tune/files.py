"""Load an image-text-to-text model and its processor: a whole folder, LoRA adapters, a hub id, `small` or `tiny`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from posetalk.errors import PosetalkError
from posetalk.model import movenet as _movenet  # noqa: F401  (makes AutoModel know the small LLaVA's tower)
from posetalk.model.files import load_part
from posetalk.tune.settings import MADE


def load(name: str | Path, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
    """The model, LoRA merged, and its processor.

    name: a folder, a hub id, or `small` or `tiny`, the LLaVAs of `tune.small`, made the first time. dtype: float32 on
    a CPU and as saved elsewhere, unless given. Errors: nothing there, damaged files, a model without pictures or chat
    template.
    """
    folder = place(name)
    if dtype is None:
        dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    adapters = Path(folder) / "adapter_config.json"
    if adapters.is_file():
        return _merged(folder, adapters, dtype)
    model = load_part(AutoModelForImageTextToText, folder, "vision-language model", dtype=dtype)
    return _placed(model), processor_of(folder)


def place(name: str | Path) -> str:
    """A folder or hub id; `small` and `tiny` are made the first time."""
    if str(name) in MADE:
        from posetalk.tune.small import made

        return str(made(str(name)))
    return str(name)


def processor_of(folder: str) -> Any:
    """Errors: no processor, one without pictures, one without a chat template."""
    processor = load_part(AutoProcessor, folder, "processor")
    if getattr(processor, "image_processor", None) is None:
        raise PosetalkError(f"{folder} has a processor without pictures; give a vision-language model")
    if not getattr(processor, "chat_template", None):
        raise PosetalkError(
            f"the processor of {folder} has no chat template; put chat_template.jinja beside it"
        )
    return processor


def _merged(folder: str, adapters: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    from peft import PeftModel

    try:
        base = json.loads(adapters.read_text())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError):
        raise PosetalkError(f"{adapters} does not name the model that the adapters belong to") from None
    model, _ = load(base, dtype)
    return PeftModel.from_pretrained(model, folder).merge_and_unload(), processor_of(folder)


def _placed(model: Any) -> Any:
    return model.to("cuda") if torch.cuda.is_available() else model
