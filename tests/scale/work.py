"""What workers do in the tests: functions of a module, as those of the commands."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.messages import log


def count(shard: Path, word: str) -> tuple[str, int]:
    """Tells how often it was called for this shard; two workers of the second one die, each after it wrote."""
    calls = shard / "calls"
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if shard.name.endswith("1") and len(calls.read_text()) <= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    log.info("a word on %s", word)
    return word, len(calls.read_text())


def refuse(shard: Path) -> None:
    raise PosetalkError("it is refused; do something else")


def die(shard: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
