"""The files of located images of all shards, joined without holding more than a shard in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import msgspec

from posetalk.atomic_files import whole_file
from posetalk.locate.label import LABELS
from posetalk.scale.shards import image_of, lines_of, shard_folders

IMAGES = "images.jsonl"
_LOGS = ("predictions.jsonl", "people.jsonl", "pictures.jsonl")


def join_located(out: Path, count: int) -> None:
    """Make OUT what `locate_images` would have made it. Memory grows with the largest shard alone."""
    join_logs(out, count, ids_of_list)
    with whole_file(out / "keypoints.json") as part, part.open("w", encoding="utf-8") as file:
        file.write("[")
        separator = ""
        for shard in shard_folders(out, count):
            own = ids_of_list(shard)
            for row in _json(shard / "keypoints.json") or ():
                if row["image_id"] in own:
                    file.write(separator + json.dumps(row))
                    separator = ", "
        file.write("]\n")
    for shard in shard_folders(out, count):
        if (shard / "run.toml").exists():
            for name in ("run.toml", "inputs.json"):
                shutil.copyfile(shard / name, out / name)
            break


def join_logs(out: Path, count: int, ids_of: Callable[[Path], set[int]]) -> None:
    """Join predictions.jsonl, people.jsonl and pictures.jsonl of all shards.

    ids_of: gives the ids of a shard's images. Others that its files have were in it in an earlier run.
    """
    for name in _LOGS:
        if not any((shard / name).exists() for shard in shard_folders(out, count)):
            continue
        with whole_file(out / name) as part, part.open("wb") as file:
            for shard in shard_folders(out, count):
                file.writelines(own_lines(shard, name, ids_of(shard)))


def own_lines(shard: Path, name: str, ids: Container[int]) -> Iterator[bytes]:
    """The lines of a file of a shard that are of these images."""
    return (line for line in lines_of([shard], name) if image_of(line) in ids)


def join_labels(out: Path, count: int, keep_rows: bool) -> list[dict[str, Any]]:
    """Write labels.json of those of the shards; returns the images' records where they are wanted."""
    rows: list[dict[str, Any]] = []
    labels = [shard / LABELS for shard in shard_folders(out, count) if (shard / LABELS).exists()]
    encode = msgspec.json.encode
    with whole_file(out / LABELS) as part, part.open("wb") as file:
        head = _json(labels[0])
        file.write(b'{"info":' + encode(head["info"]) + b',"images":[')
        separator = b""
        for path in labels:
            for row in _json(path)["images"]:
                file.write(separator + encode(row))
                separator = b","
                if keep_rows:
                    rows.append(row)
        file.write(b'],"annotations":[')
        number = 0
        for path in labels:
            for row in _json(path)["annotations"]:
                number += 1
                file.write((b"," if number > 1 else b"") + encode(row | {"id": number}))
        file.write(b'],"categories":' + encode(head["categories"]) + b"}")
    return rows


def ids_of_list(shard: Path) -> set[int]:
    """The ids of the images in the list of a shard."""
    return set(map(image_of, lines_of([shard], IMAGES)))


def _json(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes()) if path.exists() else None
