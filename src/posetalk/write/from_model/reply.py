"""The form of a language model's reply, and reading it: JSON where the server holds to a schema, or what comes near.

Servers without structured output send JSON in a fence or amid talk, with single quotes or a comma too many, or no JSON
at all: `Question:` and `Answer:` with lines of `===` between (LLaVA's own form), `Q:`/`A:`, `User:`/`Assistant:`,
numbered questions, a bare description. What is read is what was written: nothing is added, and a text in which question
and answer cannot be told apart is refused.
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
# A line that only parts or fences others.
_RULE = re.compile(r"^[ \t]*(?:[=*_-]{3,}|```\w*)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"```[a-z]*[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
# `Sure! Here is the description:` before a text.
_PREAMBLE = re.compile(
    r"\A(?:sure|certainly|of course|okay|ok|here (?:is|are)|here's|below (?:is|are))\b[^\n]*:[ \t]*\n",
    re.IGNORECASE,
)
# A whole string of JSON, a quotation mark that begins none (it has no end, and nor has any after it), Python's string.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE = r"(?<![^\s\[{,:])'((?:[^'\\\n]|\\.)*+)'(?=\s*[]},:])"
_STRINGS = re.compile(rf'{_STRING}|(?P<open>")|{_SINGLE}', re.DOTALL)
_SINGLES = re.compile(_SINGLE, re.DOTALL)
_COMMAS = re.compile(rf'{_STRING}|(?P<open>")|(?P<comma>,)(?=\s*[]}}])', re.DOTALL)
_COMMA = re.compile(r",(?=\s*[]}])")
_JSONISH = re.compile(r"\A[\[{]|\b(?:turns|question|answer)[\"']\s*:")


def schema(kind: Kind, questions: int, asked: str = "") -> dict[str, Any]:
    """The JSON schema of a reply. questions: of a conversation, at most. asked: what a description is an answer to; it
    is the sample's question and stands in the schema as the answer's description."""
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
            properties = {"answer": {"type": "string", "description": asked}}
        case "reasoning":
            return _PAIR
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse(job: ChatRequest, reply: str) -> Turns:
    """The questions and answers of a reply, blanks around them taken off; more than were asked for are left out.

    Errors: Rejected, `unreadable` where the form is not known or something is missing, `turns` for empty or too few.
    """
    if len(reply) > LONGEST:
        raise _unreadable(f"the reply has {len(reply):,} characters")
    if not _encodes(reply):
        raise _unreadable("the reply holds half a character")
    pairs = _pairs(kind_of(job.kind), spoken(reply))
    if not pairs:
        raise _unreadable("the reply is not the JSON that was asked for")
    if job.kind == "detail":
        asked = job.schema["properties"]["answer"]["description"]
        pairs = [(asked, answer) for _, answer in pairs[:1]]
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
    """By the first way of reading that gives anything; a question is empty where a description has none."""
    for value in _values(reply):
        found = _of_value(kind, value)
        if found is not None:
            return found
    text = _PREAMBLE.sub("", _RULE.sub("", reply).strip()).strip()
    if _JSONISH.search(text):
        return None  # broken JSON is no prose
    return _labelled(kind, text) or (_prose(text) if kind == "detail" else _asked(kind, text))


def _values(reply: str) -> Iterator[Any]:
    """What decodes as JSON: the whole reply, what is fenced, what begins at the first brace."""
    for text in (reply, *(match[1] for match in _FENCE.finditer(reply)), reply[reply.find("{") :]):
        for form in (text, _mended(text)):
            found = _sequence(form.strip())
            yield from ([found] if len(found) > 1 else []) + found[:1]


def _sequence(text: str) -> list[Any]:
    """JSON values one after the other, commas between them or not; what follows is talk."""
    decoder, found, place = json.JSONDecoder(strict=False), [], 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        found.append(value)
        while place < len(text) and (text[place].isspace() or text[place] == ","):
            place += 1
    return found


def _mended(text: str) -> str:
    """Python's single quotes as JSON's, and no comma before a closing bracket."""
    text, rest = _parted(_STRINGS, text)
    text = _STRINGS.sub(lambda match: match[0] if match[2] is None else _quoted(match[2]), text)
    text += _SINGLES.sub(lambda match: _quoted(match[1]), rest)
    text, rest = _parted(_COMMAS, text)
    return _COMMAS.sub(lambda match: "" if match["comma"] else match[0], text) + _COMMA.sub("", rest)


def _parted(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    """The text up to a quotation mark that begins a string without an end, and the rest: looking for the end of each
    one in the rest takes time that grows with the square of it."""
    for match in pattern.finditer(text):
        if match["open"]:
            return text[: match.start()], text[match.start() :]
    return text, ""


def _quoted(inner: str) -> str:
    inner = inner.replace(r"\'", "'").replace('"', r"\"")
    return f'"{inner}"'


def _of_value(kind: Kind, value: Any) -> _Pairs | None:
    """Pairs of decoded JSON: an object with an answer, a list of them, or an object that holds such a list."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        pair = _pair(kind, value)
        if pair is None and len(lists) == 1:
            return _of_value(kind, lists[0])
        return None if pair is None else [pair]
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    spoken = [_spoken(item) for item in value]
    if all(spoken):
        return _in_turn([one for one in spoken if one])
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


def _spoken(row: dict[str, Any]) -> tuple[bool, str] | None:
    """Whether it asks, and the words: LLaVA's from and value, a chat's role and content."""
    who, words = row.get("from", row.get("role")), row.get("value", row.get("content"))
    if not isinstance(who, str) or not isinstance(words, str):
        return None
    return who.lower() in _ASKS.split("|"), words


def _labelled(kind: Kind, text: str) -> _Pairs | None:
    """Question and answer by the words before them, each to the next such word."""
    marks = list(_LABEL.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    said = [
        (mark["asks"] is not None, text[mark.end() : end].strip().strip("*_").strip())
        for mark, end in zip(marks, ends, strict=True)
    ]
    if kind == "detail" and [asks for asks, _ in said] == [False] and marks[0].start() == 0:
        return [("", said[0][1])]
    return _in_turn(said) if said else None


def _in_turn(said: list[tuple[bool, str]]) -> _Pairs | None:
    """Pairs of what is asked and answered one after the other; None where somebody speaks twice or out of turn.

    A last question without an answer, of a reply that was cut off, is left out.
    """
    pairs = list(zip(said[::2], said[1::2], strict=False))
    cut_off = said[2 * len(pairs) :]
    if (
        not pairs
        or any(not asks or answers for (asks, _), (answers, _) in pairs)
        or not all(a for a, _ in cut_off)
    ):
        return None
    return [(question, answer) for (_, question), (_, answer) in pairs]


def _asked(kind: Kind, text: str) -> _Pairs | None:
    """Numbered questions, each a line that ends in a question mark and the answer below or behind it.

    For reasoning one, numbered or not.
    """
    items = [item.strip() for item in _NUMBER.split(text)[1:]]
    if kind == "reasoning" and not items:
        items = [text]
    found = []
    for item in items:
        question, mark, answer = item.partition("?")
        if not mark or "\n" in question.strip() or not answer.strip(" \n\t*_"):
            return None
        found.append((f"{question.strip(' *_')}?", answer.strip(" \n\t*_-")))
    return found


def _prose(text: str) -> _Pairs | None:
    """The whole text, without quotation marks around it; a word alone describes nothing."""
    text = re.sub(r'\A"([^"]*)"\Z', r"\1", text)
    return [("", text)] if re.search(r"[^\W\d_]\s+[^\W\d_]", text) else None


def _encodes(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _unreadable(words: str) -> Rejected:
    return Rejected((Fault("unreadable", words),))
