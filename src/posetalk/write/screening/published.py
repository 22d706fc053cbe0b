"""Reading instruction data that others wrote, to be screened and exported like our own.

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
from posetalk.write.from_model.labels import FORMS
from posetalk.write.from_model.reply import parse_good, schema
from posetalk.write.samples.sample import KINDS, Kind, Sample, Turns

WRITER = "published"
# LLaVA's form does not say a sample's kind. LLaVA-Pose's answers have 13 words on average in conversations, 363 in
# descriptions and 268 in reasoning.
LONG = 50  # words from which a sample with one answer is no conversation
DIGITS = 100  # most digits of an image's number
MOST = 1000  # questions of a conversation that are read
UNREAD = "question and answer cannot be told apart in it"
_DESCRIBE = re.compile(r"\b(?:descri(?:be|ption)|depict|portray)", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


class _Message(msgspec.Struct):
    sender: str = msgspec.field(name="from")
    value: str


class _PublishedRecord(msgspec.Struct):
    """The fields of all four forms."""

    id: str | int | None = None
    image: str | None = None
    conversations: list[_Message] | None = None
    image_id: str | int | None = None
    conversation: str | None = None
    user_message: str | None = None
    completion: str | None = None


_DECODER = msgspec.json.Decoder(_PublishedRecord)


def read_published(path: Path, skipped: list[str], kind: Kind | None = None) -> Iterator[Sample]:
    """Read the samples of a published file one at a time.

    Ids are made anew, `134754-conversation` and `134754-conversation-2`, since published ones repeat. The kind is that
    of the raw form, or what the id ends with. Other samples with more than one turn or an answer of less than LONG
    words are conversations; the rest is detail where the question is none or asks for a description, else reasoning.
    Raw forms do not name their image's file: it is COCO's, `000000134754.jpg`. Of a raw conversation the questions that
    have one answer are kept.

    Args:
        path: LLaVA's JSON list, or one of the raw files of LLaVA-Pose.
        skipped: Gets a sentence for each record that cannot be read, and for each of which turns are left out.
        kind: What all samples are, in place of what their form says.

    Yields:
        The samples in the order of the file.

    Raises:
        PosetalkError: When the file cannot be read, is of another form, or has no sample.

    Source:
        LLaVA-Pose (arXiv 2506.21317) and its published scripts.
    """
    path = Path(path)
    ids: Counter[str] = Counter()
    for number, raw in enumerate(_raw_records(path), 1):
        try:
            sample, left_out = _sample(decode_record(_DECODER, raw), kind)
        except PosetalkError as error:
            skipped.append(f"{path}: record {record_id(raw, number)}: {error}")
            continue
        if left_out:
            skipped.append(
                f"{path}: record {record_id(raw, number)}: {left_out} of {left_out + len(sample.turns)} turns have no "
                "question or not one answer; the others are kept"
            )
        ids[sample.id] += 1
        suffix = f"-{ids[sample.id]}" if ids[sample.id] > 1 else ""
        yield Sample(
            sample.id + suffix, sample.image_id, sample.image, sample.kind, sample.turns, sample.writer
        )
    if not ids:
        known = (
            f"; known forms of a reply are {FORMS}" if any(UNREAD in sentence for sentence in skipped) else ""
        )
        raise PosetalkError(f"{none_left(path, skipped, 'samples')}{known}")


def _raw_records(path: Path) -> Iterator[msgspec.Raw]:
    if read_start(path).startswith(b"{"):
        for line in read_bytes(path).splitlines():
            if line.strip():
                yield msgspec.Raw(line)
    else:
        yield from decode_file(path, list[msgspec.Raw], "a JSON list of LLaVA's or LLaVA-Pose's records")


def _sample(record: _PublishedRecord, stated: Kind | None) -> tuple[Sample, int]:
    """The sample of a record, and how many turns were left out. Raises PosetalkError with the reason alone."""
    image_id, image = _image(record)
    text, left_out = record.conversation or record.completion or "", 0
    if record.conversations is not None:
        turns = _turns(record.conversations)
        kind = stated or _kind(str(record.id), turns)
    elif record.conversation is None and record.completion is None:
        raise PosetalkError("it has neither conversations nor a conversation or completion")
    else:
        kind = stated or _raw_kind(record)
        if kind == "detail" and not record.user_message:
            raise PosetalkError("a description needs the question that it answers (user_message)")
        turns, left_out = _parsed(kind, text, record.user_message or "")
    return Sample(f"{image_id}-{kind}", image_id, image, kind, turns, WRITER), left_out


def _raw_kind(record: _PublishedRecord) -> Kind:
    if record.conversation is not None:
        return "conversation"
    return "reasoning" if record.user_message is None else "detail"


def _image(record: _PublishedRecord) -> tuple[int, str]:
    """The image's id and file name. The id is the last number in `image_id`, the file's name or the record's id."""
    texts: list[Any] = [record.image_id, Path(record.image).stem if record.image else None, record.id]
    numbers = [digits[-1] for text in texts if text is not None and (digits := _DIGITS.findall(str(text)))]
    if not numbers:
        raise PosetalkError(
            "neither its id nor the name of its image has a number, so its image is not known"
        )
    if len(numbers[0]) > DIGITS:
        raise PosetalkError(f"the number of its image has {len(numbers[0]):,} digits")
    if record.image is None and record.conversations is not None:
        raise PosetalkError("it names no image")
    return int(numbers[0]), record.image or f"{int(numbers[0]):012d}.jpg"


def _turns(messages: list[_Message]) -> Turns:
    senders = ["human" if message.sender in ("human", "user") else "gpt" for message in messages]
    if senders != ["human", "gpt"] * (len(messages) // 2) or not messages:
        raise PosetalkError("human and gpt do not speak in turn in its conversations")
    texts = [
        "\n".join(piece.strip() for piece in message.value.split("<image>")).strip() for message in messages
    ]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _kind(name: str, turns: Turns) -> Kind:
    kind_of_id = next((kind for kind in KINDS if name.endswith(f"-{kind}")), None)
    if kind_of_id is not None:
        return kind_of_id
    question, answer = turns[0]
    if len(turns) > 1 or len(answer.split()) < LONG:
        return "conversation"
    return "detail" if "?" not in question or _DESCRIBE.search(question) else "reasoning"


def _parsed(kind: Kind, text: str, question: str) -> tuple[Turns, int]:
    """The turns in a model's reply, and how many were left out. Raises PosetalkError with what is wrong with it."""
    try:
        return parse_good(ChatRequest("", 0, "", kind, (), schema(kind, MOST, question)), text)
    except Rejected as rejected:
        unread = "not the JSON" in str(rejected)  # nobody asked for any
        raise PosetalkError(UNREAD if unread else str(rejected)) from None
