"""What every run of gradient steps needs: how batches add up, and a log that a resumed run continues."""

from __future__ import annotations

import json
from pathlib import Path

from posetalk.errors import PosetalkError


def accumulation(batch: int, device_batch: int, processes: int) -> int:
    """How many times each process takes `device_batch` for a step of `batch`. Errors: they do not divide evenly."""
    share, rest = divmod(batch, device_batch * processes)
    if rest or not share:
        raise PosetalkError(
            f"batch {batch} is not a multiple of device_batch {device_batch} x {processes} processes; "
            "change one of them"
        )
    return share


def forget_after(log: Path, step: int) -> None:
    """A resumed run repeats the steps since its checkpoint: their lines, and half a line, are written again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        log.write_text("".join(kept), encoding="utf-8")
