"""The report of a run: one HTML file that opens offline and loads nothing."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.pages.render import render, script_of
from posetalk.skeleton import Skeleton
from posetalk.skeleton import load_skeleton
from posetalk.types import PoseImage
from posetalk.write.report.chart import Bar, bars, plot_of
from posetalk.write.report.pose import figure
from posetalk.write.samples.sample import KINDS, Sample, read_samples
from posetalk.write.samples.statistics import SampleStatistics, median

STARTS = 14  # starts of questions that are listed
EXAMPLES = 4  # rejected replies shown of each reason
REPLY = 1200  # characters of a rejected reply that are shown

T = TypeVar("T")


@dataclass(slots=True)
class _Reservoir(Generic[T]):
    """A random sample of a stream of unknown length, each item equally likely (reservoir sampling)."""

    size: int
    rng: random.Random
    items: list[T] = field(default_factory=list)
    count: int = 0

    def add(self, item: T) -> None:
        self.count += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (index := self.rng.randrange(self.count)) < self.size:
            self.items[index] = item


def write_page(
    samples: Path,
    out: Path,
    *,
    poses: Iterable[PoseImage] = (),
    skeleton: Skeleton | None = None,
    rejected: Path | None = None,
    shown: int = 60,
    seed: int = 0,
    title: str = "Conversations about bodies",
) -> list[str]:
    """Write an HTML report of samples. Memory grows only with the ids of the images.

    Args:
        samples: The samples.jsonl.
        out: The .html file to write.
        poses: The labelled images, read once. An image whose file is missing is drawn on a blank canvas.
        skeleton: The skeleton of the poses; coco17 by default.
        rejected: The rejected.jsonl, if the samples were screened.
        shown: The number of samples to browse, the same of each kind.
        seed: The seed of their choice.
        title: The title of the page.

    Returns:
        A sentence for each image that exists and cannot be read.

    Raises:
        PosetalkError: When a file cannot be read, a line is invalid, there is no sample, or the disk refuses.
    """
    skeleton = skeleton or load_skeleton("coco17")
    statistics = SampleStatistics()
    reservoirs = {
        kind: _Reservoir[Sample](-(-shown // len(KINDS)), random.Random(f"{seed} {kind}")) for kind in KINDS
    }
    for sample in read_samples(samples):
        statistics.add(sample)
        reservoirs[sample.kind].add(sample)
    if not statistics.samples:
        raise PosetalkError(f"{samples} holds no sample to report on; write the samples first")
    shown_samples = [sample for kind in KINDS for sample in reservoirs[kind].items]
    random.Random(f"{seed}").shuffle(shown_samples)
    figures, sentences = _figures({sample.image_id for sample in shown_samples}, poses, skeleton)
    reasons, rejected_count = _rejections(rejected, seed)
    script, script_hash = script_of("writing.js")
    text = render(
        "writing.html.jinja",
        script=script,
        script_hash=script_hash,
        title=title,
        writers=", ".join(name for name, _ in statistics.writers.most_common()),
        tiles=_tiles(statistics, rejected_count if rejected else None),
        kinds=bars(
            [(kind, statistics.kinds[kind]) for kind in KINDS],
            statistics.samples,
            [f"--{kind}" for kind in KINDS],
        ),
        lengths=[
            plot_of(kind, statistics.words[kind], f"--{kind}") for kind in KINDS if statistics.words[kind]
        ],
        begins=bars(
            [(f"{name} …", count) for name, count in statistics.question_starts.most_common(STARTS)],
            statistics.questions,
        ),
        begins_rest=_rest_of_starts(statistics),
        rejected=_rejected(reasons, rejected_count, rejected is not None),
        filters=[(kind, sum(sample.kind == kind for sample in shown_samples)) for kind in KINDS],
        posed=bool(figures),
        cards=[(sample, figures.get(sample.image_id, "")) for sample in shown_samples],
    )
    write_text(out, text)
    return sentences


def _figures(
    image_ids: set[int], poses: Iterable[PoseImage], skeleton: Skeleton
) -> tuple[dict[int, str], list[str]]:
    figures, sentences = {}, []
    for image in poses:
        if image.id in image_ids and image.id not in figures:
            figures[image.id], sentence = figure(image, skeleton.names, skeleton.limbs)
            sentences += [sentence] if sentence else []
    return figures, sentences


def _rejections(path: Path | None, seed: int) -> tuple[dict[str, _Reservoir[dict[str, Any]]], int]:
    """Some of the rejected replies of each reason, and the number of all."""
    reasons: dict[str, _Reservoir[dict[str, Any]]] = {}
    number = 0
    for row in _rejected_rows(path) if path else ():
        number += 1
        for reason in {fault["reason"]: None for fault in row["faults"]}:
            reservoir = reasons.setdefault(reason, _Reservoir(EXAMPLES, random.Random(f"{seed} {reason}")))
            reservoir.add(row)
    return reasons, number


def _rejected_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    faults = [
                        {key: str(fault[key]) for key in ("reason", "words")} for fault in row["faults"]
                    ]
                    yield {"id": str(row["id"]), "reply": str(row.get("reply") or ""), "faults": faults}
                except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
                    raise PosetalkError(
                        f"{path}, line {number}: it is no rejected answer ({type(error).__name__}: {error}); "
                        "write the file again"
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PosetalkError(f"cannot read {path}: {error}; leave it out or write it again") from None


def _tiles(statistics: SampleStatistics, rejected_count: int | None) -> list[tuple[str, str]]:
    words = sum(statistics.words.values(), Counter[int]())
    tiles = [
        ("samples", f"{statistics.samples:,}"),
        ("pictures", f"{len(statistics.images):,}"),
        ("questions", f"{statistics.questions:,}"),
        ("words in the middle answer", f"{median(words):,}"),
    ]
    if rejected_count is not None:
        tiles.append(
            (
                "of all replies rejected",
                f"{100 * rejected_count / (rejected_count + statistics.samples):.1f} %",
            )
        )
    return tiles


def _rest_of_starts(statistics: SampleStatistics) -> str:
    more = len(statistics.question_starts) - STARTS
    if more <= 0:
        return ""
    rest = statistics.questions - sum(count for _, count in statistics.question_starts.most_common(STARTS))
    return f"and {more:,} other beginnings, {100 * rest / statistics.questions:.1f} % of the questions"


@dataclass(frozen=True, slots=True)
class _Reply:
    """A rejected reply. words: its faults of one reason."""

    id: str
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class _Reason:
    name: str
    count: int
    replies: tuple[_Reply, ...]


@dataclass(frozen=True, slots=True)
class _Rejected:
    said: str
    bars: list[Bar] = field(default_factory=list)
    reasons: tuple[_Reason, ...] = ()


def _rejected(
    reasons: dict[str, _Reservoir[dict[str, Any]]], rejected_count: int, screened: bool
) -> _Rejected:
    if not screened:
        return _Rejected("No list of rejected answers was given.")
    if not rejected_count:
        return _Rejected("Nothing was rejected.")
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1].count, pair[0]))
    return _Rejected(
        f"{rejected_count:,} replies; one may have several faults.",
        bars([(reason, reservoir.count) for reason, reservoir in ordered], rejected_count),
        tuple(
            _Reason(reason, reservoir.count, tuple(_reply(row, reason) for row in reservoir.items))
            for reason, reservoir in ordered
        ),
    )


def _reply(row: dict[str, Any], reason: str) -> _Reply:
    words = "; ".join(fault["words"] for fault in row["faults"] if fault["reason"] == reason)
    reply = row["reply"] if len(row["reply"]) <= REPLY else row["reply"][:REPLY] + " …"
    return _Reply(row["id"], words, reply)
