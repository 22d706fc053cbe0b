"""Lists of images: one name a line, JSON lines with names and ids, or the images of a COCO file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record
from posetalk.formats.paths import image_path
from posetalk.formats.stream import records

SUFFIXES = (".txt", ".jsonl", ".json")


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image of a list. path: the file; key: what its predictions call it; id: its id, if the list gives one."""

    path: Path
    key: str
    id: int | None = None


class _CocoImage(msgspec.Struct):
    id: int
    file_name: str


def is_list(path: str) -> bool:
    """Whether a path is named like a list of images."""
    return path.lower().endswith(SUFFIXES)


def read_list(path: Path) -> Iterator[ListedImage]:
    """The images of a list, one at a time.

    `.txt` has a path on each line. `.jsonl` has an object on each line: `path`, and if wanted `file_name`, which the
    predictions call it, and `image_id`. Paths are relative to the folder of the list. `.json` is a COCO file, whose
    images lie in its folder.

    Raises:
        PosetalkError: the list cannot be read or has no image; a line or record names none.
    """
    count = 0
    for image in _coco(path) if path.suffix.lower() == ".json" else _lines(path):
        count += 1
        yield image
    if not count:
        raise PosetalkError(f"the list {path} names no image; check it")


def list_line(image: ListedImage) -> str:
    """An image as a line of a `.jsonl` list."""
    row = {"path": str(image.path), "file_name": image.key, "image_id": image.id}
    return json.dumps({key: value for key, value in row.items() if value is not None}) + "\n"


def _lines(path: Path) -> Iterator[ListedImage]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if text := line.strip():
                    try:
                        yield _decoded(text, path) if path.suffix.lower() == ".jsonl" else _named(text, path)
                    except (ValueError, TypeError, KeyError, RecursionError):
                        raise PosetalkError(
                            f"{path}, line {number}: it names no image; give an object with path, and if wanted "
                            "file_name (on one line) and image_id (a whole number)"
                        ) from None
    except OSError as error:
        raise PosetalkError(f"cannot read the list {path}: {error.strerror}") from None


def _named(text: str, path: Path) -> ListedImage:
    return ListedImage(path.parent / text, text)


def _decoded(text: str, path: Path) -> ListedImage:
    row = json.loads(text)
    place = row["path"]
    key, image_id = row.get("file_name", place), row.get("image_id")
    if not isinstance(key, str) or len(key.splitlines()) != 1 or type(image_id) not in (int, type(None)):
        raise ValueError
    return ListedImage(path.parent / place, key, image_id)


def _coco(path: Path) -> Iterator[ListedImage]:
    decoder = msgspec.json.Decoder(_CocoImage)
    for key, raw in records(path):
        if key == "images":
            record = decode_record(decoder, raw)
            try:
                yield ListedImage(image_path(path.parent, record.file_name), record.file_name, record.id)
            except PosetalkError as error:
                raise PosetalkError(f"{path}: image {record.id}: {error}") from None
