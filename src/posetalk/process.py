"""What a process does before it loads models."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings


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
