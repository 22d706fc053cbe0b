"""`posetalk write` over shards of labelled images: each worker screens its own, duplicates are found when all join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import msgspec

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.images.fit import image_notes
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Reason
from posetalk.llm.ledger import LEDGER
from posetalk.llm.pricing import Price
from posetalk.llm.request_state import RunReport
from posetalk.messages import log, track
from posetalk.scale.cluster import Cluster, Done
from posetalk.scale.ledgers import add_report, join_ledgers, share
from posetalk.scale.parquet import write_sample_tables, write_table
from posetalk.scale.shards import cut, lines_of, remove_from, shard_folders
from posetalk.scale.short_counts import counted_before, save_counts, share_counts
from posetalk.write.folder import SAMPLES, ScreenedSample, ScreeningResult, write_report, write_screened
from posetalk.write.from_facts.run import count_short, facts_samples, selected_images
from posetalk.write.from_model.run import asked_model, usable_by_model
from posetalk.write.labels import is_supported, labels_of
from posetalk.write.questions.short import ShortQuestions
from posetalk.write.run import check_writer
from posetalk.write.samples.sample import Kind, Selected
from posetalk.write.settings import WriteSettings

PART, SCREENED = "part.json", "screened.jsonl"


class _Part(msgspec.Struct, frozen=True):
    """The images of a shard, in order; those of each kind; and what all answers of its ledger may cost."""

    ids: list[int]
    kinds: dict[Kind, list[int]]
    max_cost_usd: float | None

    def images_of(self) -> Selected:
        return {kind: frozenset(ids) for kind, ids in self.kinds.items()}


@dataclass(frozen=True, slots=True)
class _Budget:
    """What a shard may cost: what it has cost, and its share of what is left.

    limit: of the run; total: what all has cost; spent: what each shard has, by name; images: their number.
    """

    limit: float | None
    total: float
    spent: dict[str, float]
    images: int

    def of(self, shard: str, images: int) -> float | None:
        if self.limit is None:
            return None
        left = max(0.0, self.limit - self.total)
        return self.spent.get(shard, 0.0) + left * images / self.images


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a shard.

    Attributes:
        report: What became of the requests to a server.
        read: The number of sentences that a second reader read, by what it said.
        skipped: A sentence for each image that nothing was asked about.
        written: The number of samples by kind, where the shards are not joined.
        rejected: The number of others by reason, likewise.
    """

    report: RunReport | None = None
    read: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    written: Counter[Kind] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Asking:
    """How a model is asked in a shard."""

    server: ServerSettings
    price: Price | None
    reader: ServerSettings | None
    reader_price: Price | None
    known: Path


def write_shards(
    cluster: Cluster,
    settings: WriteSettings,
    out: str | Path,
    *,
    shard_size: int,
    join: bool = True,
    parquet: bool = False,
    images: str | Path | None = None,
    server: ServerSettings | None = None,
    price: Price | None = None,
    reader: ServerSettings | None = None,
    reader_price: Price | None = None,
) -> ScreeningResult:
    """Write instruction data on many machines, as `write_dataset` does on one; see there.

    Every shard has a ledger of its own. What any of them holds an answer to is not asked again, whatever shard asks for
    it. The server's limits (concurrency, requests and tokens a minute, cost) are those of the whole run, of which each
    worker gets its share.

    Args:
        cluster: Whose workers do it. They see the labels, `images` and `out` by the same paths.
        settings: As of `write_dataset`.
        out: The folder of the run. It is made if it does not exist.
        shard_size: The number of images of a shard.
        join: Whether the samples are joined into the files that `write_dataset` writes. If not, each shard's folder has
            its own, without those that repeat a sample of the same shard.
        parquet: Whether the samples also become parquet files, one for each shard, in OUT/parquet.
        images: As of `write_dataset`, like all others.

    Raises:
        PosetalkError: As `write_dataset`, or as `Cluster.each`.
    """
    check_writer(settings, images, server, reader)
    out = Path(out).absolute()
    images = None if images is None else Path(images).absolute()
    settings = _everywhere(settings)
    annotated = labels_of(settings, images)
    if images:
        for note in image_notes(annotated.sample(), Path(settings.annotations)):
            log.warning(f"note: {note}")
    with settings.claim(out, anew=True):
        selected = (selected_images if server is None else usable_by_model)(annotated, settings)
        ids = [
            image_id for image_id in annotated.ids() if any(image_id in some for some in selected.values())
        ]
        budget = _Budget(None, 0.0, {}, len(ids))
        if server is not None:
            spent, totals = join_ledgers(out, out / LEDGER)
            budget = _Budget(server.max_cost_usd, totals.dollars, spent, len(ids))
        count = cut(out, ids, shard_size, partial(_write_part, selected, budget))
        remove_from(out, count)
        shards = partial(shard_folders, out, count)
        result = ScreeningResult()
        if server is None:
            if "short" in settings.kinds:
                for _ in track(cluster.each(_count, shards(), settings, images), "counting", count):
                    pass
                share_counts(list(shards()))
            written = cluster.each(_write_by_facts, shards(), settings, images, not join, parquet)
        else:
            result.server_run, workers = RunReport(), cluster.size()
            theirs = reader and share(reader, workers)
            asking = _Asking(share(server, workers), price, theirs, reader_price, out / LEDGER)
            written = cluster.each(_write_by_model, shards(), settings, images, asking, not join, parquet)
        for done in track(written, "shards", count):
            _add(result, done)
        if result.server_run:
            _, result.server_run.totals = join_ledgers(out, out / LEDGER)
        if join:
            joined = _write_screened(annotated, settings, shards(), out)
            result.written, result.rejected = joined.written, joined.rejected
            if parquet:
                write_sample_tables(out, shards(), _ids_of_part)
            if result.written:
                result.unreadable_images = write_report(annotated, out)
        if not result.written and server is None:
            raise PosetalkError(
                f"too little is known of the people of {settings.annotations} to write anything of them"
            )
    result.notes = annotated.notes
    result.skipped = [*annotated.skipped, *result.skipped]
    return result


def _count(shard: Path, settings: WriteSettings, images: Path | None) -> None:
    annotated, part = _labels_of_part(shard, settings, images)
    save_counts(shard, count_short(annotated, settings, part.images_of()))


def _write_by_facts(
    shard: Path, settings: WriteSettings, images: Path | None, separate: bool, parquet: bool
) -> Written:
    annotated, part = _labels_of_part(shard, settings, images)
    short = counted_before(shard, settings.seed) if "short" in settings.kinds else ShortQuestions()
    samples = facts_samples(annotated, settings, part.images_of(), short)
    with settings.claim(shard, anew=True):
        return _write(shard, annotated, settings, samples, separate, parquet)


def _write_by_model(
    shard: Path, settings: WriteSettings, images: Path | None, asking: _Asking, separate: bool, parquet: bool
) -> Written:
    annotated, part = _labels_of_part(shard, settings, images)
    limit = {"max_cost_usd": part.max_cost_usd}
    with asked_model(
        annotated,
        settings,
        asking.server.model_copy(update=limit),
        shard,
        asking.price,
        asking.reader and asking.reader.model_copy(update=limit),
        asking.reader_price,
        part.images_of(),
        asking.known,
    ) as asked:
        written = _write(shard, annotated, settings, asked.samples(), separate, parquet)
        return replace(written, report=asked.report, read=asked.read, skipped=asked.skipped)


def _write(
    shard: Path,
    annotated: AnnotatedImages,
    settings: WriteSettings,
    samples: Iterable[ScreenedSample],
    separate: bool,
    parquet: bool,
) -> Written:
    """Write screened.jsonl, and, where shards stay separate, the files of a data set and of parquet."""
    with whole_file(shard / SCREENED) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(sample.line() for sample in samples)
    if not separate:
        return Written()
    result = _write_screened(annotated, settings, [shard], shard)
    if parquet:
        write_table(shard, "samples", lines_of([shard], SAMPLES))
    return Written(written=result.written, rejected=result.rejected)


@lru_cache(maxsize=1)
def _labels(settings: WriteSettings, images: Path | None) -> AnnotatedImages:
    """The labels of this process, read once."""
    return labels_of(settings, images)


def _labels_of_part(
    shard: Path, settings: WriteSettings, images: Path | None
) -> tuple[AnnotatedImages, _Part]:
    part = _part(shard)
    annotated = _labels(settings, images)
    annotated.only = part.ids
    return annotated, part


def _part(shard: Path) -> _Part:
    return msgspec.json.decode((shard / PART).read_bytes(), type=_Part)


def _ids_of_part(shard: Path) -> list[int]:
    return _part(shard).ids


def _write_part(selected: Selected, budget: _Budget, shard: Path, ids: list[int]) -> None:
    kinds = {kind: [image_id for image_id in ids if image_id in some] for kind, some in selected.items()}
    part = _Part(ids, kinds, budget.of(shard.name, len(ids)))
    with whole_file(shard / PART) as file:
        file.write_bytes(msgspec.json.encode(part))


def _write_screened(
    annotated: AnnotatedImages, settings: WriteSettings, shards: Iterable[Path], out: Path
) -> ScreeningResult:
    """Write the files of a data set from screened.jsonl of shards."""
    samples = map(ScreenedSample.of, lines_of(shards, SCREENED))
    if settings.writer == "facts":  # what it writes is always supported
        return write_screened(samples, out)
    return write_screened(samples, out, partial(is_supported, annotated))


def _add(result: ScreeningResult, done: Done[Written]) -> None:
    for message in done.messages:
        log.info(f"{done.shard.name}: {message}")
    written = done.value
    result.skipped += written.skipped
    result.read += written.read
    result.written += written.written
    result.rejected += written.rejected
    if result.server_run and written.report:
        add_report(result.server_run, written.report)


def _everywhere(settings: WriteSettings) -> WriteSettings:
    """The settings with absolute paths."""
    paths = {name: getattr(settings, name) for name in ("annotations", "captions", "objects")}
    absolute = {name: path and str(Path(path).resolve()) for name, path in paths.items()}
    benchmarks = tuple(str(Path(path).resolve()) for path in settings.benchmarks)
    return settings.model_copy(update={**absolute, "benchmarks": benchmarks})
