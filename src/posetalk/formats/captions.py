"""COCO's captions file: the captions of each image."""

from __future__ import annotations

from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record, none_left
from posetalk.formats.stream import read_records


class Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


_DECODER = msgspec.json.Decoder(Caption)


def decode_caption(raw: msgspec.Raw) -> Caption:
    """Decode a record, with single blanks. Raises PosetalkError with only the reason."""
    record = decode_record(_DECODER, raw)
    text = " ".join(record.caption.split())
    if not text:
        raise PosetalkError("its caption is empty")
    if "\0" in text:  # see `files.decode_record`
        raise PosetalkError("its caption holds NUL or half a character")
    return Caption(record.image_id, text)


def read_captions(path: str | Path) -> tuple[dict[int, tuple[str, ...]], list[str]]:
    """Read a COCO captions file.

    Args:
        path: captions_*.json.

    Returns:
        The captions by image id, in the order of the file and with single blanks; and a sentence for each record left
        out.

    Raises:
        PosetalkError: A file that cannot be read or has another form, no caption.
    """
    path = Path(path)
    captions: dict[int, list[str]] = {}
    skipped: list[str] = []
    for record in read_records(path, "annotations", decode_caption, skipped):
        captions.setdefault(record.image_id, []).append(record.caption)
    if not captions:
        raise none_left(path, skipped, "captions")
    return {image: tuple(texts) for image, texts in captions.items()}, skipped
