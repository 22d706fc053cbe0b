"""What goes for a whole COCO-style file while its people are read: its categories, and what has been left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_record, none_left, record_id
from posetalk.skeleton import Skeleton
from posetalk.skeleton import load_skeleton

# Where a file has no boxes: the extent of a COCO person's keypoints is 0.83 of the box's height, and this undoes it.
BOX_OF_POINTS = 1.2
LARGEST_ID = 2**63 - 1  # what databases and tables hold


class Category(msgspec.Struct):
    id: int
    name: str = ""
    keypoints: list[str] = []


@dataclass(slots=True)
class Reading:
    """What goes for a whole file, and what is found out while it is read.

    categories: the file's. declared: how many keypoints it names for a person, 0 if none that are the skeleton's.
    skipped: a sentence for each record left out. unboxed: ids of the people whose boxes are made. outside: by the ids
    of picture and person the number of labelled keypoints of those whose box lies outside the picture.
    """

    path: Path
    images: Path
    points: Skeleton
    categories: list[Category]
    declared: int
    skipped: list[str] = field(default_factory=list)
    unboxed: set[int] = field(default_factory=set)
    outside: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def person_ids(self) -> set[int]:
        found = {c.id for c in self.categories if c.name.lower() == "person"}
        named_otherwise = any(c.id == 1 and c.name for c in self.categories)
        return found or (set() if named_otherwise else {1})

    def nobody(self) -> PosetalkError:
        """The error for a file of which no person could be read."""
        named = [f"{c.name or 'without a name'} (id {c.id})" for c in self.categories]
        if self.skipped or not named or any(c.id in self.person_ids for c in self.categories):
            return none_left(self.path, self.skipped, "people")
        return PosetalkError(
            f"{self.path} holds no people: none of its categories is called person; there are {', '.join(named[:5])}"
            f"{', ...' if len(named) > 5 else ''}; call the people's category person"
        )

    def notes(self) -> list[str]:
        count = len(self.unboxed)
        said = f"{count:,} people have no bbox; their boxes are made" if count > 1 else ""
        said = said or "1 person has no bbox; the box is made"
        return [f"{self.path}: {said} from the keypoints, each side x {BOX_OF_POINTS}"] if count else []


def start_reading(
    path: Path, images: Path, skeleton: Skeleton | None, raws: Iterable[msgspec.Raw]
) -> Reading:
    """raws: the file's categories. Errors: it labels other keypoints than the skeleton's, coco17 by default.

    A chosen skeleton is the caller's word, and is not held against the file's names.
    """
    decoder = msgspec.json.Decoder(Category)
    points = skeleton or load_skeleton("coco17")
    found = Reading(path, images, points, [], 0)
    for number, raw in enumerate(raws, 1):
        try:
            found.categories.append(decode_record(decoder, raw))
        except PosetalkError as error:
            found.skipped.append(f"{path}: category {record_id(raw, number)}: {error}")
    for category in found.categories:
        names = tuple(n.replace("_", " ").lower() for n in category.keypoints)
        if category.id not in found.person_ids or not names:
            continue
        if names[: len(points)] == points.names:
            found.declared = len(names)
            break
        if skeleton is None:
            raise PosetalkError(
                f"{path} labels other keypoints ({', '.join(names[:4])} ...) than {points.name}; "
                "give the skeleton they belong to"
            )
    return found


def check_id(number: int, what: str = "id") -> None:
    """Errors: a number that databases and tables cannot hold."""
    if abs(number) > LARGEST_ID:
        raise PosetalkError(f"its {what} {number} is beyond 64 bits; number the pictures anew")
