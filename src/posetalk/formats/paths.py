"""Where the pictures are that labels name: below the folder that was given, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from posetalk.errors import PosetalkError


def image_path(images: Path, file_name: str) -> Path:
    """images/file_name, or the same with leading folders dropped where only that exists.

    Errors: a name that leads out of the folder, by `..`, as a whole path or through a link (the folder itself may be
    one), or that no file can have.
    """
    file_name = file_name.replace("\\", "/")
    try:
        if "\0" in os.fsdecode(os.fsencode(file_name)):
            raise ValueError("NUL")
        path = _found(images, file_name)
        # a plain name that is no link is surely inside, and resolving every one of a large data set takes long
        inside = ("/" not in file_name and file_name != ".." and not path.is_symlink()) or Path(
            os.path.realpath(path)
        ).is_relative_to(os.path.realpath(images))
    except (
        OSError,
        ValueError,
    ) as error:  # too long, NUL, half a character, a folder that may not be looked into
        raise PosetalkError(
            f"its file_name {_short(file_name)} cannot be looked for: {_why(error)}"
        ) from None
    if not inside:
        raise PosetalkError(
            f"its file_name {_short(file_name)} leads out of {images}; put the picture there, and give its name as "
            "seen from that folder"
        )
    return path


def find_image(images: Path, file_name: str) -> Path | None:
    """The picture, where there is a file of that name in the folder."""
    try:
        path = image_path(images, file_name)
        return path if path.is_file() else None
    except (PosetalkError, OSError):
        return None


def leads_out(file_name: str) -> bool:
    """Whether a name leads out of any folder, links aside."""
    path = os.path.normpath(file_name.replace("\\", "/"))
    return Path(path).is_absolute() or path.split("/")[0] == ".."


def _found(images: Path, file_name: str) -> Path:
    whole = images / file_name
    if whole.is_file() or leads_out(file_name):
        return whole
    parts = PurePosixPath(file_name).parts
    shorter = (images.joinpath(*parts[start:]) for start in range(1, len(parts)))
    return next((path for path in shorter if path.is_file()), whole)


def _short(file_name: str) -> str:
    """So that it can be printed."""
    return ascii(file_name if len(file_name) <= 60 else f"{file_name[:28]}...{file_name[-28:]}")


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it holds NUL or half a character"
