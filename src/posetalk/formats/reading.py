"""The state of reading a COCO-style file: its categories, and what was left out so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record, none_left, record_id
from posetalk.formats.names import built_in_with
from posetalk.skeleton import Skeleton, load_skeleton

# For files without boxes: the keypoints of a COCO person span 0.83 of the box's height, and 1 / 0.83 is 1.2.
BOX_OF_POINTS = 1.2
LARGEST_ID = 2**63 - 1  # that databases and tables can store


class Category(msgspec.Struct):
    id: int
    name: str = ""
    keypoints: list[str] = []


@dataclass(slots=True)
class Reading:
    """The state of reading a file.

    categories: the file's. declared: how many keypoints its person category names, 0 if they are not the skeleton's.
    skipped: a sentence for each record left out. unboxed: ids of the people whose boxes were made from keypoints.
    outside: (image id, person id) -> number of labelled keypoints, of people whose box lies outside the image.
    """

    path: Path
    images: Path
    skeleton: Skeleton
    categories: list[Category]
    declared: int
    skipped: list[str] = field(default_factory=list)
    unboxed: set[int] = field(default_factory=set)
    outside: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def person_ids(self) -> set[int]:
        """The ids of the categories that are people."""
        ids = {c.id for c in self.categories if c.name.lower() == "person"}
        category_1_is_other = any(c.id == 1 and c.name for c in self.categories)
        return ids or (set() if category_1_is_other else {1})

    def no_people_error(self) -> PosetalkError:
        """The error for a file from which no person could be read."""
        categories = [f"{c.name or 'without a name'} (id {c.id})" for c in self.categories]
        if self.skipped or not categories or any(c.id in self.person_ids for c in self.categories):
            return none_left(self.path, self.skipped, "people")
        return PosetalkError(
            f"{self.path} holds no people: none of its categories is called person; there are "
            f"{', '.join(categories[:5])}{', ...' if len(categories) > 5 else ''}; call the people's category person"
        )

    def notes(self) -> list[str]:
        """A sentence about boxes that were made from keypoints, if there are any."""
        count = len(self.unboxed)
        sentence = f"{count:,} people have no bbox; their boxes are made" if count > 1 else ""
        sentence = sentence or "1 person has no bbox; the box is made"
        return [f"{self.path}: {sentence} from the keypoints, each side x {BOX_OF_POINTS}"] if count else []


def start_reading(
    path: Path, images: Path, skeleton: Skeleton | None, categories: Iterable[msgspec.Raw]
) -> Reading:
    """Start reading a file with its categories.

    Raises:
        PosetalkError: The file names keypoints that are no built-in skeleton's. Not checked if the caller gives one.
    """
    decoder = msgspec.json.Decoder(Category)
    reading = Reading(path, images, skeleton or load_skeleton("coco17"), [], 0)
    for number, raw in enumerate(categories, 1):
        try:
            reading.categories.append(decode_record(decoder, raw))
        except PosetalkError as error:
            reading.skipped.append(f"{path}: category {record_id(raw, number)}: {error}")
    for category in reading.categories:
        names = tuple(n.replace("_", " ").lower() for n in category.keypoints)
        if category.id not in reading.person_ids or not names:
            continue
        if names[: len(reading.skeleton)] == reading.skeleton.names:
            reading.declared = len(names)
            break
        if skeleton is None and (named := built_in_with(category.keypoints)):
            reading.skeleton, reading.declared = named, len(names)
            break
        if skeleton is None:
            raise PosetalkError(
                f"{path} labels other keypoints ({', '.join(names[:4])} ...) than {reading.skeleton.name}; "
                "give the skeleton they belong to"
            )
    return reading


def check_id(number: int, what: str = "id") -> None:
    """Refuse an id that databases and tables cannot store."""
    if abs(number) > LARGEST_ID:
        raise PosetalkError(f"its {what} {number} is beyond 64 bits; number the images anew")
