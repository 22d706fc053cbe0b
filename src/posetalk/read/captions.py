"""COCO's captions file: what people wrote of each picture."""

from __future__ import annotations

from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.read.files import decode_file, decode_record, none_left, record_id


class _Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


class _File(msgspec.Struct):
    annotations: list[msgspec.Raw]


def read_captions(path: Path) -> tuple[dict[int, tuple[str, ...]], list[str]]:
    """captions_*.json -> image id -> its captions in the file's order, blanks made single; and what was left out.

    Errors: unreadable file, not this form, no caption.
    """
    path = Path(path)
    file = decode_file(path, _File, "a COCO captions file")
    decoder = msgspec.json.Decoder(_Caption)
    found: dict[int, list[str]] = {}
    skipped: list[str] = []
    for number, raw in enumerate(file.annotations, 1):
        try:
            record = decode_record(decoder, raw)
            text = " ".join(record.caption.split())
            if not text:
                raise PosetalkError("its caption is empty")
        except PosetalkError as error:
            skipped.append(f"{path}: annotation {record_id(raw, number)}: {error}")
            continue
        found.setdefault(record.image_id, []).append(text)
    if not found:
        raise none_left(path, skipped, "captions")
    return {image: tuple(texts) for image, texts in found.items()}, skipped
