"""JSON lines, the form of the files of a benchmark; and files that are there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from posetalk.errors import PosetalkError

T = TypeVar("T")


def read_lines(path: Path, of: Callable[[Any], T], what_to_do: str) -> Iterator[T]:
    """What `of` makes of each line of a file; blank lines are passed over.

    Errors: a file that cannot be read or has no line, a line that is no JSON or that `of` does not take, with its
    number, and `what_to_do` about it.
    """
    number = found = 0
    try:
        with Path(path).open(encoding="utf-8") as file:
            for line in file:
                number += 1
                if line.strip():
                    found += 1
                    yield _read(line, of)
    except PosetalkError as error:
        raise PosetalkError(f"{path}, line {number}: {error}; {what_to_do}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PosetalkError(f"cannot read {path}: {error}; {what_to_do}") from None
    if not found:
        raise PosetalkError(f"{path} is empty; {what_to_do}")


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """A row a line; half a character, which is no UTF-8, becomes a question mark. Errors: it cannot be written."""
    with whole(path) as part, part.open("w", encoding="utf-8", errors="replace") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all is written. Errors: it cannot be written."""
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise PosetalkError(f"cannot write {path}: {error}; choose another place") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _read(line: str, of: Callable[[Any], T]) -> T:
    try:
        return of(json.loads(line))
    except KeyError as error:
        raise PosetalkError(f"it has no {error}") from None
    except PosetalkError:
        raise
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise PosetalkError(f"it cannot be read ({type(error).__name__}: {error})") from None
