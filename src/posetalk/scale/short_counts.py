"""The counts of short questions, which balance their answers over all shards as over the images of a single run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec

from posetalk.atomic_files import whole_file
from posetalk.write.questions.short import ShortCounts, ShortQuestions

COUNTED, BEFORE = "short_counted.json", "short_before.json"


class _Before(msgspec.Struct, frozen=True):
    """Of the short questions of a shard: how often each is asked in all images, and in those of the shards before."""

    all: ShortCounts
    before: ShortCounts


def save_counts(shard: Path, short: ShortQuestions) -> None:
    """Keep what was counted in a shard."""
    _write(shard / COUNTED, short.counts)


def counted_before(shard: Path, seed: int) -> ShortQuestions:
    """The short questions as they are in a single run when it comes to the first image of the shard."""
    short, counts = ShortQuestions(seed), msgspec.json.decode((shard / BEFORE).read_bytes(), type=_Before)
    short.take(counts.all)
    for wording, answer, number in counts.before.rows:
        short.passed(wording, answer, number)
    return short


def share_counts(shards: list[Path]) -> None:
    """Tell each shard what was counted in all of them, and in those before it; of its own wordings alone."""
    everything: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    everybody = False
    for counts in map(_counted, shards):
        everybody |= counts.everybody_named
        for wording, answer, number in counts.rows:
            everything[wording][answer] += number
    passed: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for shard in shards:
        counts = _counted(shard)
        own = dict.fromkeys(wording for wording, _, _ in counts.rows)

        def rows(
            of: dict[tuple[str, ...], Counter[str]], own: Iterable[tuple[str, ...]] = own
        ) -> ShortCounts:
            found = [(wording, answer, n) for wording in own for answer, n in of[wording].items()]
            return ShortCounts(found, everybody)

        _write(shard / BEFORE, _Before(rows(everything), rows(passed)))
        for wording, answer, number in counts.rows:
            passed[wording][answer] += number


def _counted(shard: Path) -> ShortCounts:
    return msgspec.json.decode((shard / COUNTED).read_bytes(), type=ShortCounts)


def _write(path: Path, value: msgspec.Struct) -> None:
    with whole_file(path) as part:
        part.write_bytes(msgspec.json.encode(value))
