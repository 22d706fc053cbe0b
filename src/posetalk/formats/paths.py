"""Paths of the images that labels name, always inside the images folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from posetalk.errors import PosetalkError


def image_path(images: Path, file_name: str) -> Path:
    """The path of an image: images/file_name, or with leading folders dropped if only that exists.

    Raises:
        PosetalkError: A name that leads out of the folder by `..`, as an absolute path or through a link (the folder
            itself may be a link), or that no file can have.
    """
    file_name = file_name.replace("\\", "/")
    try:
        if "\0" in os.fsdecode(os.fsencode(file_name)):
            raise ValueError("NUL")
        path = _existing_path(images, file_name)
        # a plain name that is no link is inside; resolving all names of a large data set would take long
        inside = ("/" not in file_name and file_name != ".." and not path.is_symlink()) or Path(
            os.path.realpath(path)
        ).is_relative_to(os.path.realpath(images))
    except (
        OSError,
        ValueError,
    ) as error:  # too long, NUL, half a character, a folder without permission
        raise PosetalkError(
            f"its file_name {_printable(file_name)} cannot be looked for: {_reason(error)}"
        ) from None
    if not inside:
        raise PosetalkError(
            f"its file_name {_printable(file_name)} leads out of {images}; put the image there, and give its name as "
            "seen from that folder"
        )
    return path


def find_image(images: Path, file_name: str) -> Path | None:
    """The path of an image if there is such a file in the folder, else None."""
    try:
        path = image_path(images, file_name)
        return path if path.is_file() else None
    except (PosetalkError, OSError):
        return None


def leads_out(file_name: str) -> bool:
    """Whether a name leads out of its folder, apart from links."""
    path = os.path.normpath(file_name.replace("\\", "/"))
    return Path(path).is_absolute() or path.split("/")[0] == ".."


def _existing_path(images: Path, file_name: str) -> Path:
    path = images / file_name
    if path.is_file() or leads_out(file_name):
        return path
    parts = PurePosixPath(file_name).parts
    shorter = (images.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((candidate for candidate in shorter if candidate.is_file()), path)


def _printable(file_name: str) -> str:
    """A file name that can be printed, shortened."""
    return ascii(file_name if len(file_name) <= 60 else f"{file_name[:28]}...{file_name[-28:]}")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it holds NUL or half a character"
