"""COCO's instances file: the objects of each image, by category and box."""

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
    """An object in an image: COCO's name of its category, and its box in px of the full image."""

    name: str
    box: Box


class Objects(dict[int, tuple[Thing, ...]]):
    """The objects by image id; `notes` has a sentence for each doubt about the boxes."""

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
    """Decode a record. Raises PosetalkError with only the reason."""
    return decode_record(_INSTANCE, raw)


def read_categories(path: Path, skipped: list[str]) -> dict[int, str]:
    """The names of a file's categories by id. Raises PosetalkError if there are none."""
    categories = read_records(path, "categories", lambda raw: decode_record(_CATEGORY, raw), skipped)
    names = {category.id: category.name for category in categories}
    if not names:
        raise PosetalkError(
            f"{path} is not a COCO instances file: it names no categories; give instances_*.json"
        )
    return names


def to_thing(record: Instance, names: Mapping[int, str]) -> Thing | None:
    """The object of a record; None for people and crowds. Raises PosetalkError with only the reason."""
    if record.category_id not in names:
        raise PosetalkError(f"its category {record.category_id} is not among the file's categories")
    if names[record.category_id] == "person" or record.iscrowd:
        return None
    if len(record.bbox) != 4:
        raise PosetalkError(f"its bbox has {len(record.bbox)} numbers instead of 4")
    return Thing(names[record.category_id], Box(*record.bbox))


def instance_box(record: Instance) -> Box | None:
    """The box of any record, also of people and crowds; None if it is not a valid box."""
    try:
        return Box(*record.bbox) if len(record.bbox) == 4 else None
    except PosetalkError:
        return None


def read_objects(
    path: str | Path, *, sizes: Mapping[int, Size | None] | None = None
) -> tuple[Objects, list[str]]:
    """Read the objects of a COCO instances file.

    Args:
        path: instances_*.json.
        sizes: Image id -> (width, height) px of the labelled images, None if unknown; with it, boxes are checked
            against the images.

    Returns:
        The objects by image id, without people and crowds; and a sentence for each record left out.

    Raises:
        PosetalkError: A file that cannot be read or has another form, no object, boxes of another format or of other
            images.
    """
    path = Path(path)
    skipped: list[str] = []
    names = read_categories(path, skipped)
    checks = BoxChecks(sizes)

    def read(raw: msgspec.Raw) -> tuple[int, Thing | None]:
        record = decode_instance(raw)
        if box := instance_box(record):
            checks.add(record.image_id, box)
        return record.image_id, to_thing(record, names)

    things_of: dict[int, list[Thing]] = {}
    for image, thing in read_records(path, "annotations", read, skipped):
        if thing is not None:
            things_of.setdefault(image, []).append(thing)
    if not things_of:
        raise none_left(path, skipped, "objects")
    objects = Objects({image: tuple(things) for image, things in things_of.items()})
    objects.notes = tuple(checks.check(path, WRITE_XYWH))
    return objects, skipped
