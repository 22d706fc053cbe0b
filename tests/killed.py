"""Run a command of posetalk to its end, killed after checkpoints and started again, and once undisturbed.

    python -m tests.killed KILLED WHOLE train settings.toml

The command gets `--out KILLED`, then `--out WHOLE`. It forks, so that what is imported is imported once, and kills the
child with SIGKILL.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

KILLS = 2


def end_alike(folder: Path, command: str, *words: object) -> None:
    """What a killed run ends with is what an undisturbed one ends with, bit by bit, and so are its losses."""
    killed, whole = folder / "killed", folder / "whole"
    given = [sys.executable, "-m", "tests.killed", str(killed), str(whole), command, *map(str, words)]
    run = subprocess.run(
        given,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    losses = [
        [(row["step"], row["loss"], row["grad_norm"]) for row in map(json.loads, log.splitlines())]
        for log in ((out / "log.jsonl").read_text() for out in (killed, whole))
    ]
    assert losses[0] == losses[1] and len({step for step, *_ in losses[1]}) == len(losses[1]) > 0
    found, expected = (load_file(out / "model.safetensors") for out in (killed, whole))
    assert found.keys() == expected.keys()
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


def started(words: list[str], out: Path) -> int:
    """The process id of the command, in a child of its own."""
    if process := os.fork():
        return process
    code = 1
    try:
        from posetalk.cli import main

        main([*words, "--out", str(out)])
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


def whole_checkpoints(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob("checkpoints/checkpoint-*/trainer_state.json")}


def kill_and_resume(killed: Path, whole: Path, words: list[str]) -> None:
    draw = random.Random(0)
    for _ in range(KILLS):
        before, process = whole_checkpoints(killed), started(words, killed)
        while not whole_checkpoints(killed) - before:
            assert os.waitpid(process, os.WNOHANG) == (0, 0), "it ended before it was killed"
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.1))  # in the steps behind it, or in the next checkpoint
        os.kill(process, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    for out in (killed, whole):
        assert os.waitpid(started(words, out), 0)[1] == 0


if __name__ == "__main__":
    import posetalk.train.run
    import posetalk.tune.run  # noqa: F401

    kill_and_resume(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
