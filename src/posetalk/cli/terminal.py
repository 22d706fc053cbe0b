"""Standard output and error, whatever they are: a terminal, a pipe whose reader has left, a full disk, nothing."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from posetalk.errors import PosetalkError, shown

if TYPE_CHECKING:
    from rich.table import Table

READER_LEFT = 141  # 128 + SIGPIPE, a shell's number for a program that wrote when nobody read
NARROW = 20  # columns; in one or two of them rich breaks lines for ever

_BAR = re.compile(r"\r|(\x1b\[A)+$")  # how a download's progress bar begins its line anew, and goes up a line


class Stream:
    """A text stream that is written to safely.

    Control characters are shown, not sent: names and words come from files of others. When the reader has left, the
    program ends without a word.

    Raises:
        PosetalkError: what is printed cannot be written.
    """

    def __init__(self, stream: TextIO, name: str, escape: bool = True) -> None:
        self._stream, self._name, self._escape = stream, name, escape
        if escape:
            # rich colours its words and moves bars by control characters; where it prints words of others,
            # posetalk.errors.shown escapes them
            self.rich_proxied_file = Stream(stream, name, escape=False)

    def write(self, text: str) -> int:
        bar = _BAR.match(text) if self._escape else None
        kept = bar.end() if bar else 0
        self._try(lambda: self._stream.write(text[:kept] + shown(text[kept:]) if self._escape else text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except OSError as error:
            # what is left goes nowhere; else Python tries again when it ends, and complains
            with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self._stream.fileno())
                self._stream.flush()
            if isinstance(error, BrokenPipeError):
                raise SystemExit(READER_LEFT) from None
            raise PosetalkError(
                f"cannot write to {self._name}: {error.strerror}; send it to another place"
            ) from None


def columns() -> int:
    """The width of the terminal in characters."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() else shutil.get_terminal_size().columns


@contextmanager
def streams() -> Iterator[None]:
    """Standard output and error that take every text; what is printed to a closed one is lost."""
    if columns() < NARROW:
        os.environ["COLUMNS"] = str(NARROW)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  (the name of no file)
        safe = []
        for stream, name in ((sys.stdout, "standard output"), (sys.stderr, "standard error")):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(
                    errors="backslashreplace"
                )  # not all can write every character: ASCII, Latin-1
            safe.append(cast(TextIO, Stream(stream or nowhere, name)))
        with redirect_stdout(safe[0]), redirect_stderr(safe[1]):
            yield


def show(table: Table) -> None:
    """Print a table whose words are not markup. A narrow terminal breaks names, no numbers."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    if console.width < 60:
        table.padding = (0, 0)
    for column in table.columns:
        numbers = [word for cell in column.cells for word in str(cell).split() if re.search(r"\d", word)]
        column.overflow = "fold"
        column.min_width = min(12, max(map(len, numbers), default=1))
    console.print(table, crop=False)
