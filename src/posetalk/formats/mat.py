"""Check a MATLAB file before scipy reads it: an element of an unknown type crashes the process."""

from __future__ import annotations

import struct
import zlib

TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18}  # of elements, MAT-File Format, "Data Types"
MATRIX, COMPRESSED = 14, 15
HEADER = 128  # bytes; the last two are the byte order
MAX_BYTES = 1 << 31  # bytes of a compressed element; LSPET's are 3 MB


def check_mat(data: bytes) -> None:
    """Check the elements of a file of version 5 or 7. Raises ValueError for an unknown type."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER])
    if order is None:  # version 4 or 7.3, or no MATLAB file: scipy reads or refuses these safely
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
    """Check all elements as scipy visits them, inside matrices too, whatever length a matrix states."""
    while position + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:  # a small element: up to four bytes inside the tag
            kind, size = kind & 0xFFFF, 0
        elif kind == COMPRESSED:
            return  # the next variable
        if kind not in TYPES:
            raise ValueError(f"it has an element of the type {kind}, which MATLAB does not know")
        position += 8 if kind == MATRIX else 8 + (size + 7) // 8 * 8
