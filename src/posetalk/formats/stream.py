"""The records of a large JSON file one by one, so that memory does not grow with the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import read_start, record_id

T = TypeVar("T")

CHUNK = 1 << 20  # bytes read at a time
# A complete string, a string that the chunk cuts off (group 1), or a bracket.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|(\\?\Z))|[\[\]{}]', re.DOTALL)


def records(path: Path) -> Iterator[tuple[str, msgspec.Raw]]:
    """The undecoded records of a JSON object whose values are lists of objects, each with its list's key.

    Raises:
        PosetalkError: A file that cannot be read, is no such object or is cut off. Records are not decoded here.
    """
    if not read_start(path).startswith(b"{"):
        raise PosetalkError(f"{path} is no JSON object with lists of records; give COCO's own file")
    depth, key, record_start = 0, "", 0
    with path.open("rb") as file:
        buffer, position = b"", 0
        while chunk := file.read(CHUNK):
            buffer = buffer[record_start if depth > 2 else position :] + chunk
            position -= record_start if depth > 2 else position
            record_start = 0
            for match in _TOKEN.finditer(buffer, position):
                if match[1] is not None:
                    break  # the rest of the string is in the next chunk
                position = match.end()
                bracket = buffer[match.start()]
                if bracket == ord('"'):
                    if depth == 1:
                        key = buffer[match.start() + 1 : position - 1].decode("utf-8", "replace")
                elif bracket in b"{[":
                    depth += 1
                    if depth == 3:
                        record_start = match.start()
                else:
                    depth -= 1
                    if depth == 2:
                        yield key, msgspec.Raw(buffer[record_start:position])
            else:
                position = len(buffer)
    if depth != 0:
        raise PosetalkError(f"{path} is not whole JSON (it ends within a list); fetch or write it again")


def read_records(path: Path, key: str, read: Callable[[msgspec.Raw], T], skipped: list[str]) -> Iterator[T]:
    """Each record of a list, decoded by `read`; a record that `read` refuses becomes a sentence in `skipped`."""
    number = 0
    for name, raw in records(path):
        if name != key:
            continue
        number += 1
        try:
            yield read(raw)
        except PosetalkError as error:
            skipped.append(f"{path}: {key.removesuffix('s')} {record_id(raw, number)}: {error}")
