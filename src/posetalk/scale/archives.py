"""Archives of images: webdataset tars, and parquet files with the bytes of images."""

from __future__ import annotations

import glob
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from posetalk.errors import PosetalkError, need
from posetalk.locate.image_files import image_ids, image_suffixes
from posetalk.locate.image_lists import ListedImage
from posetalk.locate.predictions import readable

SUFFIXES = (".tar", ".parquet")
_ROWS = 256  # of a parquet file that are in memory at once


def is_archive(path: Path) -> bool:
    """Whether a path is named like an archive of images."""
    return path.suffix.lower() in SUFFIXES


def find_archives(paths: Iterable[Path]) -> list[str]:
    """The absolute paths of archives, each once, of files and patterns such as `part-*.tar`.

    Raises:
        PosetalkError: a file is not there, or a pattern has no match.
    """
    found: dict[str, None] = {}
    for path in paths:
        matches = [str(path)] if path.is_file() else sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        if not matches:
            raise PosetalkError(f"there is no archive {path}; check the path")
        found |= dict.fromkeys(map(os.path.abspath, matches))
    return list(found)


@contextmanager
def unpacked(archive: Path) -> Iterator[list[ListedImage]]:
    """The images of an archive, as files of a temporary folder for as long as the block runs.

    A tar's images are called ARCHIVE/MEMBER. A parquet file has a column `image` with an image's bytes, or with a
    record of `bytes` and `path` as `datasets` writes it; `file_name` and `image_id` are taken where it has them. Ids
    that are not given are hashes of the names.

    Raises:
        PosetalkError: the archive cannot be read, or holds no image.
    """
    with TemporaryDirectory(prefix="posetalk-") as folder:
        read = _tar if archive.suffix.lower() == ".tar" else _parquet
        found: list[tuple[str, int | None]] = []
        for number, (name, image_id, data) in enumerate(read(archive)):
            (Path(folder) / str(number)).write_bytes(data)
            found.append((readable(f"{archive.stem}/{name}"), image_id))
        if not found:
            raise PosetalkError(f"there is no image in {archive}; check the file")
        given = {name: image_id for name, image_id in found if image_id is not None}
        ids = image_ids([f"{name}/" for name, _ in found], {f"{name}/": n for name, n in given.items()})
        yield [
            ListedImage(Path(folder) / str(number), name, image_id)
            for number, ((name, _), image_id) in enumerate(zip(found, ids, strict=True))
        ]


def _tar(archive: Path) -> Iterator[tuple[str, int | None, bytes]]:
    try:
        with tarfile.open(archive) as members:
            for member in members:
                if member.isfile() and os.path.splitext(member.name)[1].lower() in image_suffixes():  # noqa: PTH122
                    file = members.extractfile(member)
                    assert file is not None
                    yield member.name, None, file.read()
    except (OSError, tarfile.TarError) as error:
        raise PosetalkError(f"cannot read the archive {archive}: {error}; fetch or write it again") from None


def _parquet(archive: Path) -> Iterator[tuple[str, int | None, bytes]]:
    parquet: Any = need("pyarrow.parquet", "export")
    try:
        with parquet.ParquetFile(archive) as file:
            names = [name for name in ("image", "file_name", "image_id") if name in file.schema_arrow.names]
            if "image" not in names:
                raise PosetalkError(f"{archive} has no column image; give the bytes of the images that name")
            number = 0
            for batch in file.iter_batches(_ROWS, columns=names):
                for row in batch.to_pylist():
                    image = row["image"] if isinstance(row["image"], dict) else {"bytes": row["image"]}
                    if isinstance(image.get("bytes"), bytes):
                        name = row.get("file_name") or image.get("path") or f"{number}.image"
                        yield str(name), row.get("image_id"), image["bytes"]
                    number += 1
    except (OSError, ValueError) as error:  # ValueError: of Arrow
        if isinstance(error, PosetalkError):
            raise
        raise PosetalkError(f"cannot read {archive}: {error}; fetch or write it again") from None
