"""What a server sends back: an answer, or an error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from posetalk.errors import shown
from posetalk.llm.spoken import spoken, text_of

LONGEST = 100_000  # characters that are kept of a reply; some models repeat themselves without end
# HTTP status by the error codes of OpenAI, Anthropic and Google.
_STATUS_OF_CODE = {
    "invalid_request_error": 400, "invalid_api_key": 401, "authentication_error": 401, "unauthenticated": 401,
    "insufficient_quota": 402, "permission_error": 403, "permission_denied": 403, "model_not_found": 404,
    "not_found_error": 404, "rate_limit_exceeded": 429, "rate_limit_error": 429, "resource_exhausted": 429,
    "api_error": 500, "server_error": 500, "internal": 500, "unavailable": 503, "overloaded_error": 503,
}  # fmt: skip
_KEY_PIECE = 8  # characters; a shorter piece of a key gives nothing away
_SHORTENED_KEY = re.compile(r"\w[*.…]{3,}\w|\*{3}|…\w{4}")  # how servers shorten keys


def estimate_tokens(text: str | int) -> int:
    """Estimate the tokens of a text, or of so many characters: one for four characters, rounded up.

    This is the usual rule for English; numbers take about twice as many.
    """
    return math.ceil((text if isinstance(text, int) else len(text)) / 4)


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply of a model.

    Attributes:
        reply: The text.
        end: How it ended; `cut off` at the maximum length.
        tokens_in: Tokens of the prompt.
        tokens_out: Tokens of the reply.
        counted: Whether the server counted the tokens; else they are estimated.
    """

    reply: str
    end: Literal["whole", "cut off", "refused"]
    tokens_in: int
    tokens_out: int
    counted: bool


class RequestError(Exception):
    """A request got no answer.

    Attributes:
        reason: Two or three words, by which errors are counted.
        message: All that is known.
        action: `retry` where sending the request again may help, `give up` where this request is at fault, `stop`
            where every request would fail.
        retry_after: Seconds that the server asks to wait.
        status: HTTP status of the reply, 0 for none.
        used_schema: Whether the request asked for JSON by a schema.
    """

    used_schema = False

    def __init__(
        self,
        reason: str,
        message: str,
        action: Literal["retry", "give up", "stop"] = "retry",
        retry_after: float = 0,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason, self.message, self.action = reason, message, action
        self.retry_after, self.status = retry_after, status


def completion_of(data: Any, prompt_estimate: int = 0, clean: Callable[[str], str] = str) -> Completion:
    """Read the reply out of a decoded chat completion, without the model's reasoning.

    Args:
        data: The decoded JSON.
        prompt_estimate: The tokens of the prompt, for servers that do not count them.
        clean: Applied to the text before it is cut to `LONGEST`.

    Raises:
        RequestError: it is no chat completion.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        refusal, raw = message.get("refusal"), text_of(message.get("content"))
        if not isinstance(refusal, str | None):
            raise TypeError("refusal")
        finish, usage = choice.get("finish_reason"), data.get("usage") or {}
        usage_counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise RequestError("unusable answer", "what the server sent is no chat completion") from None
    refusal, content = (clean(without_surrogates(text)) for text in (refusal or "", spoken(raw)))
    counted = all(isinstance(n, int) and 0 <= n < 2**40 for n in usage_counts)
    tokens_in, tokens_out = (
        cast(tuple[int, int], usage_counts) if counted else (prompt_estimate, estimate_tokens(raw))
    )
    if refusal or finish == "content_filter":
        return Completion((refusal or content)[:LONGEST], "refused", tokens_in, tokens_out, counted)
    is_cut = finish == "length" or len(content) > LONGEST
    return Completion(content[:LONGEST], "cut off" if is_cut else "whole", tokens_in, tokens_out, counted)


def without_surrogates(text: str) -> str:
    """The text with ? for lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in the body of a reply. status: the HTTP status that it corresponds to, 0 if unknown."""

    status: int
    code: str
    message: str


def failure_of(data: Any) -> Failure | None:
    """The error in a reply whose own status was 200; None where there is none.

    Many servers that pass requests on report errors in this way. An error beside a complete answer is ignored.
    """
    data = data[0] if isinstance(data, list) and data else data
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        message = choice.get("message")
        has_answer = isinstance(message, dict) and (message.get("content") or message.get("refusal"))
        if (
            choice.get("error")
            or choice.get("finish_reason") == "error"
            or (data.get("error") and not has_answer)
        ):
            return _failure(choice.get("error") or data.get("error") or "the model's server failed")
        return None
    error = data.get("error") or data.get("errors") or data.get("detail") or data.get("message")
    return _failure(data) if (error and "choices" not in data) or data.get("error") else None


def _failure(error: Any) -> Failure:
    message, status, code = error_text(error), 0, ""
    for _ in range(3):
        error = error[0] if isinstance(error, list) and error else error
        if not isinstance(error, dict):
            break
        for name in ("code", "status", "status_code", "type"):
            value = error.get(name)
            if isinstance(value, str | int | float) and not status:
                text = str(value).lower()
                status = int(text) if re.fullmatch("[45][0-9][0-9]", text) else _STATUS_OF_CODE.get(text, 0)
                code = code or text
        error = error.get("error") or error.get("errors")
    return Failure(status, code, message)


def error_text(error: Any) -> str:
    """The text of a server's error object, in one line."""
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
        return shown(without_surrogates(" ".join(str(error or "").split())))
    except RecursionError:
        return "what it says is nested too deeply"


def without_key(text: str, key: str) -> str:
    """A server's text without the key, pieces of it, and shortened keys (`sk-ab****yz`)."""
    key_pieces = {key[start : start + _KEY_PIECE] for start in range(len(key) - _KEY_PIECE + 1)}
    return " ".join(
        "***" if _SHORTENED_KEY.search(word) or any(piece in word for piece in key_pieces) else word
        for word in text[:2000].split()
    )[:300].strip()
