"""Keep the images of training and of benchmarks apart, as far as their files tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImage
from posetalk.formats.files import decode_file, decode_record, read_bytes, read_start

# COCO names one image `000000000785.jpg` or, in 2014, `COCO_val2014_000000000785.jpg`.
_COCO = re.compile(r"(?:^|_)(\d{12})$")


class _TrainingRecord(msgspec.Struct):
    """`image` is a name or a list of names; raw forms have `image_id` instead."""

    image: str | list[str] | None = None
    images: list[str] | None = None
    image_id: int | str | None = None


_DECODER = msgspec.json.Decoder(_TrainingRecord)


class ContaminationCheck:
    """Filters out the images of training files (LLaVA's JSON or samples.jsonl). Raises as `training_images`."""

    def __init__(self, training_data: Sequence[Path]) -> None:
        self._training = {Path(path): training_images(path) for path in training_data}
        self._refused: Counter[Path] = Counter()
        self._unseen = 0

    def unseen(self, images: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        """The images that are in no training file. Raises PosetalkError, at the end, where all of them are."""
        for annotated in images:
            key = image_key(annotated.image.path.name)
            file = next((path for path, keys in self._training.items() if key in keys), None)
            if file is not None:
                self._refused[file] += 1
                continue
            self._unseen += 1
            yield annotated
        if self._refused and not self._unseen:
            raise PosetalkError(f"{'; '.join(self.notes)}, and none is left; give images that were held out")

    @property
    def notes(self) -> list[str]:
        """A sentence for each training file that has some of the images."""
        return [
            f"{path} was trained on {count:,} of the images, which are refused"
            for path, count in self._refused.items()
        ]


def training_images(path: Path) -> frozenset[str]:
    """The images of a training file, by a key that is the same for all names of an image.

    Raises:
        PosetalkError: The file cannot be read, is neither a JSON list nor JSON lines, or names no image.
    """
    path = Path(path)
    keys: set[str] = set()
    for number, raw in enumerate(_records(path), 1):
        try:
            record = decode_record(_DECODER, raw)
        except PosetalkError as error:
            raise PosetalkError(
                f"{path}, record {number}: {error}; give LLaVA's JSON or samples.jsonl"
            ) from None
        names = record.images or ([record.image] if isinstance(record.image, str) else record.image or [])
        if not names and record.image_id is not None:
            names = [str(record.image_id).zfill(12)]
        keys |= {image_key(name) for name in names}
    if not keys:
        raise PosetalkError(f"{path} names no image; give the file that the model was trained on")
    return frozenset(keys)


def _records(path: Path) -> Iterable[msgspec.Raw]:
    if read_start(path).startswith(b"{"):
        return [msgspec.Raw(line) for line in read_bytes(path).splitlines() if line.strip()]
    return decode_file(path, list[msgspec.Raw], "a JSON list of samples")


def benchmark_images(path: Path) -> frozenset[str]:
    """The images that a benchmark asks about, by `image_key`.

    Args:
        path: A folder of `posetalk bench build`, or a file that `training_images` reads.

    Raises:
        PosetalkError: The folder has no questions, or as `training_images`.
    """
    path = Path(path)
    if not path.is_dir():
        return training_images(path)
    files = [path / name for name in ("closed.jsonl", "questions.jsonl") if (path / name).exists()]
    if not files:
        raise PosetalkError(
            f"{path} has no closed.jsonl; give the folder of a benchmark, or a file that names images"
        )
    return frozenset().union(*map(training_images, files))


def image_key(name: str) -> str:
    """The name of an image without folder and ending; for COCO's images the number alone."""
    stem = Path(name).stem
    match = _COCO.search(stem)
    return match[1] if match else stem
