"""COCO's pictures with all that is written of them, one at a time: people, captions and objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.read.captions import Caption, caption_of
from posetalk.read.coco import Annotation, Category, CocoFile, declared_keypoints, pose_images
from posetalk.read.files import decode_record, none_left
from posetalk.read.objects import Instance, Thing, instance_of, read_categories, thing_of
from posetalk.read.stream import read_records
from posetalk.skeleton import Skeleton
from posetalk.skeleton import skeleton as built_in
from posetalk.types import PoseImage

_PERSON = msgspec.json.Decoder(Annotation)
_CATEGORY = msgspec.json.Decoder(Category)
_INSTANCE = msgspec.json.Decoder(Instance)


class _Id(msgspec.Struct):
    id: int


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """captions: in the file's order; things: its objects but for people and crowds."""

    image: PoseImage
    captions: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()


class Pictures:
    """The pictures of COCO's person keypoints that have people, with captions and objects: read through once, then
    kept by picture in a temporary file, so that memory does not grow with the data set.

    annotations, captions, objects: person_keypoints_*.json, captions_*.json, instances_*.json; images: the folder of
    the pictures, which need not be there; skeleton: coco17 by default.
    skipped: a sentence for each record left out so far; those of people are looked at as their picture comes.
    Errors: as `read_coco`, `read_captions` and `read_objects`.
    """

    def __init__(
        self,
        annotations: Path,
        captions: Path | None = None,
        objects: Path | None = None,
        *,
        images: Path | None = None,
        skeleton: Skeleton | None = None,
    ) -> None:
        self.annotations, self.objects = Path(annotations), objects
        self.images = images or self.annotations.parent
        self.points = skeleton or built_in("coco17")
        self._skipped: dict[str, None] = {}
        early: list[str] = []
        self._rows = sqlite3.connect("", check_same_thread=False)  # a file nobody sees
        self._rows.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, raw BLOB)")
        for what in ("people", "captions", "objects"):
            self._rows.execute(f"CREATE TABLE {what} (image INTEGER, raw BLOB)")
        read = read_records(self.annotations, "categories", lambda r: decode_record(_CATEGORY, r), early)
        self._categories = list(read)
        self._declared = declared_keypoints(
            self._categories, self.points, self.annotations, chosen=skeleton is not None
        )
        self._keep_pictures(early)
        self._keep("people", self.annotations, lambda raw: decode_record(_PERSON, raw), early)
        if captions:
            self._keep("captions", captions, caption_of, early)
        self._names = read_categories(objects, early) if objects else {}
        if objects:
            self._keep("objects", objects, instance_of, early)
        self._skipped |= dict.fromkeys(early)

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        return self.points.names

    @property
    def skipped(self) -> list[str]:
        return list(self._skipped)

    def ids(self) -> list[int]:
        """Of all pictures with people, in order."""
        return [row[0] for row in self._rows.execute(_WITH_PEOPLE)]

    def __len__(self) -> int:
        return len(self.ids())

    def __iter__(self) -> Iterator[Picture]:
        """In the order of their ids."""
        for image_id in self.ids():
            picture = self.one(image_id)
            if picture is not None:
                yield picture

    def one(self, image_id: int) -> Picture | None:
        """The picture of that id; None where nothing of it or of its people can be read."""
        row = self._rows.execute("SELECT raw FROM pictures WHERE id = ?", (image_id,)).fetchone()
        late: list[str] = []
        file = CocoFile(
            images=[msgspec.Raw(row[0])] if row else [],
            annotations=[msgspec.Raw(one) for one in self._of("people", image_id)],
            categories=self._categories,
        )
        found = pose_images(file, self.points, self._declared, self.images, self.annotations, late)
        captions = tuple(msgspec.json.decode(one)["caption"] for one in self._of("captions", image_id))
        things = []
        for one in self._of("objects", image_id):
            try:
                things.append(thing_of(_INSTANCE.decode(one), self._names))
            except PosetalkError as error:
                late.append(f"{self.objects}: an object of image {image_id}: {error}")
        self._skipped |= dict.fromkeys(late)
        if not found or not found[0].people:
            return None
        return Picture(found[0], captions, tuple(thing for thing in things if thing is not None))

    def _of(self, what: str, image_id: int) -> list[bytes]:
        return [row[0] for row in self._rows.execute(f"SELECT raw FROM {what} WHERE image = ?", (image_id,))]

    def _keep_pictures(self, skipped: list[str]) -> None:
        def read(raw: msgspec.Raw) -> tuple[int, bytes]:
            return decode_record(msgspec.json.Decoder(_Id), raw).id, bytes(raw)

        rows = read_records(self.annotations, "images", read, skipped)
        before = self._rows.total_changes
        self._rows.executemany("INSERT OR IGNORE INTO pictures VALUES (?, ?)", rows)
        if self._rows.total_changes == before:
            raise none_left(self.annotations, skipped, "images")

    def _keep(
        self,
        what: str,
        path: Path,
        read: Callable[[msgspec.Raw], Annotation | Caption | Instance],
        skipped: list[str],
    ) -> None:
        """Keep each record without what is not read of it (outlines)."""

        def row(raw: msgspec.Raw) -> tuple[int, bytes]:
            record = read(raw)
            return record.image_id, msgspec.json.encode(record)

        before = self._rows.total_changes
        found = read_records(path, "annotations", row, skipped)
        self._rows.executemany(f"INSERT INTO {what} VALUES (?, ?)", found)
        if self._rows.total_changes == before:
            raise none_left(path, skipped, what)
        self._rows.execute(f"CREATE INDEX {what}_of ON {what} (image)")


_WITH_PEOPLE = "SELECT id FROM pictures WHERE id IN (SELECT image FROM people) ORDER BY id"
