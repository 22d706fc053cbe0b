"""What is wrong with an answer: a reason that is counted, and words that a model can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "unreadable",  # not the form that was asked for
    "leak",  # coordinates, `keypoint`, `caption`, the prompt's own words
    "contradicted",  # a claim that the facts deny
    "guess",  # a feeling, a relation, a gender stated as if it could be seen
    "duplicate",  # said before, word by word
    "near-duplicate",  # said before, in nearly the same words
    "mismatch",  # the answer is not one to the question
    "length",  # too short, or cut off
    "turns",  # out of order, empty, or not as many as asked
    "failed",  # no answer came
    "not asked",  # no request was sent
]


@dataclass(frozen=True, slots=True)
class Fault:
    """words: what is wrong and where, `the answer speaks of keypoints ("his keypoints show")`."""

    reason: Reason
    words: str


class Rejected(Exception):
    """An answer that cannot be used, and all that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.words for fault in faults))
        self.faults = faults
