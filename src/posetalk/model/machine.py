"""What the machine is good at."""

from __future__ import annotations

import torch


def fast_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16 itself. CPUs that emulate it take 15 times as long."""
    if torch.cuda.is_available():
        return True
    can = torch.cpu.get_capabilities()
    return any(bool(can.get(name)) for name in ("avx512_bf16", "amx_bf16"))
