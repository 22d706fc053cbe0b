"""What a server sends back: an answer, or the trouble that there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from posetalk.errors import shown
from posetalk.llm.spoken import spoken, text_of

LONGEST = 100_000  # characters of a reply; a model that repeats itself without end
# The names that OpenAI, Anthropic and Google give to what others say by an HTTP status.
_STATUS = {
    "invalid_request_error": 400, "invalid_api_key": 401, "authentication_error": 401, "unauthenticated": 401,
    "insufficient_quota": 402, "permission_error": 403, "permission_denied": 403, "model_not_found": 404,
    "not_found_error": 404, "rate_limit_exceeded": 429, "rate_limit_error": 429, "resource_exhausted": 429,
    "api_error": 500, "server_error": 500, "internal": 500, "unavailable": 503, "overloaded_error": 503,
}  # fmt: skip
_PIECE = 8  # characters of a key that tell others something
_STARRED = re.compile(r"\w[*.…]{3,}\w|\*{3}|…\w{4}")  # how servers shorten keys


def tokens(text: str | int) -> int:
    """An estimate of how many tokens a text (or so many characters) is: one for four characters, rounded up.

    It is the usual rule for English; numbers take about twice as many.
    """
    return math.ceil((text if isinstance(text, int) else len(text)) / 4)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server wrote, and how it ended. counted: the server gave the tokens; else they are estimated."""

    reply: str
    end: Literal["whole", "cut off", "refused"]
    tokens_in: int
    tokens_out: int
    counted: bool


class RequestError(Exception):
    """A request without an answer.

    reason: in two or three words, to be counted. words: all that is known. then: `again` where sending it again may
    help, `never` where this request is at fault, `stop` where every request would fare the same. wait: seconds that
    the server asks for. status: of the reply, 0 for none. schema: it was asked for JSON by a schema.
    """

    schema = False

    def __init__(
        self,
        reason: str,
        words: str,
        then: Literal["again", "never", "stop"] = "again",
        wait: float = 0,
        status: int = 0,
    ) -> None:
        super().__init__(words)
        self.reason, self.words, self.then, self.wait, self.status = reason, words, then, wait, status


def completion_of(data: Any, job_tokens: int = 0, clean: Callable[[str], str] = str) -> Completion:
    """The answer in a decoded chat completion, without what the model thought. job_tokens: what is taken for tokens_in
    where the server says none. clean: what the text goes through before it is cut.

    Errors: Trouble where it is none.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        refusal, written = message.get("refusal"), text_of(message.get("content"))
        if not isinstance(refusal, str | None):
            raise TypeError("refusal")
        finish, usage = choice.get("finish_reason"), data.get("usage") or {}
        said = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise RequestError("unusable answer", "what the server sent is no chat completion") from None
    refusal, content = (clean(whole(text)) for text in (refusal or "", spoken(written)))
    counted = all(isinstance(n, int) and 0 <= n < 2**40 for n in said)
    into, out = cast(tuple[int, int], said) if counted else (job_tokens, tokens(written))
    if refusal or finish == "content_filter":
        return Completion((refusal or content)[:LONGEST], "refused", into, out, counted)
    cut = finish == "length" or len(content) > LONGEST
    return Completion(content[:LONGEST], "cut off" if cut else "whole", into, out, counted)


def whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can hold and no file can."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a server tells in the body. status: the HTTP status that it stands for, 0 where it says none."""

    status: int
    code: str
    words: str


def failure_of(data: Any) -> Failure | None:
    """The error that stands where a chat completion should, though the reply's own status was 200; None where none is.

    Many servers that pass requests on send one so. A whole answer beside it is an answer.
    """
    data = data[0] if isinstance(data, list) and data else data
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        message = choice.get("message")
        said = isinstance(message, dict) and (message.get("content") or message.get("refusal"))
        if choice.get("error") or choice.get("finish_reason") == "error" or (data.get("error") and not said):
            return _failure(choice.get("error") or data.get("error") or "the model's server failed")
        return None
    told = data.get("error") or data.get("errors") or data.get("detail") or data.get("message")
    return _failure(data) if (told and "choices" not in data) or data.get("error") else None


def _failure(error: Any) -> Failure:
    words, status, code = words_of(error), 0, ""
    for _ in range(3):
        error = error[0] if isinstance(error, list) and error else error
        if not isinstance(error, dict):
            break
        for name in ("code", "status", "status_code", "type"):
            value = error.get(name)
            if isinstance(value, str | int | float) and not status:
                text = str(value).lower()
                status = int(text) if re.fullmatch("[45][0-9][0-9]", text) else _STATUS.get(text, 0)
                code = code or text
        error = error.get("error") or error.get("errors")
    return Failure(status, code, words)


def words_of(error: Any) -> str:
    """What an error object of a server says, in one line."""
    for _ in range(3):
        if (
            isinstance(error, list)
            and len(error) == 1
            and isinstance(error[0], dict)
            and "loc" not in error[0]
        ):
            error = error[0]
        if isinstance(error, dict):
            names = ("message", "error", "errors", "detail")
            error = next((error[name] for name in names if error.get(name)), error)
    try:
        return shown(whole(" ".join(str(error or "").split())))
    except RecursionError:
        return "what it says is nested too deeply"


def without_key(words: str, secret: str) -> str:
    """What a server says, without the key, parts of it, and whatever else it shows of one (`sk-ab****yz`)."""
    pieces = {secret[start : start + _PIECE] for start in range(len(secret) - _PIECE + 1)}
    return " ".join(
        "***" if _STARRED.search(word) or any(piece in word for piece in pieces) else word
        for word in words[:2000].split()
    )[:300].strip()
