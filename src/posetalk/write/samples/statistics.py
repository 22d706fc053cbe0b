"""Samples counted as they pass."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from posetalk.write.samples.sample import KINDS, Kind, Sample


@dataclass(slots=True)
class SampleStatistics:
    """kinds: samples of each; questions: of all; words: of each kind how many answers have so many words; begins: the
    first two words of the questions; writers: samples of each; images: the ids, which are all that grows with the data.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    questions: int = 0
    words: dict[Kind, Counter[int]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    begins: Counter[str] = field(default_factory=Counter)
    writers: Counter[str] = field(default_factory=Counter)
    images: set[int] = field(default_factory=set)

    def add(self, sample: Sample) -> None:
        self.kinds[sample.kind] += 1
        self.writers[sample.writer] += 1
        self.images.add(sample.image_id)
        self.questions += len(sample.turns)
        for question, answer in sample.turns:
            self.words[sample.kind][len(answer.split())] += 1
            self.begins[" ".join(re.findall(r"[\w'’-]+", question)[:2]).capitalize()] += 1

    @property
    def samples(self) -> int:
        return self.kinds.total()


def median(counts: Counter[int]) -> int:
    """The middle one of counted numbers, the lower of two; 0 of none."""
    passed = 0
    for number in sorted(counts):
        passed += counts[number]
        if 2 * passed >= counts.total():
            return number
    return 0
