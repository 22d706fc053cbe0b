"""Try a chat template before it is trusted: a model's folder brings it, and it is a program.

transformers runs it in a sandbox that keeps it from the machine, and bounds neither its time nor its memory.
"""

from __future__ import annotations

import os
import select
import signal
import warnings
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError

CPU_SECONDS = 2  # of computing; a template takes milliseconds
WALL_SECONDS = 60  # seconds, on a machine that is busy
MEMORY = 2**29  # bytes beside what there is
MAX_CHARACTERS = 100_000  # characters for the few words of a trial
TRIAL = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Here."}]},
]


def check_template(processor: Any, name: str) -> None:
    """Write a short conversation in a process of its own, whose time and memory are bounded.

    Raises PosetalkError: the template fails, takes too long, takes or writes too much.
    """
    if not hasattr(os, "fork"):
        return
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the child does not need
        child = os.fork()
    if not child:
        try:
            os.write(write_end, _try_template(processor).encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        if not select.select([pipe], [], [], WALL_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
        result = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    if result != "fine":
        raise PosetalkError(
            f"the chat template of {name} cannot be used: {result or 'it does not end'}; give another one"
        )


def _try_template(processor: Any) -> str:
    """`fine`, or what is wrong."""
    import resource  # not on Windows, which cannot fork either

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    if (sizes := Path("/proc/self/statm")).exists():
        used = int(sizes.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    try:
        for messages, prompt in ((TRIAL[:1], True), (TRIAL[:1], False), (TRIAL, False)):
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
                return f"for a few words it writes more than {MAX_CHARACTERS:,} characters"
    except MemoryError:
        return f"it takes more than {MEMORY // 2**20} MB"
    except BaseException as error:
        [line, *_] = str(error).strip().splitlines() or [type(error).__name__]
        return line[:300] or type(error).__name__
    return "fine"
