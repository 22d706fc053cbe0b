"""COCO's captions file: what people wrote of each picture."""

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
    """A record, blanks made single. Errors: PosetalkError with the reason alone."""
    record = decode_record(_DECODER, raw)
    text = " ".join(record.caption.split())
    if not text:
        raise PosetalkError("its caption is empty")
    if "\0" in text:  # see `files.decode_record`
        raise PosetalkError("its caption holds NUL or half a character")
    return Caption(record.image_id, text)


def read_captions(path: Path) -> tuple[dict[int, tuple[str, ...]], list[str]]:
    """captions_*.json -> image id -> its captions in the file's order, blanks made single; and what was left out.

    Errors: unreadable file, not this form, no caption.
    """
    found: dict[int, list[str]] = {}
    skipped: list[str] = []
    for record in read_records(Path(path), "annotations", decode_caption, skipped):
        found.setdefault(record.image_id, []).append(record.caption)
    if not found:
        raise none_left(path, skipped, "captions")
    return {image: tuple(texts) for image, texts in found.items()}, skipped
