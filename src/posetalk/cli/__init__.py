"""The command line: one command per stage. Parses and calls, nothing else; heavy imports wait for the command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cyclopts import CycloptsError, UnknownOptionError

from posetalk.cli import bench, export, formats, label, locate, plan, points, push, serve, tune, words  # noqa: F401  (they add their commands)
from posetalk.cli.app import app
from posetalk.cli.app import log as command_log
from posetalk.cli.terminal import streams
from posetalk.errors import PosetalkError, missing_package
from posetalk.messages import log, show_progress

# In the words of torch, safetensors and SQLite, whose errors for it are of many types.
_FULL = ("no space left on device", "disk is full", "disk i/o error")
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_RENAMED = {  # options that had another name before
    "--batch": "--batch-size",
    "--beside": "--compare",
    "--box-form": "--box-format",
    "--each": "--max-per-answer",
    "--features": "--feature-cache",
    "--flip": "--flip-test",
    "--form": "--format",
    "--money": "--max-cost-usd",
    "--pictures": "--max-images",
    "--steps": "--max-steps",
    "--text": "--tokenizer",
    "--training": "--training-data",
    "--vision": "--vision-encoder",
}


def main(argv: list[str] | None = None) -> None:
    """Run a command. Bad input, or a machine that fails: one sentence on standard error, exit code 2."""
    with streams(), _messages():
        code = _code(lambda: app(argv, exit_on_error=False, print_error=False))
        code = _code(sys.stdout.flush) or code
    raise SystemExit(code)


class _Print(logging.Handler):
    """Prints the bare sentence: what the library tells on standard output, what commands add on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr if record.name == command_log.name else sys.stdout)


@contextmanager
def _messages() -> Iterator[None]:
    """Show what is logged, and progress bars on standard error."""
    handler, level = _Print(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    show_progress()
    try:
        yield
    finally:
        show_progress(False)
        log.setLevel(level)
        log.removeHandler(handler)


def _code(step: Callable[[], object]) -> int:
    """The exit code of a step. A mistake of the program's own keeps its traceback."""
    try:
        step()
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        _say("stopped; what was done is kept, the same command goes on from there")
        return 130
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _say(sentence)
        return 2
    return 0


def _sentence(error: Exception) -> str | None:
    """What a user is told; None of what no user can mend."""
    if isinstance(error, UnknownOptionError) and error.token.keyword in _RENAMED:
        return f"{error.token.keyword} is called {_RENAMED[error.token.keyword]} now"
    if isinstance(error, PosetalkError | CycloptsError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = missing_package(error)
        return str(missing) if missing else None
    if isinstance(error, RecursionError):
        return "something in the input is nested too deeply to be read"
    said = str(error).lower()
    if isinstance(error, MemoryError) or any(word in said for word in _MEMORY):
        return f"there is not enough memory ({error or 'for one object'}); ask for less at once"
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return f"the system says: {error.strerror or error}{place}; what was done is kept"
    return f"{error}; what was done is kept" if any(word in said for word in _FULL) else None


def _say(sentence: str) -> None:
    with suppress(PosetalkError):  # of standard error itself
        print(f"posetalk: {' '.join(sentence.split())}", file=sys.stderr)
