"""What is learned from and what is kept back: by picture, so that no picture is on both sides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from posetalk.errors import PosetalkError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of all pictures that is kept back, 0..1; the rest is `train`."""

    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test <= 1):
            raise PosetalkError(
                f"the shares of validation {self.validation:g} and test {self.test:g} are not parts of a whole; "
                "give two numbers from 0 whose sum is at most 1"
            )


def split_of(image_id: int, shares: Shares, seed: int = 0) -> Split:
    """Where a picture belongs: drawn by its id and the seed alone, so that other pictures change nothing.

    COCO has the same id for the same picture in 2014 and 2017, so it is on the same side in both.
    """
    drawn = hashlib.blake2b(f"{seed} {image_id}".encode(), digest_size=8).digest()
    place = int.from_bytes(drawn, "big") / 2**64
    if place < shares.test:
        return "test"
    return "validation" if place < shares.test + shares.validation else "train"
