"""What all commands share: the program, and what it says of skipped records."""

from __future__ import annotations

import logging
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
