"""Find the people in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import numpy.typing as npt
from PIL import Image

from posetalk.detect.people import People, people_of, without_overlaps
from posetalk.errors import PosetalkError, missing_package
from posetalk.images.opening import Pixels, read_image
from posetalk.types import Floats

OVERLAP = 0.5  # of two boxes that overlap more (IoU), the surer one stays


class Network(Protocol):
    """What finds people in pixels, (h, w, 3) uint8 RGB, with a lowest score.

    It gives corners, (n, 4) left, top, right, bottom px, and scores, (n,) in 0..1. min_score: its best lowest score.
    """

    min_score: float

    def __call__(self, image: Pixels, min_score: float, /) -> tuple[Floats, Floats]: ...


class Detector:
    """Finds the people in an image.

        people = Detector()("photo.jpg")
        localizer.locate(people.boxes)

    Without a network it is the bundled one, NanoDet-g, which needs no extra. Threads may share a detector.

    Args:
        network: What finds people, see `from_pretrained`; None for the bundled network.
        min_score: People with a lower score, in 0..1, are left out. None for the network's own: 0.24 for the bundled
            one, 0.5 for others.
        max_people: At most so many people, the surest; None for all.
        largest: Only the largest person, by the area of the box.
        threads: Threads of the bundled network; None for one a core.

    Raises:
        PosetalkError: a score outside 0..1; `max_people` or `threads` below 1.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        min_score: float | None = None,
        max_people: int | None = None,
        largest: bool = False,
        threads: int | None = None,
    ) -> None:
        check_selection(min_score, max_people)
        check_threads(threads)
        if network is None:
            from posetalk.detect.nanodet import NanoDet

            network = NanoDet(threads)
        self.network = network
        self.min_score = network.min_score if min_score is None else min_score
        self.max_people, self.largest = max_people, largest

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "bundled",
        *,
        min_score: float | None = None,
        max_people: int | None = None,
        largest: bool = False,
        threads: int | None = None,
    ) -> Self:
        """Load a detector.

        Args:
            name: `bundled`; or a folder or hub id of a model for object detection that transformers knows
                (`PekingU/rtdetr_r50vd`), with a class that is called person. Others than `bundled` need the extra
                `model`.
            min_score: See `Detector`.
            max_people: See `Detector`.
            largest: See `Detector`.
            threads: See `Detector`; only the bundled network takes it.

        Raises:
            PosetalkError: there is no such model; it has no class person; the extra is missing; as `Detector`.
        """
        network = None if str(name) == "bundled" else _pretrained(str(name))
        if network is not None and threads is not None:
            raise PosetalkError("threads goes with the bundled detector; leave it away")
        return cls(network, min_score=min_score, max_people=max_people, largest=largest, threads=threads)

    def __call__(self, image: str | Path | Image.Image | npt.NDArray[Any]) -> People:
        """Find the people in an image.

        Args:
            image: A path, a Pillow image, or a uint8 array: (h, w, 3) RGB, (h, w) or (h, w, 1) grey, (h, w, 4) RGBA.
                An image with an EXIF orientation is turned upright.

        Returns:
            The people, the surest first, with boxes in px of the upright image; there may be none.

        Raises:
            PosetalkError: the image cannot be read.
        """
        pixels = read_image(image)
        corners, scores = self.network(pixels, self.min_score)
        kept = without_overlaps(corners, scores, OVERLAP)
        people = people_of(corners[kept], scores[kept], pixels.shape[1], pixels.shape[0])
        return people.selected(self.max_people, self.largest)


def check_selection(min_score: float | None, max_people: int | None) -> None:
    """Refuse a score outside 0..1 and a number of people below 1."""
    if min_score is not None and not 0 <= min_score <= 1:  # NaN too
        raise PosetalkError(f"min_score is between 0 and 1, not {min_score}")
    if max_people is not None and (not hasattr(max_people, "__index__") or max_people < 1):
        raise PosetalkError(f"max_people is a whole number, 1 or more, not {max_people!r}")


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads below 1."""
    if threads is not None and (not hasattr(threads, "__index__") or threads < 1):
        raise PosetalkError(f"threads is a whole number, 1 or more, not {threads!r}")


def load_detector(
    name: str | Path,
    threads: int | None = None,
    min_score: float | None = None,
    max_people: int | None = None,
    largest: bool = False,
) -> Detector:
    """`Detector.from_pretrained` with the threads of a whole run, which the bundled network alone takes."""
    threads = threads if str(name) == "bundled" else None
    return Detector.from_pretrained(
        name, min_score=min_score, max_people=max_people, largest=largest, threads=threads
    )


def _pretrained(name: str) -> Network:
    try:
        from posetalk.detect.pretrained import PretrainedDetector
    except ModuleNotFoundError as error:
        raise (missing_package(error, "model") or error) from None
    return PretrainedDetector(name)
