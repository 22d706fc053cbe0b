"""The split into train, validation and test: by image, so that no image is in two splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from posetalk.errors import PosetalkError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of all images that are held out; the rest is `train`.

    Attributes:
        validation: The share for validation, from 0 to 1.
        test: The share for testing, from 0 to 1.

    Raises:
        PosetalkError: When a share is negative or their sum is above 1.
    """

    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test <= 1):
            raise PosetalkError(
                f"the shares of validation {self.validation:g} and test {self.test:g} are not parts of a whole; "
                "give two numbers from 0 whose sum is at most 1"
            )


def split_of(image_id: int, shares: Shares, seed: int = 0) -> Split:
    """The split of an image, drawn by its id and the seed alone, so that other images change nothing.

    COCO's 2014 and 2017 sets give an image the same id, so it is in the same split in both.

    Args:
        image_id: The image's id.
        shares: The shares of the splits.
        seed: The seed of the split.

    Returns:
        `train`, `validation` or `test`.
    """
    digest = hashlib.blake2b(f"{seed} {image_id}".encode(), digest_size=8).digest()
    fraction = int.from_bytes(digest, "big") / 2**64
    if fraction < shares.test:
        return "test"
    return "validation" if fraction < shares.test + shares.validation else "train"
