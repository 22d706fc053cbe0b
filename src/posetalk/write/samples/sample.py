"""A piece of instruction data: questions and answers about one picture; and the file they are staged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posetalk.errors import PosetalkError
from posetalk.llm.request import Turns as Turns

Kind = Literal["conversation", "detail", "reasoning"]
KINDS: tuple[Kind, ...] = ("conversation", "detail", "reasoning")


@dataclass(frozen=True, slots=True)
class Sample:
    """Questions and answers about a picture, in turn, without any mark for the picture itself.

    id: `785-detail`, unique in its file. image: the picture's name in the annotation file, relative to the folder of
    the pictures. writer: who wrote it, `facts` or the name of a model.
    """

    id: str
    image_id: int
    image: str
    kind: Kind
    turns: Turns
    writer: str

    def line(self) -> str:
        """The sample as a line of samples.jsonl."""
        row = {
            "id": self.id,
            "image_id": self.image_id,
            "image": self.image,
            "kind": self.kind,
            "writer": self.writer,
            "turns": self.turns,
        }
        return json.dumps(row, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, row: Any) -> Sample:
        """A sample of a decoded line. Errors: PosetalkError with what is missing or of another form."""
        try:
            turns = tuple((str(question), str(answer)) for question, answer in row["turns"])
            kind = kind_of(row["kind"])
            return cls(
                str(row["id"]), int(row["image_id"]), str(row["image"]), kind, turns, str(row["writer"])
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, PosetalkError):
                raise
            raise PosetalkError(f"it is no sample ({type(error).__name__}: {error})") from None


def kind_of(name: object) -> Kind:
    """Errors: there is no such kind."""
    if name not in KINDS:
        raise PosetalkError(f"its kind {name!r} is none of {', '.join(KINDS)}")
    return name


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a samples.jsonl, one after the other, so that memory does not grow with the file.

    Errors: a file that cannot be read, a line that is no sample (with its number).
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Sample.of(json.loads(line))
                except (ValueError, RecursionError) as error:
                    raise PosetalkError(f"{path}, line {number}: {error}; write the file again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PosetalkError(f"cannot read {path}: {error}; write the samples first") from None
