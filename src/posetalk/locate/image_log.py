"""The content of each image that a run has processed, so that a changed image is not taken for the same."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError, shown
from posetalk.inputs import Content, content_of
from posetalk.locate.line_log import LineLog
from posetalk.types import PoseImage


class _ImageLine(msgspec.Struct, frozen=True):
    image_id: int
    content: Content


class ImageLog(LineLog[_ImageLine]):
    """Appends a line to pictures.jsonl for each image before it is read.

    Raises:
        PosetalkError: the file cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _ImageLine)
        self._known = {line.image_id: line.content for line in self.before}

    def check_unchanged(self, answered: Iterable[PoseImage]) -> None:
        """Check that images with predictions still have the content that was logged. An image that is gone passes.

        Raises:
            PosetalkError: some have another content now.
        """
        changed = []
        for image in answered:
            known = self._known.get(image.id)
            if (now := _content(image.path, known)) is None:
                continue
            if known and now.digest != known.digest:
                changed.append(image)
            elif now != known:  # touched or copied, or of an earlier version's run
                self._write(image, now)
        if changed:
            first = changed[0]
            more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
            raise PosetalkError(
                f"{self._path.parent} has answers of another image called {shown(first.name)}{more} than {first.path} "
                "is now; put back what was there, or choose another folder"
            )

    def add(self, image: PoseImage) -> None:
        """Log an image that is about to be read."""
        if (now := _content(image.path, None)) is not None and now != self._known.get(image.id):
            self._write(image, now)

    def _write(self, image: PoseImage, content: Content) -> None:
        self._known[image.id] = content
        self.write(_ImageLine(image.id, content))


def _content(path: Path, before: Content | None) -> Content | None:
    """The content of an image; None if it cannot be read, which opening it will report."""
    try:
        return content_of(path, before) if os.path.isfile(path) else None  # noqa: PTH113  (not from pipes)
    except (OSError, ValueError):
        return None
