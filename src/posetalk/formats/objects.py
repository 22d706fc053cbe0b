"""COCO's instances file: what else is in each picture, by category and box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record, none_left
from posetalk.formats.fit import BoxChecks
from posetalk.formats.scale import Size
from posetalk.formats.stream import read_records
from posetalk.types import Box


@dataclass(frozen=True, slots=True)
class Thing:
    """An object in a picture: COCO's name of its category, and its box in px of the full image."""

    name: str
    box: Box


class Objects(dict[int, tuple[Thing, ...]]):
    """The objects of each image id; `notes` has a sentence for whatever does not fit."""

    notes: tuple[str, ...] = ()


class Instance(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: int | bool = 0


class _Category(msgspec.Struct):
    id: int
    name: str


WRITE_XYWH = "write them as COCO's left, top, width, height"
_INSTANCE, _CATEGORY = msgspec.json.Decoder(Instance), msgspec.json.Decoder(_Category)


def decode_instance(raw: msgspec.Raw) -> Instance:
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


def to_thing(record: Instance, names: Mapping[int, str]) -> Thing | None:
    """The object of a record; None for people and crowds. Errors: PosetalkError with the reason alone."""
    if record.category_id not in names:
        raise PosetalkError(f"its category {record.category_id} is not among the file's categories")
    if names[record.category_id] == "person" or record.iscrowd:
        return None
    if len(record.bbox) != 4:
        raise PosetalkError(f"its bbox has {len(record.bbox)} numbers instead of 4")
    return Thing(names[record.category_id], Box(*record.bbox))


def instance_box(record: Instance) -> Box | None:
    """The box of any record, people's and crowds' too; None where it is none."""
    try:
        return Box(*record.bbox) if len(record.bbox) == 4 else None
    except PosetalkError:
        return None


def read_objects(path: Path, *, sizes: Mapping[int, Size | None] | None = None) -> tuple[Objects, list[str]]:
    """instances_*.json -> image id -> its objects but for people and crowds; and what was left out.

    sizes: image id -> (width, height) px of the labelled pictures, None where it is not known; with it, boxes that do
           not fit them are found out.
    Errors: unreadable file, not this form, no object, boxes of another form or of other pictures.
    """
    path = Path(path)
    skipped: list[str] = []
    names = read_categories(path, skipped)
    counted = BoxChecks(sizes)

    def read(raw: msgspec.Raw) -> tuple[int, Thing | None]:
        record = decode_instance(raw)
        if box := instance_box(record):
            counted.add(record.image_id, box)
        return record.image_id, to_thing(record, names)

    found: dict[int, list[Thing]] = {}
    for image, thing in read_records(path, "annotations", read, skipped):
        if thing is not None:
            found.setdefault(image, []).append(thing)
    if not found:
        raise none_left(path, skipped, "objects")
    objects = Objects({image: tuple(things) for image, things in found.items()})
    objects.notes = tuple(counted.check(path, WRITE_XYWH))
    return objects, skipped
