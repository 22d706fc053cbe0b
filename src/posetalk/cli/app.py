"""What all commands share: the program, what it says of skipped records, and how it treats the machine."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
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


def prepare_for_models() -> None:
    """What this process does before it loads a model. Loads no model library itself."""
    quiet()
    keep_memory()


def quiet() -> None:
    """Keep the bars and notes of transformers and huggingface_hub off the screen."""
    # they read these when they are imported
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    if "huggingface_hub.utils.tqdm" in sys.modules:
        sys.modules["huggingface_hub.utils.tqdm"].disable_progress_bars()
    if transformers := sys.modules.get("transformers"):
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
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
