"""What long work tells: sentences for the logger "posetalk", and progress bars for those who switch them on.

Library code prints nothing. Sentences are INFO, or WARNING where something was left out or looks wrong, so that a
program that configures no logging sees the warnings on standard error. The command line shows both and the bars.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.progress import track as _track

T = TypeVar("T")

log = logging.getLogger("posetalk")
_shown = False


def show_progress(on: bool = True) -> None:
    """Show progress bars on standard error, or stop doing so. They are off until this is called."""
    global _shown
    _shown = on


def track(items: Iterable[T], description: str, total: int | None = None, quiet: bool = False) -> Iterable[T]:
    """The items, with a bar of how many are done and the time left. `quiet` shows none, whatever is switched on."""
    return _track(items, description, total, console=Console(stderr=True), disable=quiet or not _shown)


def progress(*columns: ProgressColumn, **settings: Any) -> Progress:
    """A bar of these columns, hidden while progress is switched off."""
    return Progress(*columns, console=Console(stderr=True), disable=not _shown, **settings)
