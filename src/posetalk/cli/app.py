"""What all commands share: the program, what it says of skipped records, and how it treats the machine."""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Iterable
from typing import Literal

from cyclopts import App

import posetalk

app = App(
    name="posetalk",
    help="Human pose and language: find described keypoints; write, tune and test what is said of poses.",
    version=posetalk.__version__,
    suppress_keyboard_interrupt=False,  # else Ctrl-C ends it without a word
)


# What a command says beside its result. `posetalk.cli` shows it on standard error.
log = logging.getLogger("posetalk.cli")


def tell(label: Literal["note", "skipped"], sentences: Iterable[str]) -> None:
    for sentence in sentences:
        log.warning("%s: %s", label, sentence)


def quiet() -> None:
    """Keep transformers' own bars and notes off the screen; say which extra is missing."""
    from posetalk.errors import need

    transformers_logging = need("transformers", "model").utils.logging
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # peft asks for it
    warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated")


def keep_memory() -> None:
    """Have glibc keep freed memory: asking the system for every tensor's pages anew takes half of a CPU's time."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(option, value)
