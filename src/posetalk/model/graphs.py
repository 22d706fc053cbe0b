"""A model's ONNX form: its graphs, and the sessions of ONNX Runtime that run them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

GRAPHS = ("image.onnx", "question.onnx", "point.onnx")  # they read the weights beside them
# What is rewritten takes longer than what it saves: a question is read once, and pointing is short.
_LEVELS = {"question.onnx": "ORT_DISABLE_ALL", "point.onnx": "ORT_ENABLE_BASIC"}

_Key = tuple[Path, int | None]
_begun: dict[_Key, Future[InferenceSession]] = {}


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def graphs_of(folder: Path) -> list[Path]:
    """The graphs of a model folder."""
    return [folder / name for name in GRAPHS]


def has_graphs(folder: Path) -> bool:
    """Whether a model folder holds its ONNX form."""
    return all(graph.is_file() for graph in graphs_of(folder))


def sessions(files: Sequence[Path], threads: int | None = 1) -> list[Future[InferenceSession]]:
    """The sessions of graphs, on the CPU. They are made in threads, or were begun by `begun_sessions`.

    Args:
        files: The graphs, those that take longest first.
        threads: How many threads compute a call; None for one for each core.

    Returns:
        A future each. It raises what ONNX Runtime raises for a file that is missing or damaged, which is of many kinds.
    """
    if not files:
        return []
    import onnxruntime  # noqa: F401  # before threads need it

    pool = ThreadPoolExecutor(len(files))
    begun = (_begun.pop((file, threads), None) for file in files)
    made = [
        pool.submit(_make, file, threads) if one is None else one
        for file, one in zip(files, begun, strict=True)
    ]
    pool.shutdown(wait=False)  # its threads end with their work
    return made


@contextmanager
def begun_sessions(files: Sequence[Path], threads: int | None = 1) -> Iterator[None]:
    """Begin to make sessions, which `sessions` gives to who asks for them first while the block runs."""
    keys: list[_Key] = [(file, threads) for file in files]
    _begun.update(zip(keys, sessions(files, threads), strict=True))
    try:
        yield
    finally:
        for key in keys:
            _begun.pop(key, None)


def _make(file: Path, threads: int | None) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # threads that wait for the next image would take the cores from what is done with this one
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    if file.name in _LEVELS:
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[file.name])
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
