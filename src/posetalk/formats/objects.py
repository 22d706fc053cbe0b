"""COCO's instances file: what else is in each picture, by category and box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record, none_left
from posetalk.formats.stream import read_records
from posetalk.types import Box


@dataclass(frozen=True, slots=True)
class Thing:
    """An object in a picture: COCO's name of its category, and its box in px of the full image."""

    name: str
    box: Box


class Instance(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: int | bool = 0


class _Category(msgspec.Struct):
    id: int
    name: str


_INSTANCE, _CATEGORY = msgspec.json.Decoder(Instance), msgspec.json.Decoder(_Category)


def instance_of(raw: msgspec.Raw) -> Instance:
    """A record. Errors: PosetalkError with the reason alone."""
    return decode_record(_INSTANCE, raw)


def read_categories(path: Path, skipped: list[str]) -> dict[int, str]:
    """The names of a file's categories, which stand behind its records in COCO's own. Errors: none named."""
    found = read_records(path, "categories", lambda raw: decode_record(_CATEGORY, raw), skipped)
    names = {category.id: category.name for category in found}
    if not names:
        raise PosetalkError(
            f"{path} is not a COCO instances file: it names no categories; give instances_*.json"
        )
    return names


def thing_of(record: Instance, names: Mapping[int, str]) -> Thing | None:
    """The object of a record; None for people and crowds. Errors: PosetalkError with the reason alone."""
    if record.category_id not in names:
        raise PosetalkError(f"its category {record.category_id} is not among the file's categories")
    if names[record.category_id] == "person" or record.iscrowd:
        return None
    if len(record.bbox) != 4:
        raise PosetalkError(f"its bbox has {len(record.bbox)} numbers instead of 4")
    return Thing(names[record.category_id], Box(*record.bbox))


def read_objects(path: Path) -> tuple[dict[int, tuple[Thing, ...]], list[str]]:
    """instances_*.json -> image id -> its objects but for people and crowds; and what was left out.

    Errors: unreadable file, not this form, no object.
    """
    path = Path(path)
    skipped: list[str] = []
    names = read_categories(path, skipped)

    def read(raw: msgspec.Raw) -> tuple[int, Thing | None]:
        record = instance_of(raw)
        return record.image_id, thing_of(record, names)

    found: dict[int, list[Thing]] = {}
    for image, thing in read_records(path, "annotations", read, skipped):
        if thing is not None:
            found.setdefault(image, []).append(thing)
    if not found:
        raise none_left(path, skipped, "objects")
    return {image: tuple(things) for image, things in found.items()}, skipped
