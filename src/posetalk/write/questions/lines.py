"""Read and write JSON lines, the format of a benchmark's files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError

T = TypeVar("T")
LONGEST = 16 * 2**20  # longest line in characters; a file without line ends is no file of lines


def read_lines(path: Path, parse: Callable[[Any], T], advice: str) -> Iterator[T]:
    """Read JSON lines. Blank lines are passed over; half characters (lone surrogates) become question marks.

    Args:
        path: The file.
        parse: Turns a decoded line into a record.
        advice: What to do about a bad file, for the error.

    Yields:
        What `parse` returns for each line.

    Raises:
        PosetalkError: The file cannot be read or is empty, or a line is no JSON, is longer than LONGEST or is refused
            by `parse`; the sentence names the line.
    """
    number = records = 0
    try:
        with Path(path).open(encoding="utf-8") as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise PosetalkError(f"it is longer than {LONGEST:,} characters")
                if line.strip():
                    records += 1
                    yield _parse_line(line, parse)
    except PosetalkError as error:
        raise PosetalkError(f"{path}, line {number}: {error}; {advice}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PosetalkError(f"cannot read {path}: {error}; {advice}") from None
    if not records:
        raise PosetalkError(f"{path} is empty; {advice}")


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write a JSON object a line. Half characters become question marks. Raises PosetalkError where this fails."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="replace") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def plain(text: str) -> str:
    """The text with a question mark for each half character, which no file and no request can hold."""
    return text.encode("utf-8", "replace").decode()


def _parse_line(line: str, parse: Callable[[Any], T]) -> T:
    try:
        row = json.loads(line)
        if "\\u" in line:  # an escape can be half a character
            row = json.loads(plain(json.dumps(row, ensure_ascii=False)))
        return parse(row)
    except KeyError as error:
        raise PosetalkError(f"it has no {error}") from None
    except PosetalkError:
        raise
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise PosetalkError(f"it cannot be read ({type(error).__name__}: {error})") from None
