"""Statistics of a stream of samples."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from posetalk.write.samples.sample import KINDS, Kind, Sample


@dataclass(slots=True)
class SampleStatistics:
    """Statistics of samples, updated one sample at a time.

    Attributes:
        kinds: The number of samples of each kind.
        questions: The number of questions of all samples.
        words: For each kind, how many answers have how many words.
        question_starts: How many questions start with the same two words.
        writers: The number of samples of each writer.
        images: The ids of the images. They are all whose memory grows with the data.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    questions: int = 0
    words: dict[Kind, Counter[int]] = field(
        default_factory=lambda: {kind: Counter() for kind in (*KINDS, "pointing")}
    )
    question_starts: Counter[str] = field(default_factory=Counter)
    writers: Counter[str] = field(default_factory=Counter)
    images: set[int] = field(default_factory=set)

    def add(self, sample: Sample) -> None:
        """Count a sample."""
        self.kinds[sample.kind] += 1
        self.writers[sample.writer] += 1
        self.images.add(sample.image_id)
        self.questions += len(sample.turns)
        for question, answer in sample.turns:
            self.words[sample.kind][len(answer.split())] += 1
            self.question_starts[" ".join(re.findall(r"[\w'’-]+", question)[:2]).capitalize()] += 1

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self.kinds.total()


def median(counts: Counter[int]) -> int:
    """The median of numbers with their counts, the lower of two middle ones; 0 if there are none."""
    cumulated = 0
    for number in sorted(counts):
        cumulated += counts[number]
        if 2 * cumulated >= counts.total():
            return number
    return 0
