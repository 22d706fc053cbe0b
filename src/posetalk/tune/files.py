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
from posetalk.model.machine import inference_dtype, placed
from posetalk.settings import Dtype
from posetalk.tune.settings import MADE
from posetalk.tune.template import check_template

MAX_SIDE = 4096  # px; no model takes larger images whole


def load(
    name: str | Path,
    dtype: Dtype | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: Any = None,
) -> tuple[Any, Any]:
    """The model, LoRA merged, and its processor, see `Chat.from_pretrained`.

    Raises:
        PosetalkError: nothing there, damaged files, a model without images or chat template, adapters that belong to
            themselves, a device that cannot be used.
    """
    target, device_map = placed(device, device_map)
    options: dict[str, Any] = {"dtype": inference_dtype(dtype, target)}
    if device_map is not None:
        options["device_map"] = device_map
    model, processor = _load(name, options, ())
    return model if device_map is not None else model.to(target), processor


def _load(name: str | Path, options: dict[str, Any], parents: tuple[str, ...]) -> tuple[Any, Any]:
    """parents: folders of adapters that belong to this model."""
    folder = model_folder(name)
    if adapters := adapters_of(folder):
        return _merged(folder, adapters.get("base_model_name_or_path"), options, parents)
    return load_part(AutoModelForImageTextToText, folder, "vision-language model", **options), processor_of(
        folder
    )


def model_folder(name: str | Path) -> str:
    """A folder or hub id; `small` and `tiny` are made the first time."""
    if str(name) in MADE:
        from posetalk.tune.small import made

        return str(made(str(name)))
    return str(name)


def processor_of(folder: str) -> Any:
    """Raises PosetalkError: no processor, one without images, one without a chat template or with a bad one."""
    processor = load_part(AutoProcessor, folder, "processor")
    if getattr(processor, "image_processor", None) is None:
        raise PosetalkError(f"{folder} has a processor without images; give a vision-language model")
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
            f"the processor of {folder} makes images larger than {MAX_SIDE:,} px; check its sizes"
        )
    check_template(processor, folder)
    return processor


def _merged(folder: str, base: object, options: dict[str, Any], parents: tuple[str, ...]) -> tuple[Any, Any]:
    if not isinstance(base, str) or not base:
        raise PosetalkError(f"{folder} does not name the model that its adapters belong to")
    parents = (*parents, str(Path(folder).resolve()))
    if str(Path(base).resolve()) in parents:
        raise PosetalkError(
            f"the adapters of {folder} belong to adapters that belong to them; write a whole model as their "
            "base_model_name_or_path"
        )
    model, _ = _load(base, options, parents)
    return with_adapters(model, folder), processor_of(folder)
