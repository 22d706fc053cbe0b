"""Adapters -> a plain folder that transformers and vLLM load."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModelForImageTextToText

from posetalk.errors import PosetalkError
from posetalk.model.files import load_part, with_adapters
from posetalk.model.fingerprint import write_sums
from posetalk.model.folders import adapters_of
from posetalk.tune.files import processor_of


def merge(adapters: str | Path, out: str | Path) -> None:
    """Write the model that adapters/ belongs to with them in its weights, in its own number format, to `out`.

    The processor, its chat template and the generation settings lie beside it.

    Raises:
        PosetalkError: no adapters, their model is not there.
    """
    config = adapters_of(adapters)
    if config is None:
        raise PosetalkError(f"{adapters} holds no adapters; give the folder adapters/ of a run")
    name = str(config.get("base_model_name_or_path"))
    model = load_part(AutoModelForImageTextToText, name, "vision-language model", dtype="auto")
    merged = with_adapters(model, str(adapters))
    merged.save_pretrained(out)
    processor_of(str(adapters)).save_pretrained(out)
    write_sums(Path(out))
