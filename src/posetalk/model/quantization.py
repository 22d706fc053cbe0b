"""Frozen weights of 8 or 4 bits, by bitsandbytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig

from posetalk.errors import need

Bits = Literal["8bit", "4bit"]


def quantized(bits: Bits, dtype: torch.dtype, whole: Sequence[str]) -> dict[str, Any]:
    """Options of `from_pretrained` for a model whose linear layers are quantised, on the device of this process.

    Args:
        bits: `8bit` (LLM.int8) or `4bit` (NF4 with quantised scales, as in QLoRA).
        dtype: of what is not quantised, and in which 4 bits are multiplied.
        whole: names of modules that are not quantised, wherever they lie.

    Raises:
        MissingPackage: bitsandbytes is not installed.

    Source:
        LLM.int8 (arXiv 2208.07339), QLoRA (arXiv 2305.14314).
    """
    need("bitsandbytes", "quantize")
    config = BitsAndBytesConfig(
        load_in_8bit=bits == "8bit",
        load_in_4bit=bits == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[rf"(?:.*\.)?{name}" for name in whole],
    )
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"dtype": dtype, "quantization_config": config, "device_map": {"": device}}
