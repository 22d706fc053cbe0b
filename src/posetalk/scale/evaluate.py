"""`posetalk evaluate` over shards of labelled images: they are located in shards, and scored together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from posetalk.inputs import absolute_model
from posetalk.locate.jobs import NothingLocated
from posetalk.locate.localizer import Localizer
from posetalk.locate.people_log import detector_content
from posetalk.locate.predictions import readable
from posetalk.messages import log, track
from posetalk.scale.cluster import Cluster
from posetalk.scale.joined import join_logs
from posetalk.scale.shards import cut, read_ids, remove_from, run_folder, shard_folders, write_ids
from posetalk.score.report import EvaluationReport
from posetalk.score.run import Evaluated, evaluate_model, locate_evaluated, model_of, read_evaluated
from posetalk.settings import EvaluateSettings

_Options = tuple[str | None, int, int]  # device, threads, people computed at a time


def evaluate_shards(
    cluster: Cluster,
    settings: EvaluateSettings,
    out: str | Path,
    *,
    shard_size: int,
    compare: Sequence[str | Path] = (),
    device: str | None = None,
    threads: int | None = None,
    batch_size: int = 8,
) -> EvaluationReport:
    """Evaluate a model on many machines, as `evaluate_model` does on one; see there.

    Args:
        cluster: Whose workers locate. They see labels, images and `out` by the same paths.
        settings: As of `evaluate_model`, like all others.
        out: The folder of the run.
        shard_size: The number of images of a shard.

    Raises:
        PosetalkError: As `evaluate_model`, or as `Cluster.each`.
    """
    out = Path(out).absolute()
    settings = _everywhere(settings)
    ids = [image.id for image in read_evaluated(settings).truth.images]
    with run_folder(out):
        count = cut(out, ids, shard_size, write_ids)
        remove_from(out, count)
        options: _Options = (device, threads or 1, batch_size)
        for done in track(
            cluster.each(_locate, shard_folders(out, count), settings, options), "shards", count
        ):
            for message in done.messages:
                log.info(readable(f"{done.shard.name}: {message}"))
        join_logs(out, count, _ids)
    # what is located is not located again
    return evaluate_model(
        settings, out, compare=compare, device=device, threads=threads, batch_size=batch_size
    )


def _locate(shard: Path, settings: EvaluateSettings, options: _Options) -> None:
    labels, ids = _labels(settings), _ids(shard)
    images = tuple(image for image in labels.truth.images if image.id in ids)
    part = replace(labels, truth=replace(labels.truth, images=images))
    # that there is nobody is said of all images, where it is so of all
    with settings.claim(shard, also=detector_content(settings.detector)), suppress(NothingLocated):
        locate_evaluated(part, settings, _model(settings, *options), shard)


@lru_cache(maxsize=1)
def _labels(settings: EvaluateSettings) -> Evaluated:
    """The labels of this process, read once."""
    return read_evaluated(settings)


@lru_cache(maxsize=1)
def _model(settings: EvaluateSettings, device: str | None, threads: int, batch_size: int) -> Localizer:
    """The model of this process, loaded once."""
    return model_of(settings, device, threads, batch_size)


def _ids(shard: Path) -> set[int]:
    return set(read_ids(shard))


def _everywhere(settings: EvaluateSettings) -> EvaluateSettings:
    """The settings with absolute paths."""
    found = {name: getattr(settings, name) for name in ("annotations", "images", "boxes", "heads")}
    found = {name: path and str(Path(path).resolve()) for name, path in found.items()}
    for name in ("model", "detector"):
        value = getattr(settings, name)
        found[name] = value and absolute_model(value)
    if settings.skeleton and Path(settings.skeleton).is_file():
        found["skeleton"] = str(Path(settings.skeleton).resolve())
    return settings.model_copy(update=found)
