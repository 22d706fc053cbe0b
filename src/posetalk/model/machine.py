"""What the machine is good at: where a network runs, and in which dtype."""

from __future__ import annotations

from typing import Any

import torch

from posetalk.errors import PosetalkError, need
from posetalk.settings import Dtype


def fast_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16 itself. CPUs that emulate it take 15 times as long."""
    if torch.cuda.is_available():
        return True
    can = torch.cpu.get_capabilities()
    return any(bool(can.get(name)) for name in ("avx512_bf16", "amx_bf16"))


def frozen_dtype(dtype: Dtype | None, bf16: bool | None, trains_layers: bool = False) -> torch.dtype:
    """The dtype in which a training run holds the frozen weights of its language model.

    Weights that are trained stay in float32, and so does a language model some of whose layers are trained as they are:
    small steps are lost in bfloat16.

    Args:
        dtype: the setting `language_model_dtype`; None: bfloat16 where a GPU trains in mixed precision.
        bf16: the setting of that name.
        trains_layers: whether layers of the language model are trained themselves, not adapters beside them.
    """
    if trains_layers:
        return torch.float32
    if dtype is not None:
        return torch_dtype(dtype)
    return torch.bfloat16 if torch.cuda.is_available() and bf16 is not False else torch.float32


def inference_dtype(dtype: Dtype | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype in which a language model is asked: what is given, else float32 on a CPU and bfloat16 elsewhere."""
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return dtype if isinstance(dtype, torch.dtype) else torch_dtype(dtype)


def torch_dtype(name: str) -> torch.dtype:
    """Raises PosetalkError for a name that is no dtype of weights."""
    match name:
        case "float32":
            return torch.float32
        case "bfloat16":
            return torch.bfloat16
        case "float16":
            return torch.float16
    raise PosetalkError(f"there is no dtype {name!r} of weights; choose float32, bfloat16 or float16")


def placed(device: str | torch.device | None, device_map: Any = None) -> tuple[torch.device, Any]:
    """Where a model goes: a device, and a `device_map` of accelerate where its layers go to several.

    Args:
        device: a torch device; "auto" for `device_map="auto"`; None for CUDA if there is one, else the CPU.
        device_map: accelerate's; None for one device.

    Raises:
        PosetalkError: a device and a map, a device that cannot compute.
    """
    if str(device) == "auto":
        device, device_map = None, device_map or "auto"
    if device_map is not None:
        need("accelerate", "train")
        if device is not None:
            raise PosetalkError(
                "a model goes to one device or by a device_map to several; leave one of them out"
            )
    return checked_device(device or ("cuda" if torch.cuda.is_available() else "cpu")), device_map


def checked_device(name: str | torch.device) -> torch.device:
    """The device, after a check that it can compute."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = " ".join(str(error).split(". ")[0].split())
        raise PosetalkError(
            f"the device {str(name)!r} cannot be used ({reason}); give cpu, or cuda where torch finds one"
        ) from None
    return device
