"""What the pictures held that a sweep looked at, so that another one in its place is not taken for the same."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec

from posetalk.errors import PosetalkError, shown
from posetalk.inputs import Content, content_of
from posetalk.types import PoseImage


class _Line(msgspec.Struct, frozen=True):
    image_id: int
    content: Content


class PictureLog:
    """Appends to pictures.jsonl, picture by picture, before each is read."""

    def __init__(self, path: Path) -> None:
        """Errors: it cannot be read or written; a line that is none."""
        self._path, self._known = path, dict[int, Content]()
        try:
            self._file = path.open("a+b")
            self._file.seek(0)
            data = self._file.read()
            whole = data.rfind(b"\n") + 1
            self._file.truncate(whole)  # a line that was cut off
            for line in msgspec.json.Decoder(_Line).decode_lines(data[:whole]):
                self._known[line.image_id] = line.content
        except OSError as error:
            raise self._failed(error) from None
        except (ValueError, RecursionError) as error:
            self._file.close()
            raise PosetalkError(f"{path} is damaged: {error}; choose another folder") from None

    def same(self, answered: Iterable[PoseImage]) -> None:
        """Errors: pictures that were answered hold something else now. One that is gone keeps its answer."""
        changed = []
        for image in answered:
            known = self._known.get(image.id)
            if (now := _content(image.path, known)) is None:
                continue
            if known and now.digest != known.digest:
                changed.append(image)
            elif now != known:  # touched or copied, or of an earlier version's run
                self._add(image, now)
        if changed:
            one = changed[0]
            more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
            raise PosetalkError(
                f"{self._path.parent} has answers of another photo called {shown(one.name)}{more} than {one.path} is "
                "now; put back what was there, or choose another folder"
            )

    def looks(self, image: PoseImage) -> None:
        """The picture is read next."""
        if (now := _content(image.path, None)) is not None and now != self._known.get(image.id):
            self._add(image, now)

    def _add(self, image: PoseImage, content: Content) -> None:
        self._known[image.id] = content
        try:
            self._file.write(msgspec.json.encode(_Line(image.id, content)) + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> PosetalkError:
        return PosetalkError(
            f"cannot write {self._path}: {error.strerror}; make room or choose another folder, what is there is kept"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _content(path: Path, before: Content | None) -> Content | None:
    """None of what cannot be read, which is said when it is opened."""
    try:
        return content_of(path, before) if os.path.isfile(path) else None  # noqa: PTH113  (not from pipes)
    except (OSError, ValueError):
        return None
