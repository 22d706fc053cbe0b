"""A chat server with OpenAI's interface: what is sent to it, what comes back, and what may go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import math
import os
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from posetalk.errors import PosetalkError, need
from posetalk.settings import Settings
from posetalk.write.job import Job

OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
POOL = 8  # connections that share a pool: for each request, httpx2 looks at every one of its pool
PHOTO = 1000  # tokens of a photo, an estimate: LLaVA-1.5 takes 576, most others some hundreds at COCO's size
PLACEHOLDER = "none"  # servers on one's own machine want some key, and look at none


class WriterSettings(Settings):
    """A language model that writes, and how it is asked.

    model:       the name that the server knows it by.
    base_url:    of any server with OpenAI's interface, `http://localhost:8000/v1`; None for OpenAI itself. The key is
                 taken from the environment variable OPENAI_API_KEY.
    temperature, seed: None for the server's own.
    structured:  ask for JSON by the job's schema; a server that refuses it is asked without.
    concurrency: requests in flight at once.
    timeout:     seconds that an answer may take, from the first byte sent to the last received.
    retries:     how often a request is sent again after 429, 5xx, a timeout, a cut connection or an unusable body.
    again:       how often a job is asked anew after a refusal, a reply cut off or one not accepted; it is told why.
    pause:       seconds before a request is sent again; doubled each time, up to a minute.
    requests_a_minute, tokens_a_minute: in any 60 seconds; None for no limit.
    money:       dollars that the ledger's answers may cost in all; None for no limit.
    """

    model: str = Field(min_length=1)
    base_url: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = None
    structured: bool = True
    concurrency: int = Field(16, ge=1, le=1000)
    timeout: float = Field(300, gt=0)
    retries: int = Field(6, ge=0)
    again: int = Field(2, ge=0)
    pause: float = Field(1.0, gt=0)
    requests_a_minute: int | None = Field(None, ge=1)
    tokens_a_minute: int | None = Field(None, ge=1)
    money: float | None = Field(None, ge=0)

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        # it is written to run.toml and said in errors
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        if url is not None and ("@" in url or "?" in url):
            raise ValueError(f"holds a password or a query; put the key into {KEY}")
        return url


def key(job: Job, settings: WriterSettings) -> str:
    """SHA-256 of all that shapes the answer, as 64 hexadecimal digits. The server's address is no part of it."""
    shapes = (
        settings.model,
        [sorted(message.items()) for message in job.messages],
        job.schema if settings.structured else None,
        job.words,
        settings.temperature,
        settings.seed,
        *([job.photo.digest] if job.photo else []),
    )
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()


def body(job: Job, settings: WriterSettings, structured: bool) -> dict[str, Any]:
    """The request as JSON for /chat/completions."""
    # OpenAI's reasoning models refuse the older name, many other servers do not know the newer one
    limit = "max_completion_tokens" if (settings.base_url or OPENAI).startswith(OPENAI) else "max_tokens"
    found: dict[str, Any] = {"model": settings.model, "messages": _messages(job), limit: job.words}
    if settings.temperature is not None:
        found["temperature"] = settings.temperature
    if settings.seed is not None:
        found["seed"] = settings.seed
    if structured and job.schema:
        form = {"name": job.schema.get("title", job.kind), "schema": job.schema, "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": form}
    return found


def _messages(job: Job) -> list[Any]:
    """As they are sent: the photo, if there is one, before the words of the first question."""
    found: list[Any] = list(job.messages)
    if job.photo:
        place = next(i for i, message in enumerate(found) if message["role"] == "user")
        image = {"type": "image_url", "image_url": {"url": job.photo.url()}}
        found[place] = {"role": "user", "content": [image, {"type": "text", "text": found[place]["content"]}]}
    return found


def tokens(text: str | int) -> int:
    """An estimate of how many tokens a text (or so many characters) is: one for four characters, rounded up.

    It is the usual rule for English; numbers take about twice as many.
    """
    return math.ceil((text if isinstance(text, int) else len(text)) / 4)


def tokens_in(job: Job) -> int:
    """An estimate of how many tokens a job's messages are, with its photo."""
    return tokens(sum(len(message["content"]) for message in job.messages)) + PHOTO * (job.photo is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server wrote, and how it ended. counted: the server gave the tokens; else they are estimated."""

    reply: str
    end: Literal["whole", "cut off", "refused"]
    tokens_in: int
    tokens_out: int
    counted: bool


class Trouble(Exception):
    """A request without an answer.

    reason: in two or three words, to be counted. words: all that is known. then: `again` where sending it again may
    help, `never` where this request is at fault, `stop` where every request would fare the same. wait: seconds that
    the server asks for. status: of the reply, 0 for none.
    """

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


def answer_of(data: Any, job_tokens: int = 0) -> Answer:
    """The answer in a decoded chat completion. job_tokens: what is taken for tokens_in where the server says none.

    Errors: Trouble where it is none.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        refusal, content = message.get("refusal"), message.get("content") or ""
        if not isinstance(content, str) or not isinstance(refusal, str | None):
            raise TypeError("content")
        finish, usage = choice.get("finish_reason"), data.get("usage") or {}
        said = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Trouble("unusable answer", "what the server sent is no chat completion") from None
    refusal, content = _whole(refusal or ""), _whole(content)
    counted = all(isinstance(n, int) and 0 <= n < 2**40 for n in said)
    into, out = cast(tuple[int, int], said) if counted else (job_tokens, tokens(content))
    if refusal or finish == "content_filter":
        return Answer(refusal or content, "refused", into, out, counted)
    return Answer(content, "cut off" if finish == "length" else "whole", into, out, counted)


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can hold and no file can."""
    return text.encode("utf-8", "replace").decode()


class Client:
    """Asks one server. Errors: no key, no package `openai`."""

    def __init__(self, settings: WriterSettings) -> None:
        self.openai = need("openai", "write")
        self.httpx = need("httpx2", "write")  # what openai sends with
        self.settings = settings
        self.where = settings.base_url or OPENAI
        self.secret = os.environ.get(KEY, "").strip()
        if not self.secret and settings.base_url is None:
            raise PosetalkError(f"OpenAI wants a key: set {KEY} in the environment, or give a base_url")
        if not (self.secret or PLACEHOLDER).isascii():
            raise PosetalkError(f"{KEY} holds characters that no key has; set it anew")
        self.takes_schema: bool | None = None if settings.structured else False
        # loading the certificates takes 50 ms; without them nothing is trusted, which is what plain HTTP has need of
        secure = self.where.startswith("https")
        trust = self.httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.pools = [self._server(trust) for _ in range(-(-settings.concurrency // POOL))]
        self._turn = itertools.cycle(self.pools)

    def _server(self, trust: Any) -> Any:
        timeout = self.httpx.Timeout(self.settings.timeout, connect=min(30.0, self.settings.timeout))
        return self.openai.AsyncOpenAI(
            api_key=self.secret or PLACEHOLDER,
            base_url=self.where,
            max_retries=0,  # generate knows of the other requests, the package does not
            timeout=timeout,
            http_client=self.openai.DefaultAsyncHttpxClient(verify=trust, timeout=timeout),
        )

    async def ask(self, job: Job) -> Answer:
        """The server's answer. Errors: Trouble."""
        with_schema = self.takes_schema is not False and bool(job.schema)
        try:
            answer = await self._post(job, with_schema)
        except Trouble as trouble:
            if not with_schema or self.takes_schema or trouble.status not in (400, 422):
                raise
            answer = await self._post(job, False)
            self.takes_schema = False  # remembered, now that it is known to be the schema's fault
        else:
            self.takes_schema = self.takes_schema or with_schema
        return answer

    async def close(self) -> None:
        for server in self.pools:
            await server.close()

    async def _post(self, job: Job, structured: bool) -> Answer:
        asked = body(job, self.settings, structured)
        try:
            async with asyncio.timeout(self.settings.timeout):
                response = await next(self._turn).post(
                    "/chat/completions", cast_to=self.httpx.Response, body=asked
                )
            answer = answer_of(json.loads(response.content), tokens_in(job))
        except self.openai.APIStatusError as error:
            raise self._refused(error) from None
        except (TimeoutError, self.openai.APITimeoutError):
            raise Trouble("timeout", f"no whole answer in {self.settings.timeout:g} s") from None
        except self.openai.APIConnectionError as error:
            if isinstance(error.__cause__, self.httpx.ConnectError):
                raise Trouble("unreachable", f"cannot reach {self.where}") from None
            raise Trouble("connection cut", "the connection was cut") from None
        except UnicodeEncodeError:
            raise Trouble("cannot be sent", "its messages hold broken characters", "never") from None
        except (ValueError, RecursionError):  # of json
            raise Trouble("unusable answer", "what the server sent is no JSON") from None
        return Answer(
            self._clean(answer.reply), answer.end, answer.tokens_in, answer.tokens_out, answer.counted
        )

    def _refused(self, error: Any) -> Trouble:
        status: int = error.status_code
        said = error.body.get("message") if isinstance(error.body, dict) else error.body
        words = " ".join(self._clean(str(said or "")).split())[:300]
        code = str(getattr(error, "code", None))
        if status in (401, 403):
            sentence = f"{self.where} refuses the key ({status}); set {KEY} to one that may use {self.settings.model}"
            return Trouble("refused key", sentence, "stop", status=status)
        if status == 404:
            sentence = f"{self.where} knows no model {self.settings.model!r} (404: {words}); look at both"
            return Trouble("unknown model", sentence, "stop", status=status)
        if status == 402 or code == "insufficient_quota":
            sentence = f"{self.where} wants to be paid first ({status}: {words}); nothing more can be asked"
            return Trouble("no credit", sentence, "stop", status=status)
        if status in (408, 409, 425, 429) or status >= 500:
            reason = "too many requests" if status == 429 else f"error {status}"
            return Trouble(reason, f"the server answered {status}: {words}", wait=_wait(error), status=status)
        return Trouble(
            f"refused with {status}", f"the server answered {status}: {words}", "never", status=status
        )

    def _clean(self, text: str) -> str:
        """The text without the key, should a server have put it there."""
        return text.replace(self.secret, "***") if len(self.secret) >= 8 else text


def _wait(error: Any) -> float:
    """Seconds that a server asks to wait: Retry-After, in seconds or as a date; 0 for none that makes sense."""
    said = error.response.headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0
    return min(seconds, 3600.0) if seconds > 0 and math.isfinite(seconds) else 0
