"""`posetalk facts` over shards of labelled images."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from posetalk.facts.show import iter_scenes, labelled_ids, write_scenes
from posetalk.formats.captions import read_captions
from posetalk.formats.dataset import read_people
from posetalk.formats.objects import Objects, read_objects
from posetalk.images.fit import image_sizes
from posetalk.messages import track
from posetalk.scale.cluster import Cluster
from posetalk.scale.parquet import write_table
from posetalk.scale.shards import (
    FOLDER,
    PARQUET,
    cut,
    join_lines,
    lines_of,
    read_ids,
    remove_from,
    run_folder,
    shard_folders,
    write_ids,
)
from posetalk.skeleton import Skeleton
from posetalk.types import PoseSet

FACTS = "facts.jsonl"


def facts_shards(
    cluster: Cluster,
    data: PoseSet,
    annotations: Path,
    json_out: Path,
    *,
    shard_size: int,
    join: bool = True,
    parquet: bool = False,
    image_ids: Collection[int] = (),
    images: Path | None = None,
    objects: Path | None = None,
    captions: Path | None = None,
    skeleton: Skeleton | None = None,
) -> None:
    """Write the facts of labelled images on many machines, as `write_scenes` does on one.

    Args:
        cluster: Whose workers do it. They see the files by the same paths.
        data: The labelled people of `annotations`.
        annotations: The label file.
        json_out: The file to write. The shards lie beside it, in FILE.run, and are removed when they are joined.
        shard_size: The number of images of a shard.
        join: Whether the shards are joined into the file.
        parquet: Whether each shard also becomes a parquet file, in FILE.run/parquet.
        image_ids: Only these images, if any are given.
        images: The folder of the images.
        objects: COCO's instances file.
        captions: COCO's captions file.
        skeleton: Whose keypoints these are.

    Raises:
        PosetalkError: An id that the data set does not have, or as `Cluster.each`.
    """
    out = json_out.absolute().with_name(json_out.name + ".run")
    ids = labelled_ids(data, image_ids)
    with run_folder(out):
        count = cut(out, ids, shard_size, write_ids)
        remove_from(out, count)
        place = (annotations.resolve(), (images or annotations.parent).resolve(), skeleton)
        beside = (objects and objects.resolve(), captions and captions.resolve())
        work = cluster.each(_facts, shard_folders(out, count), *place, *beside, parquet)
        for _ in track(work, "shards", count):
            pass
        if join:
            join_lines(out, count, FACTS, json_out)
    if join:
        shutil.rmtree(out / FOLDER if (out / PARQUET).exists() else out)


def _facts(
    shard: Path,
    annotations: Path,
    images: Path,
    skeleton: Skeleton | None,
    objects: Path | None,
    captions: Path | None,
    parquet: bool,
) -> None:
    data, things, texts = _labels(annotations, images, skeleton, objects, captions)
    ids = read_ids(shard)
    write_scenes((scene for _, scene in iter_scenes(data, things, ids, texts)), shard / FACTS)
    if parquet:
        write_table(shard, "facts", lines_of([shard], FACTS))


@lru_cache(maxsize=1)
def _labels(
    annotations: Path,
    images: Path,
    skeleton: Skeleton | None,
    objects: Path | None,
    captions: Path | None,
) -> tuple[PoseSet, Objects, dict[int, tuple[str, ...]]]:
    """The labels of this process, read once."""
    data = read_people(annotations, images, skeleton=skeleton)
    things = read_objects(objects, sizes=image_sizes(data.images))[0] if objects else Objects()
    return data, things, read_captions(captions)[0] if captions else {}
