"""`posetalk screen` over shards of samples."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from posetalk.atomic_files import whole_file, write_text
from posetalk.formats.annotated import AnnotatedImages
from posetalk.messages import track
from posetalk.scale.cluster import Cluster
from posetalk.scale.shards import cut, lines_of, remove_from, shard_folders
from posetalk.scale.write import SCREENED
from posetalk.write.folder import ScreenedSample, ScreeningResult, write_screened
from posetalk.write.labels import read_labels
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.screening.run import screen_dataset, screened, supported_by

PUBLISHED = "published.jsonl"
Labels = tuple[Path | None, Path | None, Path | None, Path | None]  # annotations, captions, objects, images


def screen_shards(
    cluster: Cluster, published: str | Path, out: str | Path, *, shard_size: int, **options: Any
) -> ScreeningResult:
    """Screen the samples of others on many machines, as `screen_dataset` does on one.

    Args:
        cluster: Whose workers do it. They see the labels and `out` by the same paths.
        published: As of `screen_dataset`.
        out: As of `screen_dataset`.
        shard_size: The number of samples of a shard.
        options: Others of `screen_dataset`.

    Raises:
        PosetalkError: As `screen_dataset`, or as `Cluster.each`.
    """
    folder = Path(out).absolute()
    names = ("annotations", "captions", "objects", "images")
    labels = tuple(options.get(name) and Path(options[name]).resolve() for name in names)

    def screen(samples: Iterable[Sample], annotated: AnnotatedImages | None) -> ScreeningResult:
        count = cut(folder, samples, shard_size, _write_published)
        remove_from(folder, count)
        for _ in track(cluster.each(_screen, shard_folders(folder, count), labels), "shards", count):
            pass
        found = map(ScreenedSample.of, lines_of(shard_folders(folder, count), SCREENED))
        return write_screened(found, folder, supported_by(annotated))

    return screen_dataset(published, folder, screen=screen, **options)


def _screen(shard: Path, labels: Labels) -> None:
    samples = screened(read_samples(shard / PUBLISHED), _labels(*labels))
    with whole_file(shard / SCREENED) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(sample.line() for sample in samples)


@lru_cache(maxsize=1)
def _labels(
    annotations: Path | None, captions: Path | None, objects: Path | None, images: Path | None
) -> AnnotatedImages | None:
    """The labels of this process, read once."""
    return read_labels(annotations, captions, objects, images) if annotations else None


def _write_published(shard: Path, samples: list[Sample]) -> None:
    write_text(shard / PUBLISHED, "".join(sample.line() for sample in samples))
