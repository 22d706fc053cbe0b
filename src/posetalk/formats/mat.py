"""Whether a MATLAB file is sound enough for scipy, which a tag of an unknown type kills, and the process with it."""

from __future__ import annotations

import struct
import zlib

TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18}  # of elements, MAT-File Format, "Data Types"
MATRIX, COMPRESSED = 14, 15
HEADER = 128  # bytes; the last two say which way round numbers are
MAX_BYTES = 1 << 31  # bytes of a compressed element; LSPET's are 3 MB


def check_mat(data: bytes) -> None:
    """Follow the tags of a file of version 5 or 7. Errors: ValueError, an element of no known type."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if order is None:  # of version 4 or 7.3, or none at all: scipy reads or refuses them in another way
        return
    position = HEADER
    while position + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind == COMPRESSED:
            content = zlib.decompressobj().decompress(data[position + 8 : position + 8 + size], MAX_BYTES)
            _check_elements(content, 0, order)
        else:
            _check_elements(data, position, order)
        position += 8 + size


def _check_elements(data: bytes, position: int, order: str) -> None:
    """One element after the other as scipy takes them, those of a matrix too, whatever length the matrix states."""
    while position + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size = kind & 0xFFFF, 0
        elif kind == COMPRESSED:
            return  # the next variable
        if kind not in TYPES:
            raise ValueError(f"it has an element of the type {kind}, which MATLAB does not know")
        position += 8 if kind == MATRIX else 8 + (size + 7) // 8 * 8
