"""COCO's images with their people, captions and objects, one at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
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
    decode_instance,
    instance_box,
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


class _ImageKey(msgspec.Struct):
    id: int


_ID = msgspec.json.Decoder(_ImageKey)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """An image with all its annotations.

    image:    The image and its people.
    captions: In the order of the file.
    things:   Its objects except people and crowds.
    """

    image: PoseImage
    captions: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()


class AnnotatedImages:
    """The images with people of a COCO data set, with captions and objects.

    The files are read once, and their records are kept in a temporary file, so that memory does not grow with the data
    set. Iterating gives each `AnnotatedImage` in the order of the ids.

    Args:
        annotations: The keypoint file, person_keypoints_*.json.
        captions: captions_*.json.
        objects: instances_*.json.
        images: The folder of the images, by default that of `annotations`. It need not exist.
        skeleton: Whose keypoints these are, coco17 by default.

    Raises:
        PosetalkError: As `read_coco`, `read_captions` and `read_objects`.
    """

    leave_out: Callable[[str], bool] | None = None
    """Whether an image of that file name is left out, as those of a benchmark are from training data."""
    only: Collection[int] | None = None
    """The ids of the images to go through, in order; None for all. `get` gives any image."""

    def __init__(
        self,
        annotations: str | Path,
        captions: str | Path | None = None,
        objects: str | Path | None = None,
        *,
        images: str | Path | None = None,
        skeleton: Skeleton | None = None,
    ) -> None:
        self.annotations = Path(annotations)
        self.objects = None if objects is None else Path(objects)
        self.images = self.annotations.parent if images is None else Path(images)
        self._skipped: dict[str, None] = {}
        self._database = sqlite3.connect("", check_same_thread=False)  # a temporary file
        self._database.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, raw BLOB)")
        for table in ("people", "captions", "objects"):
            self._database.execute(f"CREATE TABLE {table} (image INTEGER, raw BLOB)")
        categories = (raw for key, raw in records(self.annotations) if key == "categories")
        self._reading = start_reading(self.annotations, self.images, skeleton, categories)
        skipped, self._reading.skipped = self._reading.skipped, []
        self._store_images(skipped)
        self._store_people(skipped)
        self._skipped |= dict.fromkeys(skipped)
        sizes: dict[int, Size | None] = {}
        self._notes = check_labels(
            self._sample_with_sizes(sizes), self.annotations, outside=self._reading.outside.values()
        )
        if not sizes and not any(self.get(image_id) for image_id in self.ids()):
            raise none_left(self.annotations, self.skipped, "people")
        if captions and not self._store("captions", Path(captions), decode_caption, skipped):
            raise none_left(Path(captions), skipped, "captions")
        self._category_names = read_categories(self.objects, skipped) if self.objects else {}
        if self.objects:
            if not self._store("objects", self.objects, decode_instance, skipped):
                raise none_left(self.objects, skipped, "objects")
            self._notes += self._check_objects(sizes, self.objects)
        self._skipped |= dict.fromkeys(skipped)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the keypoints."""
        return self._reading.skeleton

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """The names of the keypoints, in order."""
        return self.skeleton.names

    @property
    def skipped(self) -> list[str]:
        """A sentence for each record left out so far; those of people are decoded with their image."""
        return list(self._skipped)

    @property
    def notes(self) -> list[str]:
        """Sentences about the whole set, as `PoseSet.notes`."""
        return [*self._reading.notes(), *self._notes]

    def ids(self) -> list[int]:
        """The ids of all images with people that are not left out, in order; or `only`."""
        if self.only is not None:
            return list(self.only)
        ids = [row[0] for row in self._database.execute(_WITH_PEOPLE)]
        return ids if self.leave_out is None else [image_id for image_id in ids if self.get(image_id)]

    def __len__(self) -> int:
        return len(self.ids())

    def __iter__(self) -> Iterator[AnnotatedImage]:
        for image_id in self.ids():
            image = self.get(image_id)
            if image is not None:
                yield image

    def sample(self) -> Iterator[PoseImage]:
        """All images, or an evenly spaced sample of many: enough to see whether they fit."""
        return (annotated.image for annotated in map(self.get, evenly_spaced(self.ids())) if annotated)

    def get(self, image_id: int) -> AnnotatedImage | None:
        """One image.

        Args:
            image_id: Its id in the labels.

        Returns:
            The image; None if there is none, if neither it nor any of its people can be read, or if it is left out.
        """
        row = self._database.execute("SELECT raw FROM images WHERE id = ?", (image_id,)).fetchone()
        skipped: list[str] = []
        self._reading.skipped = skipped
        people = [msgspec.Raw(raw) for raw in self._records_of("people", image_id)]
        images = pose_images([msgspec.Raw(row[0])] if row else [], people, self._reading)
        captions = tuple(
            msgspec.json.decode(raw)["caption"] for raw in self._records_of("captions", image_id)
        )
        things = []
        for raw in self._records_of("objects", image_id):
            try:
                things.append(to_thing(_INSTANCE.decode(raw), self._category_names))
            except PosetalkError as error:
                skipped.append(f"{self.objects}: an object of image {image_id}: {error}")
        self._skipped |= dict.fromkeys(skipped)
        if not images or not images[0].people or (self.leave_out and self.leave_out(images[0].name)):
            return None
        return AnnotatedImage(images[0], captions, tuple(thing for thing in things if thing is not None))

    def _sample_with_sizes(self, sizes: dict[int, Size | None]) -> Iterator[PoseImage]:
        """The sample; the size of each image is added to `sizes`."""
        for image in self.sample():
            sizes[image.id] = labelled_size(image)
            yield image

    def _check_objects(self, sizes: dict[int, Size | None], path: Path) -> list[str]:
        """Notes on the objects of the images in `sizes`."""
        checks = BoxChecks(sizes)
        for image_id in sizes:
            for raw in self._records_of("objects", image_id):
                if box := instance_box(_INSTANCE.decode(raw)):
                    checks.add(image_id, box)
        if not checks.boxes:
            checks.boxes, checks.others = self._database.execute(_OBJECTS_WITHOUT_IMAGE).fetchone()
        return checks.check(path, WRITE_XYWH)

    def _records_of(self, table: str, image_id: int) -> list[bytes]:
        return [
            row[0] for row in self._database.execute(f"SELECT raw FROM {table} WHERE image = ?", (image_id,))
        ]

    def _store_images(self, skipped: list[str]) -> None:
        def read(raw: msgspec.Raw) -> tuple[int, bytes]:
            image_id = decode_record(_ID, raw).id
            check_id(image_id)
            return image_id, bytes(raw)

        count_before = self._database.total_changes
        for row in read_records(self.annotations, "images", read, skipped):
            if not self._database.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", row).rowcount:
                skipped.append(f"{self.annotations}: image {row[0]}: an earlier image has the same id")
        if self._database.total_changes == count_before:
            raise none_left(self.annotations, skipped, "images")

    def _store_people(self, skipped: list[str]) -> None:
        """Store the people; records of other categories are ignored silently."""
        person_ids = self._reading.person_ids

        def read(raw: msgspec.Raw) -> Annotation | None:
            record = decode_record(_PERSON, raw)
            return record if record.category_id in person_ids else None

        if not self._store("people", self.annotations, read, skipped):
            self._reading.skipped = skipped
            raise self._reading.no_people_error()
        for image_id, raw in self._database.execute(_WITHOUT_IMAGE):
            skipped.append(
                f"{self.annotations}: annotation {msgspec.json.decode(raw)['id']}: its image {image_id} is not among "
                "the images that were read"
            )

    def _store(
        self,
        table: str,
        path: Path,
        read: Callable[[msgspec.Raw], Annotation | Caption | Instance | None],
        skipped: list[str],
    ) -> int:
        """Store the fields of each record that are read, and return how many were stored."""

        def encode(raw: msgspec.Raw) -> tuple[int, bytes] | None:
            record = read(raw)
            if record is None:
                return None
            check_id(record.image_id, "image_id")
            return record.image_id, msgspec.json.encode(record)

        count_before = self._database.total_changes
        rows = (encoded for encoded in read_records(path, "annotations", encode, skipped) if encoded)
        self._database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        self._database.execute(f"CREATE INDEX {table}_of ON {table} (image)")
        return self._database.total_changes - count_before


_WITHOUT_IMAGE = "SELECT image, raw FROM people WHERE image NOT IN (SELECT id FROM images)"
_OBJECTS_WITHOUT_IMAGE = "SELECT COUNT(*), SUM(image NOT IN (SELECT id FROM images)) FROM objects"
_WITH_PEOPLE = "SELECT id FROM images WHERE id IN (SELECT image FROM people) ORDER BY id"
