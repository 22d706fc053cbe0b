"""What is wrong with a reply: a reason to count by, and words that a model can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "unreadable",  # not in the form that the request asks for
    "leak",  # coordinates, `keypoint`, `caption`, the prompt's own words
    "contradicted",  # a claim that contradicts the facts
    "unsupported",  # a second reader finds nothing in captions, facts or photo that supports it
    "guess",  # a feeling, a relation, a gender stated as if it could be seen
    "duplicate",  # the same text as an earlier sample
    "near-duplicate",  # nearly the same text as an earlier sample
    "mismatch",  # the answer does not belong to the question
    "length",  # too short, or cut off
    "turns",  # out of order, empty, or too few or many
    "failed",  # the request got no answer
    "not asked",  # the request was never sent
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. words: what is wrong and where, `the answer speaks of keypoints ("his keypoints show")`."""

    reason: Reason
    words: str


class Rejected(Exception):
    """A reply cannot be used. faults: all that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.words for fault in faults))
        self.faults = faults
