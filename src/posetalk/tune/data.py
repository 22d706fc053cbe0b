"""Files of conversations -> samples of known length, in an order that groups them by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.coco import image_path
from posetalk.formats.files import read_start
from posetalk.images.opening import upright_size
from posetalk.messages import track
from posetalk.tune.collator import ChatCollator, RenderedConversation
from posetalk.tune.settings import SAMPLE_FILES, Replay, Source
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.screening.published import read_published

GROUP = 16  # batches that are sorted by length together: few enough that the order stays random


@dataclass(frozen=True, slots=True)
class TuningExample:
    """id: the sample's. length: tokens, those of the image included."""

    id: str
    image: Path
    conversation: RenderedConversation
    length: int


def read_source(file: str | Path, skipped: list[str]) -> Iterator[Sample]:
    """The samples of a folder, a samples.jsonl or LLaVA's JSON; of each that cannot be read a sentence in `skipped`.

    Raises PosetalkError: nothing there, another form, no sample.
    """
    path = Path(file)
    if path.is_dir():
        files = [path / name for name in SAMPLE_FILES if (path / name).is_file()]
        if not files:
            raise PosetalkError(
                f"{path} holds neither samples.jsonl nor train.json; give a folder of `posetalk write` or a file"
            )
        path = files[0]
    start = read_start(path)
    ours = start.startswith(b"{") and b'"turns"' in start.split(b"\n", 1)[0]
    return read_samples(path) if ours else read_published(path, skipped)


def tuning_examples(
    source: Source, collator: ChatCollator, max_length: int, skipped: list[str], quiet: bool = False
) -> list[TuningExample]:
    """The samples of a source. In `skipped` a sentence for each sample that is left out: unreadable, longer
    than `max_length` tokens, an image that is not there.

    Raises:
        PosetalkError: as `read_source`; no sample that can be learned.
    """
    sizes: dict[Path, tuple[int, int]] = {}
    learned: list[TuningExample] = []
    for sample in track(read_source(source.file, skipped), "reading", quiet=quiet):
        try:
            image = image_path(Path(source.images), sample.image)
            if image not in sizes:
                sizes[image] = upright_size(image)
            conversation = collator.render(sample.turns)
            length = collator.length(conversation, sizes[image])
            if length > max_length:
                raise PosetalkError(f"it has {length:,} tokens, more than {max_length:,}")
        except PosetalkError as error:
            skipped.append(f"{source.file}: sample {sample.id}: {error}")
        else:
            learned.append(TuningExample(sample.id, image, conversation, length))
    if not learned:
        raise _no_samples(source, skipped)
    return learned


def without_damaged(
    damaged: dict[Path, str], source: Source, loaded: Sequence[TuningExample], skipped: list[str]
) -> list[TuningExample]:
    """Those whose image can be read. damaged: of the others a sentence each, which goes into `skipped` for each of
    their samples. Raises PosetalkError: none is left."""
    readable = [example for example in loaded if example.image not in damaged]
    skipped += [
        f"{source.file}: sample {example.id}: {damaged[example.image]}"
        for example in loaded
        if example.image in damaged
    ]
    if not readable:
        raise _no_samples(source, skipped)
    return readable


def _no_samples(source: Source, skipped: Sequence[str]) -> PosetalkError:
    why = f" ({skipped[0]})" if skipped else ""
    return PosetalkError(f"{source.file} holds no sample that can be learned{why}; check it and its images")


def replay_samples(
    own_count: int, others: Sequence[TuningExample], replay: Replay, seed: int
) -> list[TuningExample]:
    """`share` samples of the other data for each of one's own; each at most once more often than another."""
    count = round(own_count * replay.share)
    return [others[number] for number in permutations(len(others), count, np.random.default_rng([seed, 1]))]


def sample_order(lengths: Sequence[int], batch: int, steps: int, seed: int) -> list[int]:
    """Which sample stands at each place of `steps` batches, (steps * batch,).

    Epochs follow each other, each in a new order. Every GROUP batches are sorted by length together, so that a batch
    holds samples of like length, longest first, and then those batches are mixed. A pure function of its arguments: a
    resumed run, and one of other processes, sees the same batches.
    """
    rng = np.random.default_rng([seed, 0])
    samples = permutations(len(lengths), steps * batch, rng)
    sample_lengths = np.asarray(lengths)[samples]
    ordered: list[int] = []
    for first in range(0, len(samples), GROUP * batch):
        part = slice(first, first + GROUP * batch)
        batches = samples[part][np.argsort(-sample_lengths[part], kind="stable")].reshape(-1, batch)
        rng.shuffle(batches)
        ordered += batches.reshape(-1).tolist()
    return ordered


def permutations(size: int, count: int, rng: np.random.Generator) -> Any:
    """`count` numbers below `size`: permutations, one after the other."""
    rounds = [rng.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate([*rounds, np.empty(0, int)])[:count].astype(int)
