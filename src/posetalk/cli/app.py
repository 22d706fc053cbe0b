"""What all commands share: the program, what it says of skipped records, and how it treats the machine."""

from __future__ import annotations

import ctypes
import sys
import warnings

from cyclopts import App

import posetalk

app = App(
    name="posetalk",
    help="Human pose and language: find described keypoints; write, tune and test what is said of poses.",
    version=posetalk.__version__,
    suppress_keyboard_interrupt=False,  # else Ctrl-C ends it without a word
)


def tell_skipped(*sentences: str) -> None:
    for sentence in sentences:
        print(f"skipped: {sentence}", file=sys.stderr)


def tell(*notes: str) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def quiet() -> None:
    """Keep transformers' own bars and notes off the screen; say which extra is missing."""
    from posetalk.errors import need

    logging = need("transformers", "model").utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
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
