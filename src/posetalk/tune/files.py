"""Load an image-text-to-text model and its processor: a whole folder, LoRA adapters, a hub id, `small` or `tiny`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from posetalk.errors import PosetalkError
from posetalk.model import movenet as _movenet  # noqa: F401  (makes AutoModel know the small LLaVA's encoder)
from posetalk.model.files import load_part, with_adapters
from posetalk.model.folders import adapters_of
from posetalk.tune.settings import MADE
from posetalk.tune.template import check_template

MAX_SIDE = 4096  # px; no model takes larger images whole


def load(
    name: str | Path, dtype: torch.dtype | None = None, parents: tuple[str, ...] = ()
) -> tuple[Any, Any]:
    """The model, LoRA merged, and its processor.

    name: a folder, a hub id, or `small` or `tiny`, the LLaVAs of `tune.small`, made the first time. dtype: float32 on
    a CPU and as saved elsewhere, unless given. parents: folders of adapters that belong to this model. Errors: nothing
    there, damaged files, a model without images or chat template, adapters that belong to themselves.
    """
    folder = model_folder(name)
    if dtype is None:
        dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    if adapters := adapters_of(folder):
        return _merged(folder, adapters.get("base_model_name_or_path"), dtype, parents)
    model = load_part(AutoModelForImageTextToText, folder, "vision-language model", dtype=dtype)
    return _on_device(model), processor_of(folder)


def model_folder(name: str | Path) -> str:
    """A folder or hub id; `small` and `tiny` are made the first time."""
    if str(name) in MADE:
        from posetalk.tune.small import made

        return str(made(str(name)))
    return str(name)


def processor_of(folder: str) -> Any:
    """Errors: no processor, one without images, one without a chat template or with one that cannot be used."""
    processor = load_part(AutoProcessor, folder, "processor")
    if getattr(processor, "image_processor", None) is None:
        raise PosetalkError(f"{folder} has a processor without pictures; give a vision-language model")
    if not getattr(processor, "chat_template", None):
        raise PosetalkError(
            f"the processor of {folder} has no chat template; put chat_template.jinja beside it"
        )
    images = processor.image_processor
    sizes = [getattr(images, name, None) or {} for name in ("size", "crop_size")]
    # of models that take images of any shape the numbers count pixels
    if not hasattr(images, "merge_size") and any(
        side > MAX_SIDE for size in sizes for side in dict(size).values()
    ):
        raise PosetalkError(
            f"the processor of {folder} makes pictures larger than {MAX_SIDE:,} px; check its sizes"
        )
    check_template(processor, folder)
    return processor


def _merged(
    folder: str, base: object, dtype: torch.dtype | None, parents: tuple[str, ...]
) -> tuple[Any, Any]:
    if not isinstance(base, str) or not base:
        raise PosetalkError(f"{folder} does not name the model that its adapters belong to")
    parents = (*parents, str(Path(folder).resolve()))
    if str(Path(base).resolve()) in parents:
        raise PosetalkError(
            f"the adapters of {folder} belong to adapters that belong to them; write a whole model as their "
            "base_model_name_or_path"
        )
    model, _ = load(base, dtype, parents)
    return with_adapters(model, folder), processor_of(folder)


def _on_device(model: Any) -> Any:
    return model.to("cuda") if torch.cuda.is_available() else model
