"""Commands of posetalk in two processes of the CPU.

    python -m tests.two_processes LAYERS train settings.toml --out folder

forks into two that share layers by FSDP2, so that what is imported is imported once. They get what torchrun gives.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def run_in_two(*words: str | Path, sharded_layers: str | None = None) -> None:
    """Run a command to its end, by DDP as torchrun starts it, or by FSDP2.

    sharded_layers: the classes of the layers that FSDP2 shares; None for DDP.
    """
    torchrun = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", _free_port()]
    torchrun += ["-m", "posetalk"]
    program = ["tests.two_processes", sharded_layers] if sharded_layers else torchrun
    done = subprocess.run(
        [sys.executable, "-m", *program, *map(str, words)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def _fork() -> int | None:
    """None in each of the two; in the first process, an exit code when both have ended."""
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    children = set()
    for rank in ("0", "1"):
        if not (process := os.fork()):
            os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
            return None
        children.add(process)
    while children:
        process, status = os.wait()
        children.remove(process)
        if status:
            for other in children:
                os.kill(other, signal.SIGKILL)
            return 1
    return 0


if __name__ == "__main__":
    from tests.sharded_on_cpu import share

    import posetalk.train.run
    import posetalk.tune.run  # noqa: F401
    from posetalk.cli import main

    os.environ["FSDP_TRANSFORMER_CLS_TO_WRAP"] = sys.argv.pop(1)
    share()
    code = _fork()
    sys.exit(main() if code is None else code)
