"""The report of what was written: one HTML file that opens offline and asks nothing of the net."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from posetalk.errors import PosetalkError
from posetalk.pages.render import render, script_of
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import PoseImage
from posetalk.whole import write_text
from posetalk.write.report.chart import Bar, bars, plot_of
from posetalk.write.report.picture import figure
from posetalk.write.samples.sample import KINDS, Sample, read_samples
from posetalk.write.samples.statistics import SampleStatistics, median

BEGINS = 14  # beginnings of questions that are listed
EXAMPLES = 4  # of each reason of a rejection
REPLY = 1200  # characters of a rejected reply that are shown

T = TypeVar("T")


@dataclass(slots=True)
class _Some(Generic[T]):
    """Some of a stream of unknown length, each as likely as the others (reservoir sampling)."""

    size: int
    rng: random.Random
    kept: list[T] = field(default_factory=list)
    passed: int = 0

    def offer(self, one: T) -> None:
        self.passed += 1
        if len(self.kept) < self.size:
            self.kept.append(one)
        elif (place := self.rng.randrange(self.passed)) < self.size:
            self.kept[place] = one


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
    """Write the report of samples.jsonl to `out` (.html); gives back a sentence for each photo that cannot be read.

    poses:    the labelled pictures, which are gone through once; their photos are shown where they are, and a blank
              canvas where they are not. skeleton: whose keypoints these are, coco17 by default.
    rejected: rejected.jsonl, where answers were screened.
    shown:    samples to browse, as many of each kind, drawn by `seed`.

    Memory does not grow with the samples but for the pictures' ids. Errors: a file that cannot be read, a line that is
    none of its kind, no sample, the disk.
    """
    points = skeleton or load_skeleton("coco17")
    tally = SampleStatistics()
    chosen = {kind: _Some[Sample](-(-shown // len(KINDS)), random.Random(f"{seed} {kind}")) for kind in KINDS}
    for sample in read_samples(samples):
        tally.add(sample)
        chosen[sample.kind].offer(sample)
    if not tally.samples:
        raise PosetalkError(f"{samples} holds no sample to report on; write the samples first")
    browsed = [sample for kind in KINDS for sample in chosen[kind].kept]
    random.Random(f"{seed}").shuffle(browsed)
    pictures, told = _figures({sample.image_id for sample in browsed}, poses, points)
    reasons, refused = _rejections(rejected, seed)
    script, script_hash = script_of("writing.js")
    text = render(
        "writing.html.jinja",
        script=script,
        script_hash=script_hash,
        title=title,
        writers=", ".join(name for name, _ in tally.writers.most_common()),
        tiles=_tiles(tally, refused if rejected else None),
        kinds=bars([(k, tally.kinds[k]) for k in KINDS], tally.samples, [f"--{k}" for k in KINDS]),
        lengths=[plot_of(k, tally.words[k], f"--{k}") for k in KINDS if tally.words[k]],
        begins=bars([(f"{name} …", n) for name, n in tally.begins.most_common(BEGINS)], tally.questions),
        begins_rest=_rest(tally),
        rejected=_rejected(reasons, refused, rejected is not None),
        filters=[(kind, sum(s.kind == kind for s in browsed)) for kind in KINDS],
        posed=bool(pictures),
        cards=[(sample, pictures.get(sample.image_id, "")) for sample in browsed],
    )
    write_text(out, text)
    return told


def _figures(
    wanted: set[int], poses: Iterable[PoseImage], points: Skeleton
) -> tuple[dict[int, str], list[str]]:
    found, told = {}, []
    for image in poses:
        if image.id in wanted and image.id not in found:
            found[image.id], fault = figure(image, points.names, points.limbs)
            told += [fault] if fault else []
    return found, told


def _rejections(path: Path | None, seed: int) -> tuple[dict[str, _Some[dict[str, Any]]], int]:
    """The rejected replies by each of their reasons, some of each kept, and how many there are."""
    reasons: dict[str, _Some[dict[str, Any]]] = {}
    number = 0
    for row in _rejected_rows(path) if path else ():
        number += 1
        for reason in {fault["reason"]: None for fault in row["faults"]}:
            some = reasons.setdefault(reason, _Some(EXAMPLES, random.Random(f"{seed} {reason}")))
            some.offer(row)
    return reasons, number


def _rejected_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    faults = [{key: str(one[key]) for key in ("reason", "words")} for one in row["faults"]]
                    yield {"id": str(row["id"]), "reply": str(row.get("reply") or ""), "faults": faults}
                except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
                    raise PosetalkError(
                        f"{path}, line {number}: it is no rejected answer ({type(error).__name__}: {error}); "
                        "write the file again"
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PosetalkError(f"cannot read {path}: {error}; leave it out or write it again") from None


def _tiles(tally: SampleStatistics, refused: int | None) -> list[tuple[str, str]]:
    words = sum(tally.words.values(), Counter[int]())
    tiles = [
        ("samples", f"{tally.samples:,}"),
        ("pictures", f"{len(tally.images):,}"),
        ("questions", f"{tally.questions:,}"),
        ("words in the middle answer", f"{median(words):,}"),
    ]
    if refused is not None:
        tiles.append(("of all replies rejected", f"{100 * refused / (refused + tally.samples):.1f} %"))
    return tiles


def _rest(tally: SampleStatistics) -> str:
    more = len(tally.begins) - BEGINS
    if more <= 0:
        return ""
    rest = tally.questions - sum(count for _, count in tally.begins.most_common(BEGINS))
    return f"and {more:,} other beginnings, {100 * rest / tally.questions:.1f} % of the questions"


@dataclass(frozen=True, slots=True)
class _Reply:
    """A rejected one. words: its faults, of one reason."""

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


def _rejected(reasons: dict[str, _Some[dict[str, Any]]], refused: int, screened: bool) -> _Rejected:
    if not screened:
        return _Rejected("No list of rejected answers was given.")
    if not refused:
        return _Rejected("Nothing was rejected.")
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1].passed, pair[0]))
    return _Rejected(
        f"{refused:,} replies; one may have several faults.",
        bars([(reason, some.passed) for reason, some in ordered], refused),
        tuple(
            _Reason(reason, some.passed, tuple(_reply(row, reason) for row in some.kept))
            for reason, some in ordered
        ),
    )


def _reply(row: dict[str, Any], reason: str) -> _Reply:
    words = "; ".join(fault["words"] for fault in row["faults"] if fault["reason"] == reason)
    reply = row["reply"] if len(row["reply"]) <= REPLY else row["reply"][:REPLY] + " …"
    return _Reply(row["id"], words, reply)
