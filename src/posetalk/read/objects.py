"""COCO's instances file: what else is in each picture, by category and box."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.read.files import decode_file, decode_record, none_left, record_id
from posetalk.types import Box


@dataclass(frozen=True, slots=True)
class Thing:
    """An object in a picture: COCO's name of its category, and its box in px of the full image."""

    name: str
    box: Box


class _Instance(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: int | bool = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _File(msgspec.Struct):
    annotations: list[msgspec.Raw]
    categories: list[_Category]


def read_objects(path: Path) -> tuple[dict[int, tuple[Thing, ...]], list[str]]:
    """instances_*.json -> image id -> its objects but for people and crowds; and what was left out.

    Errors: unreadable file, not this form, no object.
    """
    path = Path(path)
    file = decode_file(path, _File, "a COCO instances file")
    names = {category.id: category.name for category in file.categories}
    decoder = msgspec.json.Decoder(_Instance)
    found: dict[int, list[Thing]] = {}
    skipped: list[str] = []
    for number, raw in enumerate(file.annotations, 1):
        try:
            record = decode_record(decoder, raw)
            if record.category_id not in names:
                raise PosetalkError(f"its category {record.category_id} is not among the file's categories")
            if names[record.category_id] == "person" or record.iscrowd:
                continue
            if len(record.bbox) != 4:
                raise PosetalkError(f"its bbox has {len(record.bbox)} numbers instead of 4")
            thing = Thing(names[record.category_id], Box(*record.bbox))
        except PosetalkError as error:
            skipped.append(f"{path}: annotation {record_id(raw, number)}: {error}")
            continue
        found.setdefault(record.image_id, []).append(thing)
    if not found:
        raise none_left(path, skipped, "objects")
    return {image: tuple(things) for image, things in found.items()}, skipped
