"""The schema of a language model's reply, and the parser of replies: JSON, or what comes near it.

Servers without structured output send JSON in a fence or within other text, with single quotes or a comma too many, or
no JSON at all: `Question:` and `Answer:` with lines of `===` between (LLaVA's own form), `Q:`/`A:`,
`User:`/`Assistant:`, `**Person:**`/`**AI Assistant:**`, `### Question 1` and `### Answer 1` on lines of their own,
numbered, bold or headed questions, a plain description. Nothing is added to what was written, and a text in which
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
from posetalk.write.from_model.labels import (
    ANSWERS,
    ASKS,
    KEY,
    Message,
    Pairs,
    good,
    headed,
    labelled,
    numbered,
    paired,
    prose,
)
from posetalk.write.samples.sample import Kind, Turns, kind_of

FEWEST = 2  # questions of a conversation
_TEXT = {"type": "string"}
_PAIR = {
    "type": "object",
    "properties": {"question": _TEXT, "answer": _TEXT},
    "required": ["question", "answer"],
    "additionalProperties": False,
}

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
_LOOKS_LIKE_JSON = re.compile(r"\A(?:\{|\[(?!(?i:question|q)\b))|\b(?:turns|question|answer)[\"']\s*:")


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
    return _parsed(job, reply, keep_good=False)[0]


def parse_good(job: ChatRequest, reply: str) -> tuple[Turns, int]:
    """Read those questions of a reply that have one answer, as `parse` does.

    Args:
        job: The request.
        reply: The model's reply, which cannot be asked for again.

    Returns:
        The pairs, and how many questions or answers beside them were left out.

    Raises:
        Rejected: As `parse`, when too few are left.
    """
    return _parsed(job, reply, keep_good=True)


def _parsed(job: ChatRequest, reply: str, keep_good: bool) -> tuple[Turns, int]:
    if len(reply) > LONGEST:
        raise _unreadable(f"the reply has {len(reply):,} characters")
    if not _encodes(reply):
        raise _unreadable("the reply holds half a character")
    pairs, left_out = _pairs(kind_of(job.kind), spoken(reply), keep_good)
    if not pairs:
        raise _unreadable("the reply is not the JSON that was asked for")
    if job.kind == "detail":
        instruction = job.schema["properties"]["answer"]["description"]
        pairs = [(instruction, answer) for _, answer in pairs[:1]]
    most = job.schema["properties"]["turns"]["maxItems"] if job.kind == "conversation" else 1
    fewest = job.schema["properties"]["turns"]["minItems"] if job.kind == "conversation" else 1
    turns = tuple((question.strip(), answer.strip()) for question, answer in pairs[:most])
    whole = tuple((question, answer) for question, answer in turns if question and answer)
    if len(whole) < len(turns) and not (keep_good and len(whole) >= fewest):
        raise Rejected((Fault("turns", "a question or an answer is empty"),))
    if len(whole) < fewest:
        raise Rejected((Fault("turns", f"{len(whole)} of at least {fewest} questions were answered"),))
    if not all(_encodes(text) for turn in whole for text in turn):
        raise _unreadable("the reply holds half a character")
    return whole, left_out + len(turns) - len(whole)


def _pairs(kind: Kind, reply: str, keep_good: bool) -> tuple[Pairs | None, int]:
    """The pairs by the first way of reading that finds any, and how many turns beside them were left out; a description
    without a question has an empty one."""
    for value in _decoded(reply):
        pairs, left_out = _pairs_of_json(kind, value, keep_good)
        if pairs is not None:
            return pairs, left_out
    text = _PREAMBLE.sub("", _RULE.sub("", reply).strip()).strip()
    if _LOOKS_LIKE_JSON.search(text):
        return None, 0  # broken JSON is no prose
    pairs, left_out = labelled(kind, text, keep_good)
    if pairs is None:
        pairs = prose(text) if kind == "detail" else headed(text) or numbered(kind, text)
    return pairs, left_out


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


def _pairs_of_json(kind: Kind, value: Any, keep_good: bool) -> tuple[Pairs | None, int]:
    """Pairs of decoded JSON: an object with an answer, a list of them, or an object that holds such a list."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        pair = _pair(kind, value)
        if pair is None and len(lists) == 1:
            return _pairs_of_json(kind, lists[0], keep_good)
        return (None if pair is None else [pair]), 0
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None, 0
    messages = [message for item in value if (message := _message_of(item))]
    if len(messages) == len(value):
        pairs = paired(messages)
        return good(messages) if pairs is None and keep_good else (pairs, 0)
    pairs = [pair for item in value if (pair := _pair(kind, item))]
    left_out = len(value) - len(pairs)
    return (pairs, left_out) if pairs and (keep_good or not left_out) else (None, 0)


def _pair(kind: Kind, row: dict[str, Any]) -> tuple[str, str] | None:
    """Question and answer of an object, by the names that models give them."""
    words = {str(key).lower(): text for key, text in row.items() if isinstance(text, str)}
    names = {key: name for key in words if (name := KEY.match(key))}
    question = next((words[name] for name in ASKS.split("|") if name in words), None)
    answer = next((words[name] for name in ANSWERS.split("|") if name in words), None)
    if question is None:
        question = next((words[key] for key, name in names.items() if name["asks"]), None)
    if answer is None:
        answer = next((words[key] for key, name in names.items() if name["answers"]), None)
    if answer is None or (question is None and kind != "detail"):
        return None
    return question or "", answer


def _message_of(row: dict[str, Any]) -> Message | None:
    """Whether a message asks, and its text: LLaVA's from and value, a chat's role and content."""
    sender, text = row.get("from", row.get("role")), row.get("value", row.get("content"))
    if not isinstance(sender, str) or not isinstance(text, str):
        return None
    return sender.lower() in ASKS.split("|"), text


def _encodes(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _unreadable(sentence: str) -> Rejected:
    return Rejected((Fault("unreadable", sentence),))
