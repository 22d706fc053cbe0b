"""The schema of a language model's reply, and the parser of replies: JSON, or what comes near it.

Servers without structured output send JSON in a fence or within other text, with single quotes or a comma too many, or
no JSON at all: `Question:` and `Answer:` with lines of `===` between (LLaVA's own form), `Q:`/`A:`,
`User:`/`Assistant:`, numbered questions, a plain description. Nothing is added to what was written, and a text in which
question and answer cannot be told apart is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from posetalk.llm.answer import LONGEST as LONGEST
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.request import ChatRequest
from posetalk.llm.spoken import spoken
from posetalk.write.samples.sample import Kind, Turns, kind_of

FEWEST = 2  # questions of a conversation
_TEXT = {"type": "string"}
_PAIR = {
    "type": "object",
    "properties": {"question": _TEXT, "answer": _TEXT},
    "required": ["question", "answer"],
    "additionalProperties": False,
}

_ASKS = "question|q|user|human|person"
_ANSWERS = "answer|a|assistant|gpt|ai|description"
# `Question:`, `**Q1:**`, `2. Answer -`, `### User 3:` at the start of a line.
_LABEL = re.compile(
    rf"^[ \t>#*_-]*(?:\d+[.)][ \t*_]*)?(?:(?P<asks>{_ASKS})|(?P<answers>{_ANSWERS}))"
    r"[ \t]?\d{0,3}[*_]{0,3}:[ \t*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"^[ \t#*_-]*\d+[.)][ \t*_]*", re.MULTILINE)
# A line that only separates or fences others.
_RULE = re.compile(r"^[ \t]*(?:[=*_-]{3,}|```\w*)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"```[a-z]*[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
# `Sure! Here is the description:` before a text.
_PREAMBLE = re.compile(
    r"\A(?:sure|certainly|of course|okay|ok|here (?:is|are)|here's|below (?:is|are))\b[^\n]*:[ \t]*\n",
    re.IGNORECASE,
)
# A complete JSON string; a quotation mark that opens a string without an end (nor does a later one have an end); a
# Python string.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE = r"(?<![^\s\[{,:])'((?:[^'\\\n]|\\.)*+)'(?=\s*[]},:])"
_STRINGS = re.compile(rf'{_STRING}|(?P<open>")|{_SINGLE}', re.DOTALL)
_SINGLES = re.compile(_SINGLE, re.DOTALL)
_COMMAS = re.compile(rf'{_STRING}|(?P<open>")|(?P<comma>,)(?=\s*[]}}])', re.DOTALL)
_COMMA = re.compile(r",(?=\s*[]}])")
_LOOKS_LIKE_JSON = re.compile(r"\A[\[{]|\b(?:turns|question|answer)[\"']\s*:")


def schema(kind: Kind, questions: int, instruction: str = "") -> dict[str, Any]:
    """The JSON schema of a reply.

    Args:
        kind: The kind of the sample.
        questions: The largest number of questions of a conversation.
        instruction: What a description is the answer to. It becomes the sample's question and is the description of the
            answer in the schema.

    Returns:
        A JSON schema, as in OpenAI's structured output.
    """
    match kind:
        case "conversation":
            turns = {
                "type": "array",
                "items": _PAIR,
                "minItems": min(FEWEST, questions),
                "maxItems": questions,
            }
            properties: dict[str, Any] = {"turns": turns}
        case "detail":
            properties = {"answer": {"type": "string", "description": instruction}}
        case "reasoning":
            return _PAIR
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse(job: ChatRequest, reply: str) -> Turns:
    """Read the questions and answers of a reply.

    Args:
        job: The request, whose schema says how many questions there are.
        reply: The model's reply.

    Returns:
        Pairs of question and answer, stripped; no more than were asked for.

    Raises:
        Rejected: With the reason `unreadable` when the form is not known or something is missing, `turns` when a text
            is empty or there are too few questions.
    """
    if len(reply) > LONGEST:
        raise _unreadable(f"the reply has {len(reply):,} characters")
    if not _encodes(reply):
        raise _unreadable("the reply holds half a character")
    pairs = _pairs(kind_of(job.kind), spoken(reply))
    if not pairs:
        raise _unreadable("the reply is not the JSON that was asked for")
    if job.kind == "detail":
        instruction = job.schema["properties"]["answer"]["description"]
        pairs = [(instruction, answer) for _, answer in pairs[:1]]
    most = job.schema["properties"]["turns"]["maxItems"] if job.kind == "conversation" else 1
    fewest = job.schema["properties"]["turns"]["minItems"] if job.kind == "conversation" else 1
    turns = tuple((question.strip(), answer.strip()) for question, answer in pairs[:most])
    if any(not question or not answer for question, answer in turns):
        raise Rejected((Fault("turns", "a question or an answer is empty"),))
    if len(turns) < fewest:
        raise Rejected((Fault("turns", f"{len(turns)} of at least {fewest} questions were answered"),))
    if not all(_encodes(text) for turn in turns for text in turn):
        raise _unreadable("the reply holds half a character")
    return turns


_Pairs = list[tuple[str, str]]


def _pairs(kind: Kind, reply: str) -> _Pairs | None:
    """The pairs by the first way of reading that finds any; a description without a question has an empty one."""
    for value in _decoded(reply):
        pairs = _pairs_of_json(kind, value)
        if pairs is not None:
            return pairs
    text = _PREAMBLE.sub("", _RULE.sub("", reply).strip()).strip()
    if _LOOKS_LIKE_JSON.search(text):
        return None  # broken JSON is no prose
    return _labelled(kind, text) or (_prose(text) if kind == "detail" else _numbered(kind, text))


def _decoded(reply: str) -> Iterator[Any]:
    """The JSON values of the whole reply, of what is fenced, and of what starts at the first brace."""
    for text in (reply, *(match[1] for match in _FENCE.finditer(reply)), reply[reply.find("{") :]):
        for candidate in (text, _repaired(text)):
            values = _decode_sequence(candidate.strip())
            yield from ([values] if len(values) > 1 else []) + values[:1]


def _decode_sequence(text: str) -> list[Any]:
    """The JSON values at the start of a text, with or without commas between them."""
    decoder, values, position = json.JSONDecoder(strict=False), [], 0
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        values.append(value)
        while position < len(text) and (text[position].isspace() or text[position] == ","):
            position += 1
    return values


def _repaired(text: str) -> str:
    """Python's single quotes made JSON's, and commas before a closing bracket removed."""
    text, rest = _split_at_open_quote(_STRINGS, text)
    text = _STRINGS.sub(lambda match: match[0] if match[2] is None else _json_string(match[2]), text)
    text += _SINGLES.sub(lambda match: _json_string(match[1]), rest)
    text, rest = _split_at_open_quote(_COMMAS, text)
    return _COMMAS.sub(lambda match: "" if match["comma"] else match[0], text) + _COMMA.sub("", rest)


def _split_at_open_quote(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    """The text before a quotation mark that opens a string without an end, and the rest. Searching the rest for the end
    of each string would take quadratic time."""
    for match in pattern.finditer(text):
        if match["open"]:
            return text[: match.start()], text[match.start() :]
    return text, ""


def _json_string(inner: str) -> str:
    inner = inner.replace(r"\'", "'").replace('"', r"\"")
    return f'"{inner}"'


def _pairs_of_json(kind: Kind, value: Any) -> _Pairs | None:
    """Pairs of decoded JSON: an object with an answer, a list of them, or an object that holds such a list."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        pair = _pair(kind, value)
        if pair is None and len(lists) == 1:
            return _pairs_of_json(kind, lists[0])
        return None if pair is None else [pair]
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    messages = [_message_of(item) for item in value]
    if all(messages):
        return _paired([message for message in messages if message])
    pairs = [_pair(kind, item) for item in value]
    return [pair for pair in pairs if pair] if all(pairs) else None


def _pair(kind: Kind, row: dict[str, Any]) -> tuple[str, str] | None:
    """Question and answer of an object, by the names that models give them."""
    words = {str(key).lower(): text for key, text in row.items() if isinstance(text, str)}
    question = next((words[name] for name in _ASKS.split("|") if name in words), None)
    answer = next((words[name] for name in _ANSWERS.split("|") if name in words), None)
    if answer is None or (question is None and kind != "detail"):
        return None
    return question or "", answer


def _message_of(row: dict[str, Any]) -> tuple[bool, str] | None:
    """Whether a message asks, and its text: LLaVA's from and value, a chat's role and content."""
    sender, text = row.get("from", row.get("role")), row.get("value", row.get("content"))
    if not isinstance(sender, str) or not isinstance(text, str):
        return None
    return sender.lower() in _ASKS.split("|"), text


def _labelled(kind: Kind, text: str) -> _Pairs | None:
    """Questions and answers by the labels before them, each up to the next label."""
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels[1:]), len(text)][: len(labels)]
    messages = [
        (label["asks"] is not None, text[label.end() : end].strip().strip("*_").strip())
        for label, end in zip(labels, ends, strict=True)
    ]
    if kind == "detail" and [asks for asks, _ in messages] == [False] and labels[0].start() == 0:
        return [("", messages[0][1])]
    return _paired(messages) if messages else None


def _paired(messages: list[tuple[bool, str]]) -> _Pairs | None:
    """Pairs of messages that ask and answer in turn; None where they do not.

    A last question without an answer, of a reply that was cut off, is left out.
    """
    pairs = list(zip(messages[::2], messages[1::2], strict=False))
    cut_off = messages[2 * len(pairs) :]
    if (
        not pairs
        or any(not asks or answers for (asks, _), (answers, _) in pairs)
        or not all(is_question for is_question, _ in cut_off)
    ):
        return None
    return [(question, answer) for (_, question), (_, answer) in pairs]


def _numbered(kind: Kind, text: str) -> _Pairs | None:
    """Numbered questions: each ends in a question mark on its line, and its answer follows.

    For reasoning it may be one question without a number.
    """
    items = [item.strip() for item in _NUMBER.split(text)[1:]]
    if kind == "reasoning" and not items:
        items = [text]
    pairs = []
    for item in items:
        question, question_mark, answer = item.partition("?")
        if not question_mark or "\n" in question.strip() or not answer.strip(" \n\t*_"):
            return None
        pairs.append((f"{question.strip(' *_')}?", answer.strip(" \n\t*_-")))
    return pairs


def _prose(text: str) -> _Pairs | None:
    """The whole text as an answer, without quotation marks around it; None for a single word."""
    text = re.sub(r'\A"([^"]*)"\Z', r"\1", text)
    return [("", text)] if re.search(r"[^\W\d_]\s+[^\W\d_]", text) else None


def _encodes(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _unreadable(sentence: str) -> Rejected:
    return Rejected((Fault("unreadable", sentence),))
