"""What a server sends back: an answer, or the trouble that there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from posetalk.llm.spoken import spoken, text_of

LONGEST = 100_000  # characters of a reply; a model that repeats itself without end


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


def words_of(error: Any) -> str:
    """What an error object of a server says, in one line."""
    for _ in range(2):
        if isinstance(error, dict):
            error = next((error[name] for name in ("message", "error", "detail") if error.get(name)), error)
    try:
        return whole(" ".join(str(error or "").split()))
    except RecursionError:
        return "what it says is nested too deeply"
