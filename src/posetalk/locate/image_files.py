"""The photos of a run: found in files, folders and patterns, each with a key of its own."""

# A hundred thousand names are strings here; and Path.is_dir raises for names that are too long.
# ruff: noqa: PTH100, PTH112, PTH116, PTH119, PTH120, PTH122, PTH207

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
from posetalk.locate.predictions import readable

_HEIF = (".heic", ".heif", ".hif")
_WHY = {
    **dict.fromkeys(_HEIF, "this Pillow does not read HEIF; install pillow-heif"),
    **dict.fromkeys((".avif", ".avifs"), "this Pillow does not read AVIF; install Pillow 11.3 or newer"),
    **dict.fromkeys(
        (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"), "camera raw is not read"
    ),
}
_BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")  # control characters and what ends a line
_SHOWN = 8  # kinds of files named in the sentence of what is passed over
NUMBERED = 2**52  # ids below are numbers that photos are named after, ids from here to twice as much are made


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A photo and its key: its path relative to the folder it was given in, with `/`; of a single file its name.

    Where that is the same for several photos, their paths relative to the folder they share. A key is always valid
    Unicode on one line: other bytes, what breaks a line and the backslash itself are written with a backslash.
    """

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """photos: each once, in order. passed: one sentence on the files and folders that were passed over, or None.

    shared: names that were too short to be a key now, though they may have been one in an earlier run.
    """

    photos: tuple[ImageFile, ...]
    passed: str | None
    shared: frozenset[str]


def find_images(given: Iterable[Path], leave: Iterable[Path] = ()) -> ImageFiles:
    """Files, folders (with all folders in them) and patterns -> the photos.

    leave: folders that are not searched, as a run's own. Hidden files and folders (`.name`) are skipped without a
    word, other files that are no pictures are counted, a folder of another run (run.toml) is named. A single file is
    taken as a picture whatever it is called. Errors: a folder or pattern without a picture; a folder that cannot be
    read.
    """
    search = _Search({os.path.abspath(path) for path in leave})
    for path in map(os.fspath, given):
        if os.path.isdir(path):
            search.folder(path)
        elif os.path.lexists(path) or not glob.has_magic(path):
            search.add(path, os.path.basename(path))
        else:
            search.pattern(path)
    return search.done()


class _Search:
    def __init__(self, leave: set[str]) -> None:
        self.leave = leave
        self.found: dict[str, tuple[str, str]] = {}  # absolute path -> path as given, key
        self.passed: Counter[str] = Counter()
        self.folders: list[str] = []

    def add(self, path: str, key: str) -> None:
        self.found.setdefault(os.path.abspath(path), (path, key))

    def folder(self, top: str) -> None:
        before, inside = self.passed.copy(), []
        folders, known = [(top, "")], set[tuple[int, int]]()
        while folders:
            folder, key = folders.pop()
            try:
                state = os.stat(folder)
                entries = list(os.scandir(folder))
            except OSError as error:
                if not key:
                    raise PosetalkError(f"cannot look into the folder {top}: {error.strerror}") from None
                self.folders.append(f"{key[:-1]} ({error.strerror})")
                continue
            if (state.st_dev, state.st_ino) in known:
                continue  # links that lead in a circle
            known.add((state.st_dev, state.st_ino))
            if key and any(entry.name == "run.toml" for entry in entries):
                self.folders.append(f"{key[:-1]} (a run's own)")
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    if os.path.abspath(entry.path) not in self.leave:
                        folders.append((entry.path, f"{key}{entry.name}/"))
                elif self.is_picture(entry.name):
                    inside.append((f"{key}{entry.name}".split("/"), entry.path))
        if not inside:
            passed = _sentence(self.passed - before, self.folders)
            raise PosetalkError(
                f"there is no picture in the folder {top}; check the path"
                + (f" ({passed})" if passed else "")
            )
        for parts, path in sorted(inside):
            self.add(path, "/".join(parts))

    def pattern(self, pattern: str) -> None:
        matches = sorted(glob.glob(pattern, recursive=True))  # absolute patterns too, unlike Path.glob
        if not matches:
            raise PosetalkError(f"no file matches {pattern}; check the pattern")
        before = len(self.found)
        for path in matches:
            if os.path.isdir(path):
                self.folders.append(f"{path} (a folder; give it without a pattern)")
            elif self.is_picture(path):
                self.add(path, os.path.basename(path))
        if len(self.found) == before:
            raise PosetalkError(f"no picture matches {pattern} ({_sentence(self.passed, self.folders)})")

    def is_picture(self, name: str) -> bool:
        suffix = os.path.splitext(name)[1].lower()
        if suffix not in picture_suffixes():
            self.passed[suffix or "without a suffix"] += 1
        return suffix in picture_suffixes()

    def done(self) -> ImageFiles:
        keys = {path: key for path, (_, key) in self.found.items()}
        keys, shared = _apart(keys)
        photos = tuple(
            ImageFile(Path(given), _escaped(keys[path])) for path, (given, _) in self.found.items()
        )
        return ImageFiles(photos, _sentence(self.passed, self.folders), frozenset(map(_escaped, shared)))


def _apart(keys: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Keys (by absolute path) of which none is another's, and those that were."""
    count = Counter(keys.values())
    alike = [path for path, key in keys.items() if count[key] > 1]
    if not alike:
        return dict(keys), set()
    longer = {**keys, **_relative(alike)}
    if len(set(longer.values())) < len(longer):
        longer = _relative(list(keys))
    return longer, {keys[path] for path in alike} - set(longer.values())


def _relative(paths: Sequence[str]) -> dict[str, str]:
    """Paths relative to the folder they share."""
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
    return _BREAKS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _sentence(passed: Counter[str], folders: Sequence[str]) -> str | None:
    """`3 files passed over: .txt 2, .heic 1 (this Pillow does not read HEIF; install pillow-heif)`."""
    parts = []
    if passed:
        kinds = [
            f"{suffix} {n}" + (f" ({_WHY[suffix]})" if suffix in _WHY else "")
            for suffix, n in passed.most_common(_SHOWN)
        ]
        others = f" and {len(passed) - _SHOWN} other kinds" if len(passed) > _SHOWN else ""
        files = "1 file" if passed.total() == 1 else f"{passed.total()} files"
        parts.append(f"{files} passed over: {', '.join(kinds)}{others}")
    if folders:
        more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
        parts.append(f"folders passed over: {', '.join(folders[:_SHOWN])}{more}")
    return readable("; ".join(parts)) or None


@cache
def picture_suffixes() -> frozenset[str]:
    """Suffixes, in small letters, of the pictures that are read."""
    read = {*readable_formats(), "MPO"}  # which opens as JPEG
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in read)


def image_ids(keys: Sequence[str], before: Mapping[str, int]) -> list[int]:
    """A number for each photo, all different: the one it had `before` (by key); else, as in COCO, the number that its
    file is named after (000000000785.jpg: 785), where no other photo of the run is named after it; else one made from
    its key, the same whatever lies beside it.
    """
    wanted = [_number(key) for key in keys]
    count = Counter(wanted)
    used = set(before.values())
    ids = []
    for key, number in zip(keys, wanted, strict=True):
        if key in before:
            ids.append(before[key])
            continue
        if number is None or count[number] > 1 or number in used:
            number = NUMBERED + int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % NUMBERED
            while number in used:
                number += 1
        used.add(number)
        ids.append(number)
    return ids


def _number(key: str) -> int | None:
    stem = os.path.splitext(key.rpartition("/")[2])[0]
    if not (stem.isascii() and stem.isdigit() and len(stem) < 32):
        return None
    return int(stem) if int(stem) < NUMBERED else None
