"""What every format is read into and written from, and how its records become people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.coco import pose_set
from posetalk.formats.files import need_folder
from posetalk.formats.mpii import image_ids
from posetalk.formats.paths import find_image
from posetalk.formats.reading import Reading
from posetalk.images.opening import upright_size
from posetalk.skeleton import BUILT_IN, Skeleton, load_skeleton
from posetalk.types import PoseImage, PoseSet

IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".gif",
    ".avif",
    ".heic",
    ".heif",
)


@dataclass(frozen=True, slots=True, eq=False)
class LabelSet:
    """Labelled images, and the skeleton of their keypoints."""

    data: PoseSet
    skeleton: Skeleton


@dataclass(slots=True)
class Records:
    """The records of a file that are to become labelled images.

    path:     The file or folder, for sentences.
    images:   The folder of the images.
    skeleton: Whose keypoints the people have.
    skipped:  A sentence for each record left out so far.
    """

    path: Path
    images: Path
    skeleton: Skeleton
    skipped: list[str] = field(default_factory=list)
    _sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    _ids: dict[str, int] = field(default_factory=dict)
    _people: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def add_image(self, name: str, size: tuple[int, int] | None = None, image_id: int | None = None) -> None:
        """Add an image by its file name; its people may come later."""
        self._sizes[name] = size or self._sizes.get(name)
        if image_id is not None:
            self._ids[name] = image_id

    def add_person(
        self,
        image: str,
        keypoints: Sequence[Sequence[float]],
        box: Sequence[float] | None = None,
        **others: Any,
    ) -> None:
        """Add a person.

        Args:
            image: The file name.
            keypoints: x and y in px and COCO's flag (0, 1, 2) of each keypoint.
            box: Left, top, width, height px; by default a box around the keypoints.
            others: Any other keys of a COCO annotation that are not None.
        """
        if len(keypoints) != len(self.skeleton):
            raise PosetalkError(
                f"it has {len(keypoints)} keypoints instead of the {len(self.skeleton)} of {self.skeleton.name}"
            )
        flat = [float(value) for point in keypoints for value in point]
        person = {"keypoints": flat, "bbox": None if box is None else [float(v) for v in box], **others}
        self._people.append((image, {key: value for key, value in person.items() if value is not None}))

    def labels(self) -> LabelSet:
        """The labelled images, checked as `read_coco` says.

        Raises:
            PosetalkError: No folder of images, no person left, labels that do not fit their images.
        """
        need_folder(self.images)
        ids = self._ids if len(self._ids) == len(self._sizes) else image_ids(list(self._sizes))
        images = [
            {"id": ids[name], "file_name": name} | ({"width": size[0], "height": size[1]} if size else {})
            for name, size in self._sizes.items()
        ]
        people = [
            {"id": number, "image_id": ids[name]} | person
            for number, (name, person) in enumerate(self._people, 1)
        ]
        reading = Reading(self.path, self.images, self.skeleton, [], 0, self.skipped)
        return LabelSet(pose_set(map(_raw, images), map(_raw, people), reading), self.skeleton)


def _raw(record: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(record))


def only_of_size(count: int, path: Path) -> Skeleton:
    """The built-in skeleton with so many keypoints, of a file that does not name them.

    Raises:
        PosetalkError: There is none, or several.
    """
    if count == 17:
        return load_skeleton("coco17")
    found = [name for name in BUILT_IN if len(load_skeleton(name)) == count]
    if len(found) == 1:
        return load_skeleton(found[0])
    which = f"it may be {' or '.join(found)}" if found else "no built-in skeleton has as many"
    raise PosetalkError(f"{path} has {count} keypoints without names, and {which}; give the skeleton")


def stem_of(name: str) -> str:
    """A relative file name without the suffix of an image."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def named_like(images: Path, stem: str) -> str:
    """The name of the image with this stem (a relative path without suffix) in a folder, else `stem`.jpg."""
    names = (stem + suffix for suffix in IMAGE_SUFFIXES for suffix in (suffix, suffix.upper()))
    return next((name for name in names if find_image(images, name)), f"{stem}.jpg")


def size_of_file(images: Path, name: str) -> tuple[int, int]:
    """Width and height of an image in px.

    Raises:
        PosetalkError: It is not in the folder, or cannot be read.
    """
    path = find_image(images, name)
    if path is None:
        raise PosetalkError(
            f"the size of {name} is needed, and there is no such image in {images}; give the folder of the images"
        )
    return upright_size(path)


def size_of(image: PoseImage) -> tuple[int, int]:
    """Width and height of an image in px, from its labels or else its file. Raises as `upright_size`."""
    if image.width and image.height:
        return image.width, image.height
    return upright_size(image.path)


def underscored(name: str) -> str:
    """`left_shoulder` of `left shoulder`, as COCO writes names."""
    return name.replace(" ", "_")
