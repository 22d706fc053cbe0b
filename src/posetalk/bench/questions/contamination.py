"""Pictures that a model was not trained on, as far as its training files tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImage
from posetalk.formats.files import decode_file, decode_record, read_bytes, read_start

# COCO's names: `000000000785.jpg`, and in 2014 `COCO_val2014_000000000785.jpg`, for the same picture.
_COCO = re.compile(r"(?:^|_)(\d{12})$")


class _Record(msgspec.Struct):
    """image: a name, or a list of them; image_id: of raw forms, which name no file."""

    image: str | list[str] | None = None
    images: list[str] | None = None
    image_id: int | str | None = None


_DECODER = msgspec.json.Decoder(_Record)


class ContaminationCheck:
    """Training files, LLaVA's JSON or samples.jsonl, whose pictures are refused. Errors: as `trained_on`."""

    def __init__(self, training: Sequence[Path]) -> None:
        self._seen = {Path(path): trained_on(path) for path in training}
        self._refused: Counter[Path] = Counter()
        self._left = 0

    def of(self, pictures: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        """The pictures that are in no training file. Errors: all of them are."""
        for picture in pictures:
            name = _named(picture.image.path.name)
            found = next((path for path, names in self._seen.items() if name in names), None)
            if found is not None:
                self._refused[found] += 1
                continue
            self._left += 1
            yield picture
        if self._refused and not self._left:
            raise PosetalkError(
                f"{'; '.join(self.notes)}, and none is left; give pictures that were held out"
            )

    @property
    def notes(self) -> list[str]:
        """A sentence for each file that has some of the pictures."""
        return [
            f"{path} was trained on {count:,} of the pictures, which are refused"
            for path, count in self._refused.items()
        ]


def trained_on(path: Path) -> frozenset[str]:
    """The pictures of a training file, by names to be compared with those of others.

    Errors: a file that cannot be read, is neither a JSON list nor a record a line, or names no picture.
    """
    path = Path(path)
    names: set[str] = set()
    for number, raw in enumerate(_raws(path), 1):
        try:
            record = decode_record(_DECODER, raw)
        except PosetalkError as error:
            raise PosetalkError(
                f"{path}, record {number}: {error}; give LLaVA's JSON or samples.jsonl"
            ) from None
        given = record.images or ([record.image] if isinstance(record.image, str) else record.image or [])
        if not given and record.image_id is not None:
            given = [str(record.image_id).zfill(12)]
        names |= {_named(name) for name in given}
    if not names:
        raise PosetalkError(f"{path} names no picture; give the file that the model was trained on")
    return frozenset(names)


def _raws(path: Path) -> Iterable[msgspec.Raw]:
    if read_start(path).startswith(b"{"):
        return [msgspec.Raw(line) for line in read_bytes(path).splitlines() if line.strip()]
    return decode_file(path, list[msgspec.Raw], "a JSON list of samples")


def _named(image: str) -> str:
    """A picture's name without its folder and its ending; COCO's number alone where it is COCO's."""
    stem = Path(image).stem
    found = _COCO.search(stem)
    return found[1] if found else stem
