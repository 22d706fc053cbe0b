"""JSON lines, the form of the files of a benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError

T = TypeVar("T")
LONGEST = 16 * 2**20  # characters of a line: a file without line ends is no file of lines


def read_lines(path: Path, of: Callable[[Any], T], what_to_do: str) -> Iterator[T]:
    """What `of` makes of each line of a file; blank lines are passed over, half characters are question marks.

    Errors: a file that cannot be read or has no line, a line that is no JSON, longer than LONGEST or that `of` does not
    take, with its number, and `what_to_do` about it.
    """
    number = found = 0
    try:
        with Path(path).open(encoding="utf-8") as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise PosetalkError(f"it is longer than {LONGEST:,} characters")
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
    """A row a line; half characters are question marks. Errors: it cannot be written."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="replace") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def plain(text: str) -> str:
    """A text with a question mark for each half of a character, which no file and no request can hold."""
    return text.encode("utf-8", "replace").decode()


def _read(line: str, of: Callable[[Any], T]) -> T:
    try:
        row = json.loads(line)
        if "\\u" in line:  # as which JSON can hold half a character
            row = json.loads(plain(json.dumps(row, ensure_ascii=False)))
        return of(row)
    except KeyError as error:
        raise PosetalkError(f"it has no {error}") from None
    except PosetalkError:
        raise
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise PosetalkError(f"it cannot be read ({type(error).__name__}: {error})") from None
