"""`posetalk locate` and `posetalk label` over shards of images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.inputs import absolute_model
from posetalk.locate.image_files import find_images
from posetalk.locate.image_lists import ListedImage, list_line
from posetalk.locate.jobs import NothingLocated, image_jobs
from posetalk.locate.label import CAPTIONS, join_captions, label_images, read_given_captions
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import readable
from posetalk.locate.run import locate_images
from posetalk.messages import log, track
from posetalk.scale.archives import find_archives, is_archive, unpacked
from posetalk.scale.cluster import Cluster
from posetalk.scale.joined import IMAGES, ids_of_list, join_labels, join_located, own_lines
from posetalk.scale.parquet import write_table
from posetalk.scale.shards import FOLDER, cut, remove_from, run_folder, shard_folders
from posetalk.skeleton import KeypointQuery, Skeleton, load_skeleton, parse_keypoints

ARCHIVE = "archive.txt"
_MODEL_OPTIONS = ("device", "dtype", "readout", "decoding", "flip_test", "engine", "threads", "batch_size")


_Found = tuple[int | None, tuple[str, ...]]
"""The number of people of a shard, None where nothing could be located; and sentences on images."""


@dataclass(frozen=True, slots=True)
class LocatedShards:
    """What became of the images of all shards.

    Attributes:
        shards: The number of shards.
        people: The number of people in them.
        skipped: The number of sentences on images that were skipped; they are logged as the shards end.
    """

    shards: int
    people: int
    skipped: int


def locate_shards(
    cluster: Cluster,
    images: Sequence[str | Path],
    keypoints: KeypointQuery,
    *,
    out: str | Path,
    shard_size: int,
    join: bool = True,
    parquet: bool = False,
    **options: Any,
) -> LocatedShards:
    """Locate people in many images on many machines.

    Each shard is a folder that `locate_images` wrote. Joined, they become the folder that it would have written for all
    images. Called again, the run continues where it stopped.

    Args:
        cluster: Whose workers do it. They see `images` and `out` by the same paths.
        images: As in `locate_images`; and archives (`archives.is_archive`), each of which is a shard.
        keypoints: As in `locate_images`.
        out: The folder of the run. It is made if it does not exist.
        shard_size: The number of images of a shard.
        join: Whether the results are joined at the end.
        parquet: Whether the people also become parquet files, one for each shard, in OUT/parquet.
        options: Of `locate_images`: model, detector, min_score, max_people, largest, whole_image, readout, decoding,
            flip_test, device, dtype, engine, threads, batch_size.

    Raises:
        PosetalkError: As `locate_images`, or as `Cluster.each`.
    """
    points = tuple(parse_keypoints(keypoints))
    with _cut_images(images, Path(out), shard_size) as (folder, count):
        located = _run(cluster, folder, count, parquet, _locate, points, _everywhere(options))
        if join:
            join_located(folder, count)
        return located


def label_shards(
    cluster: Cluster,
    images: Sequence[str | Path],
    *,
    out: str | Path,
    shard_size: int,
    join: bool = True,
    parquet: bool = False,
    skeleton: Skeleton | str | Path = "coco17",
    captions: str | Path | None = None,
    **options: Any,
) -> LocatedShards:
    """Label photos on many machines, as `label_images` does on one; see `locate_shards`.

    Raises:
        PosetalkError: As `locate_shards`; captions are given, and the labels are not joined.
    """
    if captions and not join:
        raise PosetalkError("captions are joined with the labels of all images; leave --no-join away")
    skeleton = skeleton if isinstance(skeleton, Skeleton) else load_skeleton(skeleton)
    written = read_given_captions(Path(captions)) if captions else None
    with _cut_images(images, Path(out), shard_size) as (folder, count):
        labelled = _run(cluster, folder, count, parquet, _label, skeleton, _everywhere(options))
        if join:
            join_located(folder, count)
            rows = join_labels(folder, count, keep_rows=written is not None)
            if written is not None:
                notes: list[str] = []
                joined = join_captions(written, rows, Path(str(captions)), notes)
                text = json.dumps({"images": rows, "annotations": joined}, ensure_ascii=False)
                write_text(folder / CAPTIONS, text)
                for note in notes:
                    log.info(note)
        return labelled


def _locate(shard: Path, points: Any, options: dict[str, Any]) -> _Found:
    with _images_of(shard) as images:
        try:
            located = locate_images(images, points, out=shard, **_with_model(options))
        except NothingLocated as error:
            return None, (str(error),)
    return len(located.predictions), located.skipped


def _label(shard: Path, skeleton: Skeleton, options: dict[str, Any]) -> _Found:
    with _images_of(shard) as images:
        try:
            labelled = label_images(images, out=shard, skeleton=skeleton, **_with_model(options))
        except NothingLocated as error:
            return None, (str(error),)
    return labelled.people, labelled.skipped


def _with_parquet(shard: Path, work: Callable[..., _Found], *given: Any) -> _Found:
    found = work(shard, *given)
    write_table(shard, "predictions", own_lines(shard, "predictions.jsonl", ids_of_list(shard)))
    return found


@contextmanager
def _images_of(shard: Path) -> Iterator[Path]:
    """The list of a shard's images."""
    if not (shard / ARCHIVE).exists():
        yield shard / IMAGES
        return
    with unpacked(Path((shard / ARCHIVE).read_text(encoding="utf-8"))) as images:
        write_text(shard / IMAGES, "".join(map(list_line, images)))
        yield shard / IMAGES


def _with_model(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in _MODEL_OPTIONS if name in options}
    return options | {"model": _model(options.get("model", "bundled"), **given)}


@lru_cache(maxsize=1)
def _model(name: str, **options: Any) -> Localizer:
    """The model of this process, loaded once."""
    return Localizer.from_pretrained(name, **options)


def _everywhere(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the folders of models as absolute paths, and one thread where none are given."""
    found = options | {"threads": options.get("threads") or 1}
    return found | {name: absolute_model(str(found.get(name, "bundled"))) for name in ("model", "detector")}


@contextmanager
def _cut_images(images: Sequence[str | Path], out: Path, size: int) -> Iterator[tuple[Path, int]]:
    """Cut the images into the shards of a folder; gives its absolute path and the number of shards."""
    out = out.absolute()
    if (out / "run.toml").exists() and not (out / FOLDER).exists():
        raise PosetalkError(
            f"{out} holds a run without shards; go on without --ray, or choose another folder"
        )
    paths = [Path(image) for image in images]
    archives = find_archives(path for path in paths if is_archive(path))
    others = [path for path in paths if not is_archive(path)]
    with run_folder(out):
        count = cut(out, _listed(others, out) if others else (), size, _write_list)
        count = cut(out, map(Path, archives), 1, _write_archive, begin=count)
        remove_from(out, count)
        yield out, count


def _listed(paths: list[Path], out: Path) -> Iterator[ListedImage]:
    """The images of files, folders, patterns and lists, with their ids."""
    files = find_images(paths, [out])
    if files.passed_over:
        log.info(files.passed_over)
    for job in image_jobs(files.images):
        yield ListedImage(job.image.path.absolute(), readable(job.image.name), job.image.id)


def _write_list(shard: Path, images: list[ListedImage]) -> None:
    (shard / ARCHIVE).unlink(missing_ok=True)
    write_text(shard / IMAGES, "".join(map(list_line, images)))


def _write_archive(shard: Path, archives: list[Path]) -> None:
    write_text(shard / ARCHIVE, str(archives[0]))


def _run(
    cluster: Cluster, out: Path, count: int, parquet: bool, work: Callable[..., _Found], *given: Any
) -> LocatedShards:
    people = skipped = failed = 0
    shards = shard_folders(out, count)
    located = (
        cluster.each(_with_parquet, shards, work, *given) if parquet else cluster.each(work, shards, *given)
    )
    for done in track(located, "shards", count):
        found, sentences = done.value
        people, skipped, failed = people + (found or 0), skipped + len(sentences), failed + (found is None)
        for sentence in (*done.messages, *sentences):
            log.info(readable(f"{done.shard.name}: {sentence}"))
    if failed == count:
        raise PosetalkError(f"nothing could be located in any of {count:,} shards; why is said above")
    return LocatedShards(count, people, skipped)
