"""A sample of instruction data, questions and answers about one image, and the file that holds samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posetalk.errors import PosetalkError
from posetalk.llm.request import Turns as Turns

Kind = Literal["conversation", "detail", "reasoning", "short", "pointing"]
KINDS: tuple[Kind, ...] = ("conversation", "detail", "reasoning", "short")
"""What `posetalk write` writes; `pointing` is made of labels as it is exported."""
MODEL_KINDS: tuple[Kind, ...] = ("conversation", "detail", "reasoning")
"""What language models write; the answers of `short` follow from facts."""
Selected = Mapping[Kind, frozenset[int]]
"""The ids of the images of each kind."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Questions and answers about an image, without a placeholder such as `<image>`.

    Attributes:
        id: An id such as `785-detail`, unique in its file.
        image_id: The image's id in the label file.
        image: The image's file name in the label file, relative to the folder of the images.
        kind: conversation, detail, reasoning, short or pointing.
        turns: Pairs of a question and its answer.
        writer: Who wrote it: `facts`, `published`, or the name of a model.
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
        """The sample of a decoded line of samples.jsonl.

        Raises:
            PosetalkError: When a field is missing or of another type.
        """
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
    """The name as a kind. Raises PosetalkError when there is no such kind."""
    if name not in (*KINDS, "pointing"):
        raise PosetalkError(f"its kind {name!r} is none of {', '.join(KINDS)}, pointing")
    return name


def read_samples(path: Path) -> Iterator[Sample]:
    """Read a samples.jsonl one sample at a time, so that memory does not grow with the file.

    Args:
        path: The file.

    Yields:
        The samples in the order of the file.

    Raises:
        PosetalkError: When the file cannot be read, or a line is no sample (the message has its number).
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
