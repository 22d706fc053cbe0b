"""Messages for the logger "posetalk", and progress bars, which are off until they are switched on.

Library code prints nothing. Messages are INFO, or WARNING where something was left out or looks wrong; a program that
configures no logging sees the warnings on standard error. The command line shows both, and the bars.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

T = TypeVar("T")

log = logging.getLogger("posetalk")
_shown = False


def show_progress(on: bool = True) -> None:
    """Switch progress bars on or off. They are shown on standard error, and off until this is called.

    Args:
        on: Whether they are shown from now on.
    """
    global _shown
    _shown = on


def track(items: Iterable[T], description: str, total: int | None = None, quiet: bool = False) -> Iterable[T]:
    """Iterate over `items` with a progress bar.

    Args:
        items: Any iterable.
        description: The text before the bar.
        total: The number of items, where `items` has no length.
        quiet: Show no bar, even if bars are on.
    """
    if quiet or not _shown:
        return items
    from rich.console import Console  # loads slowly
    from rich.progress import track as with_bar

    return with_bar(items, description, total, console=Console(stderr=True))


def progress(*columns: ProgressColumn, **settings: Any) -> Progress:
    """A progress bar with these columns, hidden while bars are off."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), disable=not _shown, **settings)
