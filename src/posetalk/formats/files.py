"""Annotation files from disk, JSON and MATLAB, with every fault said in one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from posetalk.errors import PosetalkError

T = TypeVar("T")

# A string, to the end of the text where it has none, or one of the numbers that Python's json writes and JSON does not
# have; in a record also a whole number written as 1.0, as pandas and numpy write ids (group 1 without the .0).
_STRING_OR_NAN = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?(?:NaN|Infinity)'
_OF_FILE = re.compile(_STRING_OR_NAN, re.DOTALL)
_OF_RECORD = re.compile(_STRING_OR_NAN + rb"|(?<![\w.+-])(-?\d++)\.0++(?![\w.])", re.DOTALL)
# An escape in a string: half of a character without its other half is group 1.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.",
    re.DOTALL,
)


class TooDeep(PosetalkError):
    """JSON with more brackets in brackets than are read; see `stream.records`, which passes over them."""


class _Id(msgspec.Struct):
    id: Any


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Errors: missing, a folder, unreadable, empty."""
    return _read(path, -1)


def read_start(path: Path, size: int = 65_536) -> bytes:
    """The first bytes of a file, without leading blanks: enough to tell its form. Errors: as `read_bytes`."""
    return _read(path, size).lstrip()


def _read(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(size)
    except IsADirectoryError:
        raise PosetalkError(f"{path} is a folder; give the annotation file itself") from None
    except FileNotFoundError:
        raise PosetalkError(f"there is no file {path}; check the path") from None
    except (OSError, ValueError) as error:
        raise PosetalkError(f"cannot read {path}: {error}") from None
    if not data or data.isspace():
        raise PosetalkError(f"{path} is empty; fetch or write it again")
    return data.removeprefix(b"\xef\xbb\xbf")  # the mark some editors put before UTF-8


def decode_file(path: Path, kind: type[T], what: str) -> T:
    """The JSON file as `kind`; `what` names its form in errors. NaN and Infinity become null, half characters NUL.

    So a record that holds one is refused on its own when it is decoded, and the others are not. Errors: as
    `read_bytes`; not whole JSON; another form; `TooDeep`.
    """
    data = read_bytes(path)
    try:
        return _decode(msgspec.json.Decoder(kind), data, _OF_FILE)
    except msgspec.ValidationError as error:
        raise PosetalkError(f"{path} is not {what}: {reason(error)}") from None
    except RecursionError as error:
        raise TooDeep(f"{path} is not whole JSON ({reason(error)}); fetch or write it again") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PosetalkError(f"{path} is not whole JSON ({reason(error)}); fetch or write it again") from None


def decode_record(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw) -> T:
    """One record; 1.0 is read as 1. Errors: PosetalkError with the reason alone, for the reader to name the record."""
    try:
        return _decode(decoder, bytes(raw), _OF_RECORD)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PosetalkError(reason(error)) from None


def _decode(decoder: msgspec.json.Decoder[T], data: bytes, tokens: re.Pattern[bytes]) -> T:
    """As it stands, or else mended."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        repaired = _repaired(data, tokens)
        if repaired == data:
            raise
    return decoder.decode(repaired)


def record_id(raw: msgspec.Raw, number: int) -> str:
    """How to name a record: its id where it has one, or its place in the file, counted from 1."""
    try:
        return str(_decode(msgspec.json.Decoder(_Id), bytes(raw), _OF_RECORD).id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"number {number}"


def load_mat(path: Path) -> dict[str, Any]:
    """The arrays of a MATLAB file (version 4 to 7). Errors: as `read_bytes`, or not such a file."""
    import io

    from scipy.io import loadmat

    from posetalk.formats.mat import check_mat

    data = read_bytes(path)
    try:
        check_mat(data)
        return dict(loadmat(io.BytesIO(data)))
    except Exception as error:  # scipy raises anything on damaged files, zlib.error and struct.error among it
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PosetalkError(f"{path} is not a MATLAB file that can be read ({why}); fetch it again") from None


def reason(error: Exception) -> str:
    """The decoder's message in plain words: `Expected `float`, got `null` - at `$.bbox[0]`` and the like."""
    text = str(error).replace("`", "").replace(" - at $", " at ").replace("at .", "at ")
    text = (
        text.replace("float | null", "float")
        .replace("got null", "got nothing (null or NaN)")
        .replace("Object missing", "missing")
    )
    return text[:1].lower() + text[1:]


def need_folder(images: Path) -> None:
    """The folder of the images must be there; the images are looked for when they are opened."""
    if not images.is_dir():
        raise PosetalkError(f"{images} is not a folder; give the folder that holds the pictures")


def none_left(path: Path, skipped: list[str], what: str) -> PosetalkError:
    """The error for a file of which no record could be read."""
    if not skipped:
        return PosetalkError(f"{path} holds no {what}; give a file with at least one")
    rest = f", and {len(skipped) - 1} more like it" if len(skipped) > 1 else ""
    return PosetalkError(
        f"none of the records of {path} can be read: {skipped[0].removeprefix(f'{path}: ')}{rest}"
    )


def _repaired(data: bytes, tokens: re.Pattern[bytes]) -> bytes:
    """The JSON text with null for NaN and Infinity, NUL for half characters, which no file name holds, and 1 for 1.0.

    It is held twice, as files are large.
    """
    if tokens is _OF_FILE and not any(sign in data for sign in (b"NaN", b"Infinity", b"\\ud", b"\\uD")):
        return data
    view, pieces, end = memoryview(data), [], 0
    for match in tokens.finditer(data):
        token = match[0]
        if token.startswith(b'"'):
            if b"\\ud" not in token.lower():
                continue
            replacement = _ESCAPE.sub(lambda escape: b"\\u0000" if escape[1] else escape[0], token)
        else:
            replacement = match[match.lastindex] if match.lastindex else b"null"
        pieces += [view[end : match.start()], memoryview(replacement)]
        end = match.end()
    return b"".join([*pieces, view[end:]])
