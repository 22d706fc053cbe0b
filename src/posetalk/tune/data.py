"""Files of conversations -> lessons of known length, in an order that groups them by length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.coco import image_path
from posetalk.formats.files import read_start
from posetalk.images.opening import upright_size
from posetalk.tune.collator import ChatCollator, RenderedConversation
from posetalk.tune.settings import HELD, Replay, Source
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.screening.published import read_published

GROUP = 16  # batches that are sorted by length together: few enough that the order stays random

Track = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class TuningExample:
    """id: the sample's. length: tokens, those of the picture included."""

    id: str
    image: Path
    conversation: RenderedConversation
    length: int


def read_source(file: str | Path, skipped: list[str]) -> Iterator[Sample]:
    """The samples of a folder, a samples.jsonl or LLaVA's JSON; of each that cannot be read a sentence in `skipped`.

    Errors: nothing there, another form, no sample.
    """
    path = Path(file)
    if path.is_dir():
        held = [path / name for name in HELD if (path / name).is_file()]
        if not held:
            raise PosetalkError(
                f"{path} holds neither samples.jsonl nor train.json; give a folder of `posetalk write` or a file"
            )
        path = held[0]
    start = read_start(path)
    ours = start.startswith(b"{") and b'"turns"' in start.split(b"\n", 1)[0]
    return read_samples(path) if ours else read_published(path, skipped)


def examples(
    source: Source, teacher: ChatCollator, longest: int, skipped: list[str], track: Track = iter
) -> list[TuningExample]:
    """What a model learns from a source. In `skipped` a sentence for each sample that is left out: unreadable, longer
    than `longest` tokens, a picture that is not there. Errors: as `read_source`; no sample that can be learned."""
    sizes: dict[Path, tuple[int, int]] = {}
    found: list[TuningExample] = []
    for sample in track(read_source(source.file, skipped)):
        try:
            picture = image_path(Path(source.images), sample.image)
            if picture not in sizes:
                sizes[picture] = upright_size(picture)
            lesson = teacher.render(sample.turns)
            length = teacher.length(lesson, sizes[picture])
            if length > longest:
                raise PosetalkError(f"it has {length:,} tokens, more than {longest:,}")
        except PosetalkError as error:
            skipped.append(f"{source.file}: sample {sample.id}: {error}")
        else:
            found.append(TuningExample(sample.id, picture, lesson, length))
    if not found:
        raise _none(source, skipped)
    return found


def without(
    damaged: dict[Path, str], source: Source, found: Sequence[TuningExample], skipped: list[str]
) -> list[TuningExample]:
    """Those whose picture can be read. damaged: of the others a sentence each, which goes into `skipped` for each of
    their samples. Errors: none is left."""
    kept = [example for example in found if example.image not in damaged]
    skipped += [
        f"{source.file}: sample {example.id}: {damaged[example.image]}"
        for example in found
        if example.image in damaged
    ]
    if not kept:
        raise _none(source, skipped)
    return kept


def _none(source: Source, skipped: Sequence[str]) -> PosetalkError:
    why = f" ({skipped[0]})" if skipped else ""
    return PosetalkError(f"{source.file} holds no sample that can be learned{why}; check it and its pictures")


def replayed(ours: int, other: Sequence[TuningExample], replay: Replay, seed: int) -> list[TuningExample]:
    """`share` samples of the other data for each of our own; each at most once more often than another."""
    count = round(ours * replay.share)
    return [other[number] for number in stream(len(other), count, np.random.default_rng([seed, 1]))]


def order(lengths: Sequence[int], batch: int, steps: int, seed: int) -> list[int]:
    """Which sample stands at each place of `steps` batches, (steps * batch,).

    Epochs follow each other, each in a new order. Every GROUP batches are sorted by length together, so that a batch
    holds samples of like length, longest first, and then those batches are mixed. A pure function of its arguments: a
    resumed run, and one of other processes, sees the same batches.
    """
    rng = np.random.default_rng([seed, 0])
    drawn = stream(len(lengths), steps * batch, rng)
    taken = np.asarray(lengths)[drawn]
    found: list[int] = []
    for first in range(0, len(drawn), GROUP * batch):
        part = slice(first, first + GROUP * batch)
        batches = drawn[part][np.argsort(-taken[part], kind="stable")].reshape(-1, batch)
        rng.shuffle(batches)
        found += batches.reshape(-1).tolist()
    return found


def stream(size: int, count: int, rng: np.random.Generator) -> Any:
    """`count` numbers below `size`: permutations, one after the other."""
    whole = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate([*whole, np.empty(0, int)])[:count].astype(int)
