"""COCO's pictures with all that is written of them, one at a time: people, captions and objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.captions import Caption, decode_caption
from posetalk.formats.coco import Annotation, pose_images
from posetalk.formats.files import decode_record, none_left
from posetalk.formats.fit import BoxChecks, check_labels, evenly_spaced, labelled_size
from posetalk.formats.objects import (
    WRITE_XYWH,
    Instance,
    Thing,
    instance_box,
    decode_instance,
    read_categories,
    to_thing,
)
from posetalk.formats.reading import check_id, start_reading
from posetalk.formats.scale import Size
from posetalk.formats.stream import read_records, records
from posetalk.skeleton import Skeleton
from posetalk.types import PoseImage

_PERSON = msgspec.json.Decoder(Annotation)
_INSTANCE = msgspec.json.Decoder(Instance)


class _Id(msgspec.Struct):
    id: int


_ID = msgspec.json.Decoder(_Id)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """captions: in the file's order; things: its objects but for people and crowds."""

    image: PoseImage
    captions: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()


class AnnotatedImages:
    """The pictures of COCO's person keypoints that have people, with captions and objects: read through once, then
    kept by picture in a temporary file, so that memory does not grow with the data set.

    annotations, captions, objects: person_keypoints_*.json, captions_*.json, instances_*.json; images: the folder of
    the pictures, which need not be there; skeleton: coco17 by default.
    skipped: a sentence for each record left out so far; those of people are looked at as their picture comes. notes:
    as a PoseSet's.
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
        self._skipped: dict[str, None] = {}
        self._rows = sqlite3.connect("", check_same_thread=False)  # a file nobody sees
        self._rows.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, raw BLOB)")
        for what in ("people", "captions", "objects"):
            self._rows.execute(f"CREATE TABLE {what} (image INTEGER, raw BLOB)")
        categories = (raw for key, raw in records(self.annotations) if key == "categories")
        self._reading = start_reading(self.annotations, self.images, skeleton, categories)
        early, self._reading.skipped = self._reading.skipped, []
        self._keep_pictures(early)
        self._keep_people(early)
        self._skipped |= dict.fromkeys(early)
        sizes: dict[int, Size | None] = {}
        self._notes = check_labels(
            self._measured(sizes), self.annotations, outside=self._reading.outside.values()
        )
        if not sizes and not any(self.get(image_id) for image_id in self.ids()):
            raise none_left(self.annotations, self.skipped, "people")
        if captions and not self._keep("captions", captions, decode_caption, early):
            raise none_left(captions, early, "captions")
        self._names = read_categories(objects, early) if objects else {}
        if objects and not self._keep("objects", objects, decode_instance, early):
            raise none_left(objects, early, "objects")
        if objects:
            self._notes += self._check_objects(sizes, objects)
        self._skipped |= dict.fromkeys(early)

    @property
    def points(self) -> Skeleton:
        return self._reading.points

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        return self.points.names

    @property
    def skipped(self) -> list[str]:
        return list(self._skipped)

    @property
    def notes(self) -> list[str]:
        return [*self._reading.notes(), *self._notes]

    def ids(self) -> list[int]:
        """Of all pictures with people, in order."""
        return [row[0] for row in self._rows.execute(_WITH_PEOPLE)]

    def __len__(self) -> int:
        return len(self.ids())

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """In the order of their ids."""
        for image_id in self.ids():
            picture = self.get(image_id)
            if picture is not None:
                yield picture

    def some(self) -> Iterator[PoseImage]:
        """Of all, or of many at equal distances: enough to see whether they fit."""
        return (picture.image for picture in map(self.one, evenly_spaced(self.ids())) if picture)

    def one(self, image_id: int) -> AnnotatedImage | None:
        """The picture of that id; None where nothing of it or of its people can be read."""
        row = self._rows.execute("SELECT raw FROM pictures WHERE id = ?", (image_id,)).fetchone()
        late: list[str] = []
        self._reading.skipped = late
        people = [msgspec.Raw(one) for one in self._of("people", image_id)]
        found = pose_images([msgspec.Raw(row[0])] if row else [], people, self._reading)
        captions = tuple(msgspec.json.decode(one)["caption"] for one in self._of("captions", image_id))
        things = []
        for one in self._of("objects", image_id):
            try:
                things.append(to_thing(_INSTANCE.decode(one), self._names))
            except PosetalkError as error:
                late.append(f"{self.objects}: an object of image {image_id}: {error}")
        self._skipped |= dict.fromkeys(late)
        if not found or not found[0].people:
            return None
        return AnnotatedImage(found[0], captions, tuple(thing for thing in things if thing is not None))

    def _measured(self, sizes: dict[int, Size | None]) -> Iterator[PoseImage]:
        """Some pictures; each one's size is put into `sizes`."""
        for image in self.sample():
            sizes[image.id] = labelled_size(image)
            yield image

    def _check_objects(self, sizes: dict[int, Size | None], path: Path) -> list[str]:
        """sizes: of the pictures whose objects are looked at."""
        counted = BoxChecks(sizes)
        for image_id in sizes:
            for raw in self._of("objects", image_id):
                if box := instance_box(_INSTANCE.decode(raw)):
                    counted.add(image_id, box)
        if not counted.boxes:
            counted.boxes, counted.others = self._rows.execute(_OBJECTS_WITHOUT_PICTURE).fetchone()
        return counted.check(path, WRITE_XYWH)

    def _of(self, what: str, image_id: int) -> list[bytes]:
        return [row[0] for row in self._rows.execute(f"SELECT raw FROM {what} WHERE image = ?", (image_id,))]

    def _keep_pictures(self, skipped: list[str]) -> None:
        def read(raw: msgspec.Raw) -> tuple[int, bytes]:
            number = decode_record(_ID, raw).id
            check_id(number)
            return number, bytes(raw)

        before = self._rows.total_changes
        for row in read_records(self.annotations, "images", read, skipped):
            if not self._rows.execute("INSERT OR IGNORE INTO pictures VALUES (?, ?)", row).rowcount:
                skipped.append(f"{self.annotations}: image {row[0]}: an earlier image has the same id")
        if self._rows.total_changes == before:
            raise none_left(self.annotations, skipped, "images")

    def _keep_people(self, skipped: list[str]) -> None:
        """Those of another category are no people, and nothing is said of them."""
        people = self._reading.person_ids

        def read(raw: msgspec.Raw) -> Annotation | None:
            record = decode_record(_PERSON, raw)
            return record if record.category_id in people else None

        if not self._keep("people", self.annotations, read, skipped):
            self._reading.skipped = skipped
            raise self._reading.nobody()
        for image_id, raw in self._rows.execute(_WITHOUT_PICTURE):
            skipped.append(
                f"{self.annotations}: annotation {msgspec.json.decode(raw)['id']}: its image {image_id} is not among "
                "the images that were read"
            )

    def _keep(
        self,
        what: str,
        path: Path,
        read: Callable[[msgspec.Raw], Annotation | Caption | Instance | None],
        skipped: list[str],
    ) -> int:
        """Keep each record without what is not read of it (outlines); gives back how many."""

        def row(raw: msgspec.Raw) -> tuple[int, bytes] | None:
            record = read(raw)
            if record is None:
                return None
            check_id(record.image_id, "image_id")
            return record.image_id, msgspec.json.encode(record)

        before = self._rows.total_changes
        found = (kept for kept in read_records(path, "annotations", row, skipped) if kept)
        self._rows.executemany(f"INSERT INTO {what} VALUES (?, ?)", found)
        self._rows.execute(f"CREATE INDEX {what}_of ON {what} (image)")
        return self._rows.total_changes - before


_WITHOUT_PICTURE = "SELECT image, raw FROM people WHERE image NOT IN (SELECT id FROM pictures)"
_OBJECTS_WITHOUT_PICTURE = "SELECT COUNT(*), SUM(image NOT IN (SELECT id FROM pictures)) FROM objects"
_WITH_PEOPLE = "SELECT id FROM pictures WHERE id IN (SELECT image FROM people) ORDER BY id"
