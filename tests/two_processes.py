"""Commands of posetalk in two processes of the CPU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def run_in_two(*words: str | Path, sharded_layers: str | None = None) -> None:
    """Run a command to its end, by DDP, or by FSDP2 (`sharded_on_cpu`).

    sharded_layers: the classes of the layers that FSDP2 shares; None for DDP.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    shared = Path(__file__).with_name("sharded_on_cpu.py")
    program = ["-m", "posetalk"] if sharded_layers is None else [str(shared)]
    layers = {"FSDP_TRANSFORMER_CLS_TO_WRAP": sharded_layers} if sharded_layers else {}
    done = subprocess.run(
        [sys.executable, *launch, *program, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **layers},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]
