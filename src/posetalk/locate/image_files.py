"""Find the images of a run in files, folders and patterns, and give each a key of its own."""

# There may be a hundred thousand names, so they stay strings; and Path.is_dir raises for names that are too long.
# ruff: noqa: PTH100, PTH112, PTH113, PTH116, PTH119, PTH120, PTH122, PTH207

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.images.opening import readable_formats
from posetalk.locate.image_lists import ListedImage, is_list, read_list
from posetalk.locate.predictions import readable

_HEIF = (".heic", ".heif", ".hif")
_WHY_PASSED_OVER = {
    **dict.fromkeys(_HEIF, "this Pillow does not read HEIF; install pillow-heif"),
    **dict.fromkeys((".avif", ".avifs"), "this Pillow does not read AVIF; install Pillow 11.3 or newer"),
    **dict.fromkeys(
        (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "camera raw is not read"
    ),
}
_LINE_BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")  # control characters and line breaks
_MAX_NAMED = 8  # kinds of files that are named in the sentence on what is passed over
FIRST_MADE_ID = 2**52  # ids below are numbers in file names, ids from here to twice as much are hashes


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file.

    Attributes:
        path: The file.
        key: Its path relative to the folder that was searched, with `/`; for a single file its name. Where several
            images would share a key, their paths relative to their common folder. A key is valid Unicode on one
            line: other bytes, line breaks and the backslash itself are escaped with a backslash.
        id: Its id, where a list of images gives one.
    """

    path: Path
    key: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """What `find_images` returns.

    Attributes:
        images: Each once, in order.
        passed_over: One sentence on the files and folders that were not taken, or None.
        ambiguous_names: Names that several images share, so that none has it as its key; in an earlier run one may have
            had it.
    """

    images: tuple[ImageFile, ...]
    passed_over: str | None
    ambiguous_names: frozenset[str]


def find_images(paths: Iterable[Path], exclude: Iterable[Path] = ()) -> ImageFiles:
    """Find image files.

    Hidden files and folders (`.name`) are skipped silently; files without an image's suffix are counted, and folders of
    other runs (with run.toml) named, in `passed_over`.

    Args:
        paths: Files, folders (searched with all their folders), patterns, and lists of images (see `image_lists`). A
            single file that is no list counts as an image whatever its suffix.
        exclude: Folders that are not searched.

    Raises:
        PosetalkError: a folder or pattern without an image; a folder that cannot be read.
    """
    search = _Search({os.path.abspath(path) for path in exclude})
    for path in map(os.fspath, paths):
        if os.path.isdir(path):
            search.folder(path)
        elif is_list(path) and os.path.isfile(path):
            for image in read_list(Path(path)):
                search.add(str(image.path), image.key, image)
        elif os.path.lexists(path) or not glob.has_magic(path):
            search.add(path, os.path.basename(path))
        else:
            search.pattern(path)
    return search.result()


class _Search:
    def __init__(self, excluded: set[str]) -> None:
        self.excluded = excluded
        self.images: dict[str, tuple[str, str]] = {}  # absolute path -> path as given, key
        self.listed: dict[str, ListedImage] = {}  # by absolute path
        self.other_files: Counter[str] = Counter()
        self.other_folders: list[str] = []

    def add(self, path: str, key: str, listed: ListedImage | None = None) -> None:
        place = os.path.abspath(path)
        if place not in self.images and listed is not None:
            self.listed[place] = listed
        self.images.setdefault(place, (path, key))

    def folder(self, top: str) -> None:
        files_before, images = self.other_files.copy(), []
        folders, visited = [(top, "")], set[tuple[int, int]]()
        while folders:
            folder, prefix = folders.pop()
            try:
                stat = os.stat(folder)
                entries = list(os.scandir(folder))
            except OSError as error:
                if not prefix:
                    raise PosetalkError(f"cannot look into the folder {top}: {error.strerror}") from None
                self.other_folders.append(f"{prefix[:-1]} ({error.strerror})")
                continue
            if (stat.st_dev, stat.st_ino) in visited:
                continue  # a link to a folder that was searched already
            visited.add((stat.st_dev, stat.st_ino))
            if prefix and any(entry.name == "run.toml" for entry in entries):
                self.other_folders.append(f"{prefix[:-1]} (a run's own)")
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    if os.path.abspath(entry.path) not in self.excluded:
                        folders.append((entry.path, f"{prefix}{entry.name}/"))
                elif self.is_image(entry.name):
                    images.append((f"{prefix}{entry.name}".split("/"), entry.path))
        if not images:
            sentence = _passed_over_sentence(self.other_files - files_before, self.other_folders)
            raise PosetalkError(
                f"there is no image in the folder {top}; check the path"
                + (f" ({sentence})" if sentence else "")
            )
        for parts, path in sorted(images):
            self.add(path, "/".join(parts))

    def pattern(self, pattern: str) -> None:
        matches = sorted(glob.glob(pattern, recursive=True))  # absolute patterns too, unlike Path.glob
        if not matches:
            raise PosetalkError(f"no file matches {pattern}; check the pattern")
        before = len(self.images)
        for path in matches:
            if os.path.isdir(path):
                self.other_folders.append(f"{path} (a folder; give it without a pattern)")
            elif self.is_image(path):
                self.add(path, os.path.basename(path))
        if len(self.images) == before:
            sentence = _passed_over_sentence(self.other_files, self.other_folders)
            raise PosetalkError(f"no image matches {pattern} ({sentence})")

    def is_image(self, name: str) -> bool:
        suffix = os.path.splitext(name)[1].lower()
        if suffix not in image_suffixes():
            self.other_files[suffix or "without a suffix"] += 1
        return suffix in image_suffixes()

    def result(self) -> ImageFiles:
        keys, ambiguous = _distinct_keys({path: key for path, (_, key) in self.images.items()})
        images = tuple(
            self._image(Path(path_given), keys[path], self.listed.get(path))
            for path, (path_given, _) in self.images.items()
        )
        passed_over = _passed_over_sentence(self.other_files, self.other_folders)
        return ImageFiles(images, passed_over, frozenset(map(_escaped, ambiguous)))

    def _image(self, path: Path, key: str, listed: ListedImage | None) -> ImageFile:
        # the names of a list of ours are escaped already
        verbatim = listed is not None and key == listed.key and key.isprintable()
        return ImageFile(path, key if verbatim else _escaped(key), listed.id if listed else None)


def _distinct_keys(keys: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Keys (by absolute path) made distinct, and those that several images shared."""
    count = Counter(keys.values())
    shared = [path for path, key in keys.items() if count[key] > 1]
    if not shared:
        return dict(keys), set()
    longer = {**keys, **_relative_to_common(shared)}
    if len(set(longer.values())) < len(longer):
        longer = _relative_to_common(list(keys))
    return longer, {keys[path] for path in shared} - set(longer.values())


def _relative_to_common(paths: Sequence[str]) -> dict[str, str]:
    """Paths relative to their common folder."""
    top = os.path.commonpath([os.path.dirname(path) for path in paths])
    return {path: os.path.relpath(path, top).replace(os.sep, "/") for path in paths}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _escaped(key: str) -> str:
    if key.isascii() and key.isprintable() and "\\" not in key:
        return key
    text = os.fsencode(key.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    return _LINE_BREAKS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _passed_over_sentence(other_files: Counter[str], other_folders: Sequence[str]) -> str | None:
    """`3 files passed over: .txt 2, .heic 1 (this Pillow does not read HEIF; install pillow-heif)`."""
    parts = []
    if other_files:
        kinds = [
            f"{suffix} {count}" + (f" ({_WHY_PASSED_OVER[suffix]})" if suffix in _WHY_PASSED_OVER else "")
            for suffix, count in other_files.most_common(_MAX_NAMED)
        ]
        others = f" and {len(other_files) - _MAX_NAMED} other kinds" if len(other_files) > _MAX_NAMED else ""
        files = "1 file" if other_files.total() == 1 else f"{other_files.total()} files"
        parts.append(f"{files} passed over: {', '.join(kinds)}{others}")
    if other_folders:
        more = f" and {len(other_folders) - _MAX_NAMED} more" if len(other_folders) > _MAX_NAMED else ""
        parts.append(f"folders passed over: {', '.join(other_folders[:_MAX_NAMED])}{more}")
    return readable("; ".join(parts)) or None


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of the image formats that are read, in lower case."""
    read_formats = {*readable_formats(), "MPO"}  # which opens as JPEG
    return frozenset(
        suffix
        for suffix, image_format in Image.registered_extensions().items()
        if image_format in read_formats
    )


def image_ids(keys: Sequence[str], before: Mapping[str, int]) -> list[int]:
    """A different id for each image.

    It is the id that the key had `before` or that a list gives; else, as in COCO, the number that is the file's name
    (785 for 000000000785.jpg), unless another image of the run has the same number; else a hash of the key, the same
    whatever other images there are.
    """
    numbers = [_number(key) for key in keys]
    count = Counter(numbers)
    used = set(before.values())
    ids = []
    for key, number in zip(keys, numbers, strict=True):
        if key in before:
            ids.append(before[key])
            continue
        if number is None or count[number] > 1 or number in used:
            number = (
                FIRST_MADE_ID + int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % FIRST_MADE_ID
            )
            while number in used:
                number += 1
        used.add(number)
        ids.append(number)
    return ids


def _number(key: str) -> int | None:
    stem = os.path.splitext(key.rpartition("/")[2])[0]
    if not (stem.isascii() and stem.isdigit() and len(stem) < 32):
        return None
    return int(stem) if int(stem) < FIRST_MADE_ID else None
