"""A file of JSON lines that a run appends to and a later one reads: a killed run loses the line it was writing."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec

from posetalk.errors import PosetalkError

Line = TypeVar("Line", bound=msgspec.Struct)


class LineLog(Generic[Line]):
    """Appends lines of one kind.

    Attributes:
        before: The lines that the file held already.

    Raises:
        PosetalkError: the file cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path, kind: type[Line]) -> None:
        self._path = path
        try:
            self._file = path.open("a+b")
            self._file.seek(0)
            data = self._file.read()
            complete = data.rfind(b"\n") + 1
            self._file.truncate(complete)  # without a line that was cut off
        except OSError as error:
            raise self._write_error(error) from None
        try:
            self.before: list[Line] = msgspec.json.Decoder(kind).decode_lines(data[:complete])
        except (ValueError, RecursionError) as error:
            self.close()
            raise PosetalkError(f"{path} is damaged: {error}; choose another folder") from None

    def write(self, line: Line) -> None:
        """Append a line."""
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._write_error(error) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_error(self, error: OSError) -> PosetalkError:
        return PosetalkError(
            f"cannot write {self._path}: {error.strerror}; make room or choose another folder, what is there is kept"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
