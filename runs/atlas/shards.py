"""Pictures and labels on disk, a shard at a time, so that a killed run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from posetalk.atomic_files import whole_file

SHARD = 100  # pictures


def shard_file(folder: Path, number: int) -> Path:
    return folder / "shards" / f"{number:05d}.json"


def write_json(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file, "choose another folder") as part:
        part.write_text(json.dumps(data), encoding="utf-8")


def merge(folder: Path, names: list[str], shards: int) -> dict[str, Any]:
    """All shards as one COCO-form label set."""
    images, annotations = [], []
    for number in range(shards):
        rows = json.loads(shard_file(folder, number).read_text(encoding="utf-8"))
        images += rows["images"]
        annotations += rows["annotations"]
    for number, row in enumerate(annotations, 1):
        row["id"] = number
    category = {"id": 1, "name": "person", "keypoints": names, "skeleton": []}
    return {"images": images, "annotations": annotations, "categories": [category]}
