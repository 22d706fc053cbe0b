"""Instruction data that others wrote -> samples, to be screened and exported like our own.

A JSON list, or a record a line, of LLaVA's form ({id, image, conversations}) or of the three raw ones of LLaVA-Pose's
scripts: {image_id, conversation}, {image_id, user_message, completion}, {image_id, completion}.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_file, decode_record, none_left, read_bytes, read_start, record_id
from posetalk.llm.fault import Rejected
from posetalk.llm.request import ChatRequest
from posetalk.write.from_model.reply import parse, schema
from posetalk.write.samples.sample import KINDS, Kind, Sample, Turns

WRITER = "published"
# LLaVA's form does not say a sample's kind. LLaVA-Pose's answers have 13 words on average in conversations, 363 in
# descriptions and 268 in reasoning.
LONG = 50  # words from which the one answer of a sample is no conversation's
DIGITS = 100  # of a picture's number, at most
MOST = 1000  # questions of a conversation that are read
_DESCRIBE = re.compile(r"\b(?:descri(?:be|ption)|depict|portray)", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


class _Said(msgspec.Struct):
    who: str = msgspec.field(name="from")
    value: str


class _Record(msgspec.Struct):
    """The fields of all four forms."""

    id: str | int | None = None
    image: str | None = None
    conversations: list[_Said] | None = None
    image_id: str | int | None = None
    conversation: str | None = None
    user_message: str | None = None
    completion: str | None = None


_DECODER = msgspec.json.Decoder(_Record)


def read_published(path: Path, skipped: list[str]) -> Iterator[Sample]:
    """The samples of a file, one after the other; of each record that cannot be read, a sentence in `skipped`.

    Ids are made anew, `134754-conversation` and `134754-conversation-2`, as published ones repeat. The kind is the raw
    form's, or what the id ends with; of others with more than one turn or an answer of less than LONG words it is
    conversation, else detail if the question is none or asks for a description, and else reasoning. Raw forms do not
    name their picture's file: it is COCO's, `000000134754.jpg`.
    Errors: a file that cannot be read, is of another form, or has no sample.
    """
    path = Path(path)
    ids: Counter[str] = Counter()
    for number, raw in enumerate(_raws(path), 1):
        try:
            sample = _sample(decode_record(_DECODER, raw))
        except PosetalkError as error:
            skipped.append(f"{path}: record {record_id(raw, number)}: {error}")
            continue
        ids[sample.id] += 1
        again = f"-{ids[sample.id]}" if ids[sample.id] > 1 else ""
        yield Sample(
            sample.id + again, sample.image_id, sample.image, sample.kind, sample.turns, sample.writer
        )
    if not ids:
        raise none_left(path, skipped, "samples")


def _raws(path: Path) -> Iterator[msgspec.Raw]:
    if read_start(path).startswith(b"{"):
        for line in read_bytes(path).splitlines():
            if line.strip():
                yield msgspec.Raw(line)
    else:
        yield from decode_file(path, list[msgspec.Raw], "a JSON list of LLaVA's or LLaVA-Pose's records")


def _sample(record: _Record) -> Sample:
    """Errors: PosetalkError with the reason alone."""
    image_id, image = _picture(record)
    if record.conversations is not None:
        turns = _turns(record.conversations)
        kind = _kind(str(record.id), turns)
    elif record.conversation is not None:
        kind, turns = "conversation", _read("conversation", record.conversation)
    elif record.completion is None:
        raise PosetalkError("it has neither conversations nor a conversation or completion")
    elif record.user_message is not None:
        kind, turns = "detail", _read("detail", record.completion, record.user_message)
    else:
        kind, turns = "reasoning", _read("reasoning", record.completion)
    return Sample(f"{image_id}-{kind}", image_id, image, kind, turns, WRITER)


def _picture(record: _Record) -> tuple[int, str]:
    """The picture's id and file. An id is the last number in its own, or in the file's name."""
    given: list[Any] = [record.image_id, Path(record.image).stem if record.image else None, record.id]
    numbers = [found[-1] for text in given if text is not None and (found := _DIGITS.findall(str(text)))]
    if not numbers:
        raise PosetalkError("neither its id nor its image has a number, so its picture is not known")
    if len(numbers[0]) > DIGITS:
        raise PosetalkError(f"the number of its picture has {len(numbers[0]):,} digits")
    if record.image is None and record.conversations is not None:
        raise PosetalkError("it names no image")
    return int(numbers[0]), record.image or f"{int(numbers[0]):012d}.jpg"


def _turns(said: list[_Said]) -> Turns:
    who = ["human" if one.who in ("human", "user") else "gpt" for one in said]
    if who != ["human", "gpt"] * (len(said) // 2) or not said:
        raise PosetalkError("human and gpt do not speak in turn in its conversations")
    texts = ["\n".join(piece.strip() for piece in one.value.split("<image>")).strip() for one in said]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _kind(name: str, turns: Turns) -> Kind:
    named = next((kind for kind in KINDS if name.endswith(f"-{kind}")), None)
    if named is not None:
        return named
    question, answer = turns[0]
    if len(turns) > 1 or len(answer.split()) < LONG:
        return "conversation"
    return "detail" if "?" not in question or _DESCRIBE.search(question) else "reasoning"


def _read(kind: Kind, text: str, asked: str = "") -> Turns:
    """The turns in a model's reply. Errors: PosetalkError with what is wrong with it."""
    try:
        return parse(ChatRequest("", 0, "", kind, (), schema(kind, MOST, asked)), text)
    except Rejected as rejected:
        raise PosetalkError(str(rejected)) from None
