"""Reading JSON and MATLAB files, with an error of one sentence for every fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from posetalk.errors import PosetalkError

T = TypeVar("T")

# A string (an unterminated one to the end of the text), or NaN and Infinity, which Python writes although they are not
# JSON; in a record also an integer written as 1.0, as pandas and numpy write ids (group 1 without the .0).
_STRING_OR_NAN = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?(?:NaN|Infinity)'
_OF_FILE = re.compile(_STRING_OR_NAN, re.DOTALL)
_OF_RECORD = re.compile(_STRING_OR_NAN + rb"|(?<![\w.+-])(-?\d++)\.0++(?![\w.])", re.DOTALL)
# An escape in a string; group 1 is a surrogate without its other half.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.",
    re.DOTALL,
)


class TooDeep(PosetalkError):
    """JSON that is nested too deeply to decode; `stream.records` skips such records."""


class _RecordId(msgspec.Struct):
    id: Any


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises PosetalkError: missing, a folder, unreadable, empty."""
    return _read(path, -1)


def read_start(path: Path, size: int = 65_536) -> bytes:
    """The first bytes of a file without leading blanks, to recognise its format. Raises as `read_bytes`."""
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
    return data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of some editors


def decode_file(path: Path, kind: type[T], what: str) -> T:
    """Decode a JSON file as `kind`.

    NaN and Infinity become null and lone surrogates NUL, so that only the records with them are refused when they are
    decoded.

    Args:
        path: The file.
        kind: The type to decode to.
        what: The name of the form, for the error.

    Raises:
        PosetalkError: As `read_bytes`; incomplete JSON; another form; `TooDeep`.
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
    """Decode one record; 1.0 is read as 1. Raises PosetalkError with only the reason; the caller names the record."""
    try:
        return _decode(decoder, bytes(raw), _OF_RECORD)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PosetalkError(reason(error)) from None


def _decode(decoder: msgspec.json.Decoder[T], data: bytes, tokens: re.Pattern[bytes]) -> T:
    """Decode as is, or else repaired."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        repaired = _repaired(data, tokens)
        if repaired == data:
            raise
    return decoder.decode(repaired)


def record_id(raw: msgspec.Raw, number: int) -> str:
    """The name of a record in errors: its id, or else `number` and its position in the file from 1."""
    try:
        return str(_decode(msgspec.json.Decoder(_RecordId), bytes(raw), _OF_RECORD).id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"number {number}"


def load_mat(path: Path) -> dict[str, Any]:
    """The arrays of a MATLAB file (version 4 to 7). Raises as `read_bytes`, and for other files."""
    import io

    from scipy.io import loadmat

    from posetalk.formats.mat import check_mat

    data = read_bytes(path)
    try:
        check_mat(data)
        return dict(loadmat(io.BytesIO(data)))
    except Exception as error:  # scipy raises anything on damaged files, such as zlib.error and struct.error
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PosetalkError(f"{path} is not a MATLAB file that can be read ({why}); fetch it again") from None


def reason(error: Exception) -> str:
    """The decoder's message in plain words: "expected float, got nothing (null or NaN) at bbox[0]"."""
    text = str(error).replace("`", "").replace(" - at $", " at ").replace("at .", "at ")
    text = (
        text.replace("float | null", "float")
        .replace("got null", "got nothing (null or NaN)")
        .replace("Object missing", "missing")
    )
    return text[:1].lower() + text[1:]


def need_folder(images: Path) -> None:
    """Refuse a folder of images that does not exist; the images themselves are looked up when they are opened."""
    if not images.is_dir():
        raise PosetalkError(f"{images} is not a folder; give the folder that holds the images")


def none_left(path: Path, skipped: list[str], what: str) -> PosetalkError:
    """The error for a file from which no record could be read."""
    if not skipped:
        return PosetalkError(f"{path} holds no {what}; give a file with at least one")
    rest = f", and {len(skipped) - 1} more like it" if len(skipped) > 1 else ""
    return PosetalkError(
        f"none of the records of {path} can be read: {skipped[0].removeprefix(f'{path}: ')}{rest}"
    )


def _repaired(data: bytes, tokens: re.Pattern[bytes]) -> bytes:
    """JSON text with null for NaN and Infinity, NUL (which no file name has) for lone surrogates, and 1 for 1.0.

    Pieces are views of the text, as files are large: it is in memory no more than twice.
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
