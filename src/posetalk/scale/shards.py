"""Shards: numbered folders under OUT/shards, each with a part of a run's input and what was made of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from posetalk.atomic_files import whole_file, writing
from posetalk.errors import PosetalkError
from posetalk.lock import only_run

T = TypeVar("T")

FOLDER = "shards"
PARQUET = "parquet"  # the folder of parquet files, see parquet.py
IDS = "images.json"
SIZE = 1000  # images of a shard


def cut(
    out: Path, rows: Iterable[T], size: int, write: Callable[[Path, list[T]], None], begin: int = 0
) -> int:
    """Write every `size` rows into the folder of a shard, from shard number `begin`.

    Returns:
        The number of the shard behind the last.
    """
    if size < 1:
        raise PosetalkError(f"a shard of {size} images does nothing; give at least 1")
    rows, number = iter(rows), begin
    while part := list(islice(rows, size)):
        folder = shard_folder(out, number)
        with writing(folder, "choose another folder"):
            folder.mkdir(parents=True, exist_ok=True)
        write(folder, part)
        number += 1
    return number


@contextmanager
def run_folder(out: Path) -> Iterator[None]:
    """Make the folder of a run, and hold it against other runs. It is removed where nothing came of it.

    Raises:
        PosetalkError: it cannot be written to, or another run is at work in it.
    """
    made = not out.exists()
    with writing(out, "choose another folder"):
        out.mkdir(parents=True, exist_ok=True)
    try:
        with only_run(out):
            yield
    finally:
        if made:
            with suppress(OSError):  # there is something in it
                out.rmdir()


def shard_folder(out: Path, number: int) -> Path:
    """The folder of a shard."""
    return out / FOLDER / f"{number:06d}"


def shard_folders(out: Path, count: int) -> Iterator[Path]:
    """The folders of the first `count` shards."""
    return (shard_folder(out, number) for number in range(count))


def remove_from(out: Path, count: int) -> None:
    """Remove the shards of an earlier run that had more of them, and their parquet files."""
    for path in [*out.glob(f"{FOLDER}/*"), *out.glob(f"{PARQUET}/*-*.parquet")]:
        number = path.stem.rpartition("-")[2]
        if number.isdecimal() and int(number) >= count:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def write_ids(shard: Path, ids: list[int]) -> None:
    """Keep which images are in a shard."""
    with whole_file(shard / IDS) as part:
        part.write_bytes(msgspec.json.encode(ids))


def read_ids(shard: Path) -> list[int]:
    """The images that `write_ids` kept."""
    return msgspec.json.decode((shard / IDS).read_bytes(), type=list[int])


class _OfImage(msgspec.Struct):
    image_id: int


_DECODER = msgspec.json.Decoder(_OfImage)


def image_of(line: bytes) -> int:
    """The image's id of a line of JSON."""
    return _DECODER.decode(line).image_id


def lines_of(folders: Iterable[Path], name: str) -> Iterator[bytes]:
    """The complete lines of a file of each shard, one after the other; of shards without it none."""
    for folder in folders:
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                yield from (line for line in file if line.endswith(b"\n"))


def join_lines(out: Path, count: int, name: str, target: Path | None = None) -> None:
    """Write the lines of a file of all shards, one after the other, into OUT/NAME, or `target`."""
    with whole_file(target or out / name) as part, part.open("wb") as file:
        file.writelines(lines_of(shard_folders(out, count), name))
