"""A chat server with OpenAI's interface: what is sent to it, what comes back, and what may go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import math
import os
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from posetalk.errors import PosetalkError, need
from posetalk.llm.answer import Completion as Completion
from posetalk.llm.answer import RequestError as RequestError
from posetalk.llm.answer import completion_of as completion_of
from posetalk.llm.answer import tokens as tokens
from posetalk.llm.answer import whole, words_of
from posetalk.llm.request import ChatRequest
from posetalk.llm.spoken import spoken as spoken
from posetalk.llm.wire import TooMuch, capped
from posetalk.settings import Settings

OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
POOL = 8  # connections that share a pool: for each request, httpx2 looks at every one of its pool
PHOTO = 1000  # tokens of a photo, an estimate: LLaVA-1.5 takes 576, most others some hundreds at COCO's size
PLACEHOLDER = "none"  # servers on one's own machine want some key, and look at none
PATIENCE = 3600.0  # seconds that a server may ask to be left alone; more is no answer of this day
_LIMITS = ("max_tokens", "max_completion_tokens")
_UNKNOWN = re.compile(
    r"not (?:supported|permitted|allowed|recogni[sz]ed|known)|unsupported|unknown|unrecogni[sz]ed|unexpected|extra ",
    re.IGNORECASE,
)


class ServerSettings(Settings):
    """A language model behind a server, and how it is asked."""

    renamed: ClassVar[Mapping[str, str]] = {
        "structured": "structured_output",
        "retries": "max_retries",
        "again": "max_revisions",
        "pause": "retry_delay",
        "requests_a_minute": "requests_per_minute",
        "tokens_a_minute": "tokens_per_minute",
        "money": "max_cost_usd",
    }

    model: str = Field(min_length=1)
    """The name that the server knows the model by."""
    base_url: str | None = None
    """Address of a server with OpenAI's API, `http://localhost:8000/v1`; None for OpenAI itself. The key is read
    from the environment variable OPENAI_API_KEY."""
    temperature: float | None = Field(None, ge=0, le=2)
    """Sampling temperature; None for the server's default."""
    seed: int | None = None
    """Sampling seed; None for the server's default."""
    structured_output: bool = True
    """Ask for JSON by a schema. A server that refuses is asked without."""
    max_tokens: int | None = Field(None, ge=1)
    """Longest answer in tokens, reasoning included; None for the task's own limit. Another number makes other
    requests, which are asked and paid anew."""
    concurrency: int = Field(16, ge=1, le=1000)
    """Requests in flight at once."""
    timeout: float = Field(300, gt=0)
    """Seconds that an answer may take, from the first byte sent to the last received."""
    max_retries: int = Field(6, ge=0)
    """How often a request is sent again after 429, 5xx, a timeout, a cut connection or an unusable body."""
    max_revisions: int = Field(2, ge=0)
    """How often a request is asked anew, with the reason, after a refusal or a reply that is cut off or not
    accepted."""
    retry_delay: float = Field(1.0, gt=0)
    """Seconds before a request is sent again; doubled each time, up to a minute."""
    requests_per_minute: int | None = Field(None, ge=1)
    """Limit in any 60 seconds; None for none."""
    tokens_per_minute: int | None = Field(None, ge=1)
    """Limit in any 60 seconds; None for none."""
    max_cost_usd: float | None = Field(None, ge=0)
    """What all answers of the folder together may cost, in US dollars; None for no limit."""

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        # it is written to run.toml and said in errors
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        if url is not None and ("@" in url or "?" in url):
            raise ValueError(f"holds a password or a query; put the key into {KEY}")
        return url


def key(job: ChatRequest, settings: ServerSettings) -> str:
    """SHA-256 of all that shapes the answer, as 64 hexadecimal digits. The server's address is no part of it."""
    shapes = (
        settings.model,
        [sorted(message.items()) for message in job.messages],
        job.schema if settings.structured_output else None,
        limit(job, settings),
        settings.temperature,
        settings.seed,
        *([job.image_part.digest] if job.image_part else []),
    )
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()


def limit(job: ChatRequest, settings: ServerSettings) -> int:
    """The largest number of tokens that the answer may have."""
    return settings.max_tokens or job.max_tokens


def limit_name(settings: ServerSettings) -> str:
    """What a server most likely calls the limit of an answer."""
    # OpenAI's reasoning models refuse the older name, many other servers do not know the newer one
    return _LIMITS[(settings.base_url or OPENAI).startswith(OPENAI)]


def body(job: ChatRequest, settings: ServerSettings, structured: bool, limited: str = "") -> dict[str, Any]:
    """The request as JSON for /chat/completions. limited: the name of the limit, by default the likely one."""
    most = {limited or limit_name(settings): limit(job, settings)}
    found: dict[str, Any] = {"model": settings.model, "messages": _messages(job), **most}
    if settings.temperature is not None:
        found["temperature"] = settings.temperature
    if settings.seed is not None:
        found["seed"] = settings.seed
    if structured and job.schema:
        form = {"name": job.schema.get("title", job.kind), "schema": job.schema, "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": form}
    return found


def _messages(job: ChatRequest) -> list[Any]:
    """As they are sent: the photo, if there is one, before the words of the first question."""
    found: list[Any] = list(job.messages)
    if job.image_part:
        place = next(i for i, message in enumerate(found) if message["role"] == "user")
        image = {"type": "image_url", "image_url": {"url": job.image_part.url()}}
        found[place] = {"role": "user", "content": [image, {"type": "text", "text": found[place]["content"]}]}
    return found


def tokens_in(job: ChatRequest) -> int:
    """An estimate of how many tokens a job's messages are, with its photo."""
    return tokens(sum(len(message["content"]) for message in job.messages)) + PHOTO * (
        job.image_part is not None
    )


class Client:
    """Asks one server. Errors: no key, no package `openai`."""

    def __init__(self, settings: ServerSettings) -> None:
        self.openai = need("openai", "write")
        self.httpx = need("httpx2", "write")  # what openai sends with
        self.settings = settings
        self.where = settings.base_url or OPENAI
        self.secret = os.environ.get(KEY, "").strip()
        if not self.secret and settings.base_url is None:
            raise PosetalkError(f"OpenAI wants a key: set {KEY} in the environment, or give a base_url")
        if not (self.secret or PLACEHOLDER).isascii():
            raise PosetalkError(f"{KEY} holds characters that no key has; set it anew")
        self.takes_schema: bool | None = None if settings.structured_output else False
        self.limited = limit_name(settings)
        self.better_without = (
            0  # requests that failed with a schema, as if the server were ill, and not without
        )
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
            http_client=capped(
                self.httpx, self.openai.DefaultAsyncHttpxClient, verify=trust, timeout=timeout
            ),
        )

    async def ask(self, job: ChatRequest, after: RequestError | None = None) -> Completion:
        """The server's answer. after: why there was none the last time. Errors: Trouble.

        What a server refuses of a request, the schema or the name of the limit, is left out or named otherwise, and
        that is remembered once it has helped.
        """
        # some servers fall over a schema that they do not understand: the next time goes without
        ill = after is not None and after.schema and after.status in (500, 501) and self.takes_schema is None
        schema, limited = self.takes_schema is not False and bool(job.schema) and not ill, self.limited
        refused = renamed = False
        while True:
            try:
                answer = await self._post(job, schema, limited)
            except RequestError as trouble:
                trouble.schema = schema
                if trouble.status not in (400, 422):
                    raise
                if not renamed and _names(trouble.words, limited):
                    limited, renamed = _other(limited), True
                elif schema and not self.takes_schema:
                    schema, refused = False, True
                else:
                    raise
            else:
                break
        if renamed:
            self.limited = limited
        if schema:
            self.takes_schema = True
        elif self.takes_schema is None:
            self.better_without += ill
            if refused or self.better_without == 2:  # one may have met with another illness
                self.takes_schema = False
        return answer

    async def close(self) -> None:
        for server in self.pools:
            await server.close()

    async def _post(self, job: ChatRequest, structured: bool, limited: str) -> Completion:
        asked = body(job, self.settings, structured, limited)
        try:
            async with asyncio.timeout(self.settings.timeout):
                response = await next(self._turn).post(
                    "/chat/completions", cast_to=self.httpx.Response, body=asked
                )
            return completion_of(json.loads(response.content), tokens_in(job), self._clean)
        except self.openai.APIStatusError as error:
            raise self._refused(error) from None
        except (TimeoutError, self.openai.APITimeoutError):
            raise RequestError("timeout", f"no whole answer in {self.settings.timeout:g} s") from None
        except (TooMuch, self.openai.APIConnectionError) as error:
            cause = error if isinstance(error, TooMuch) else error.__cause__
            if isinstance(cause, TooMuch):
                raise RequestError("unusable answer", str(cause)) from None
            if isinstance(cause, self.httpx.ConnectError):
                raise RequestError("unreachable", f"cannot reach {self.where}") from None
            raise RequestError("connection cut", "the connection was cut") from None
        except UnicodeEncodeError:
            raise RequestError("cannot be sent", "its messages hold broken characters", "never") from None
        except (ValueError, RecursionError):  # of json
            raise RequestError("unusable answer", "what the server sent is no JSON") from None

    def _refused(self, error: Any) -> RequestError:
        status: int = error.status_code
        if 300 <= status < 400:
            to = self._elsewhere(error.response.headers.get("location", ""))
            sentence = f"{self.where} sends all requests on to {to} ({status}); the key goes to no address but the one"
            return RequestError(
                "sent elsewhere", f"{sentence} that is given: look whether it is right", "stop", status=status
            )
        words = self._clean(words_of(error.body))[:300]
        code = str(getattr(error, "code", None))
        if status in (401, 403):
            sentence = f"{self.where} refuses the key ({status}); set {KEY} to one that may use {self.settings.model}"
            return RequestError("refused key", sentence, "stop", status=status)
        if status == 404:
            sentence = f"{self.where} knows no model {self.settings.model!r} (404: {words}); look at both"
            return RequestError("unknown model", sentence, "stop", status=status)
        if status == 402 or code == "insufficient_quota":
            sentence = f"{self.where} wants to be paid first ({status}: {words}); nothing more can be asked"
            return RequestError("no credit", sentence, "stop", status=status)
        if status in (408, 409, 425, 429) or status >= 500:
            reason = "too many requests" if status == 429 else f"error {status}"
            return RequestError(
                reason, f"the server answered {status}: {words}", wait=_wait(error), status=status
            )
        return RequestError(
            f"refused with {status}", f"the server answered {status}: {words}", "never", status=status
        )

    def _clean(self, text: str) -> str:
        """The text without the key, should a server have put it there."""
        return text.replace(self.secret, "***") if len(self.secret) >= 8 else text

    def _elsewhere(self, location: str) -> str:
        """The address of a redirect, without what may be secret in it."""
        try:
            parts = urlsplit(location)
            where = (
                f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + parts.path
            )
        except ValueError:
            return "another address"
        return self._clean(whole(where if parts.hostname else parts.path)[:200]) or "another address"


def _other(limited: str) -> str:
    """The other name of the limit."""
    return _LIMITS[limited == _LIMITS[0]]


def _names(words: str, limited: str) -> bool:
    """Whether an error says that the name of the limit is not known, and not that the number is too large."""
    return _other(limited) in words or (limited in words and _UNKNOWN.search(words) is not None)


def _wait(error: Any) -> float:
    """Seconds that a server asks to wait: Retry-After, in seconds or as a date; 0 for none that makes sense."""
    said = error.response.headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0
    return min(seconds, PATIENCE) if seconds > 0 and math.isfinite(seconds) else 0
