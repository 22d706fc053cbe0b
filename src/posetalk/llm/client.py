"""A chat server with OpenAI's interface: requests to it, and what its errors mean."""

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
from posetalk.llm.answer import (
    Completion,
    Failure,
    RequestError,
    completion_of,
    error_text,
    estimate_tokens,
    failure_of,
    without_key,
    without_surrogates,
)
from posetalk.llm.request import ChatRequest
from posetalk.llm.wire import UnreadableResponse, capped_client
from posetalk.settings import Settings

OPENAI = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
CONNECTIONS_PER_POOL = 8  # httpx2 looks at every connection of a pool for each request
PLACEHOLDER_KEY = "none"  # local servers need some key and ignore it
MAX_RETRY_AFTER = 3600.0  # seconds; longer requests of a server to wait are cut to this
_LIMIT_PARAMETERS = ("max_tokens", "max_completion_tokens")
_UNKNOWN_PARAMETER = re.compile(
    r"not (?:supported|permitted|allowed|recogni[sz]ed|known)|unsupported|unknown|unrecogni[sz]ed|unexpected|extra ",
    re.IGNORECASE,
)


class ServerSettings(Settings):
    """A language model behind a server with OpenAI's interface, and how it is asked."""

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
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature; None for the server's default."""
    seed: int | None = None
    """Sampling seed; None for the server's default."""
    structured_output: bool = True
    """Ask for JSON by a schema. A server that refuses is asked without."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens, reasoning included; None for the task's own limit. Another number makes other
    requests, which are asked and paid anew."""
    concurrency: int = Field(default=16, ge=1, le=1000)
    """Requests in flight at once."""
    timeout: float = Field(default=300, gt=0)
    """Seconds that an answer may take, from the first byte sent to the last received."""
    max_retries: int = Field(default=6, ge=0)
    """How often a request is sent again after 429, 5xx, a timeout, a cut connection or an unusable body."""
    max_revisions: int = Field(default=2, ge=0)
    """How often a request is asked anew, with the reason, after a refusal or a reply that is cut off or not
    accepted."""
    retry_delay: float = Field(default=1.0, gt=0)
    """Seconds before a request is sent again; doubled each time, up to a minute."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """Limit in any 60 seconds; None for none."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Limit in any 60 seconds; None for none."""
    max_cost_usd: float | None = Field(default=None, ge=0)
    """What all answers of the folder together may cost, in US dollars; None for no limit."""

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        # it is written to run.toml and shown in errors
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        if url is not None and ("@" in url or "?" in url):
            raise ValueError(f"holds a password or a query; put the key into {KEY_VARIABLE}")
        return url


def request_key(request: ChatRequest, settings: ServerSettings) -> str:
    """SHA-256 of all that determines the answer, as 64 hexadecimal digits. The server's address is not part of it."""
    parts = (
        settings.model,
        [sorted(message.items()) for message in request.messages],
        request.schema if settings.structured_output else None,
        max_reply_tokens(request, settings),
        settings.temperature,
        settings.seed,
        *(request.image_part.key if request.image_part else []),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def max_reply_tokens(request: ChatRequest, settings: ServerSettings) -> int:
    """The largest number of tokens that the answer may have."""
    return settings.max_tokens or request.max_tokens


def limit_parameter(settings: ServerSettings) -> str:
    """The parameter that most likely limits the length of an answer at this server."""
    # OpenAI's reasoning models refuse the older name, many other servers do not know the newer one
    return _LIMIT_PARAMETERS[(settings.base_url or OPENAI).startswith(OPENAI)]


def request_body(
    request: ChatRequest, settings: ServerSettings, with_schema: bool, limit_name: str = ""
) -> dict[str, Any]:
    """The request as JSON for /chat/completions. limit_name: see `limit_parameter`, which is the default."""
    limit = {limit_name or limit_parameter(settings): max_reply_tokens(request, settings)}
    body: dict[str, Any] = {"model": settings.model, "messages": _messages(request), **limit}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.seed is not None:
        body["seed"] = settings.seed
    if with_schema and request.schema:
        json_schema = {
            "name": request.schema.get("title", request.kind),
            "schema": request.schema,
            "strict": True,
        }
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    return body


def _messages(request: ChatRequest) -> list[Any]:
    """The messages with the image, if there is one, before the text of its question."""
    messages: list[Any] = list(request.messages)
    if request.image_part:
        at = request.image_at
        if at is None:
            at = next(i for i, message in enumerate(messages) if message["role"] == "user")
        image = {"type": "image_url", "image_url": {"url": request.image_part.url()}}
        messages[at] = {"role": "user", "content": [image, {"type": "text", "text": messages[at]["content"]}]}
    return messages


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens of a request's messages and image."""
    text_tokens = estimate_tokens(sum(len(message["content"]) for message in request.messages))
    return text_tokens + (request.image_part.tokens if request.image_part else 0)


class Client:
    """Sends requests to one server.

    Raises:
        PosetalkError: no key, or no package `openai`.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.openai = need("openai", "write")
        self.httpx = need("httpx2", "write")  # what openai sends with
        self.settings = settings
        self.base_url = settings.base_url or OPENAI
        self.api_key = os.environ.get(KEY_VARIABLE, "").strip()
        if not self.api_key and settings.base_url is None:
            raise PosetalkError(
                f"OpenAI wants a key: set {KEY_VARIABLE} in the environment, or give a base_url"
            )
        if not (self.api_key or PLACEHOLDER_KEY).isascii():
            raise PosetalkError(f"{KEY_VARIABLE} holds characters that no key has; set it anew")
        self.accepts_schema: bool | None = None if settings.structured_output else False
        self.limit_parameter = limit_parameter(settings)
        self.schema_failures = 0  # requests that got a server error with a schema, and an answer without
        # loading the certificates takes 50 ms; plain HTTP needs none
        uses_tls = self.base_url.startswith("https")
        ssl_context = self.httpx.create_ssl_context() if uses_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.pools = [
            self._make_pool(ssl_context) for _ in range(-(-settings.concurrency // CONNECTIONS_PER_POOL))
        ]
        self._next_pool = itertools.cycle(self.pools)

    def _make_pool(self, ssl_context: Any) -> Any:
        timeout = self.httpx.Timeout(self.settings.timeout, connect=min(30.0, self.settings.timeout))
        return self.openai.AsyncOpenAI(
            api_key=self.api_key or PLACEHOLDER_KEY,
            base_url=self.base_url,
            max_retries=0,  # `generate` retries, as it knows of the other requests
            timeout=timeout,
            http_client=capped_client(
                self.httpx, self.openai.DefaultAsyncHttpxClient, verify=ssl_context, timeout=timeout
            ),
        )

    async def send(self, request: ChatRequest, previous: RequestError | None = None) -> Completion:
        """Send a request and return the answer.

        Where a server refuses the schema or the name of the limit, the request is sent without the one or with the
        other name; what helped is used for all later requests.

        Args:
            request: The request.
            previous: Why it got no answer the last time it was sent.

        Raises:
            RequestError: there is no answer.
        """
        # some servers fail with 500 on a schema that they do not understand: the retry goes without
        schema_failed = (
            previous is not None
            and previous.used_schema
            and previous.status in (500, 501)
            and self.accepts_schema is None
        )
        with_schema = self.accepts_schema is not False and bool(request.schema) and not schema_failed
        limit_name = self.limit_parameter
        dropped_schema = renamed_limit = False
        while True:
            try:
                answer = await self._post(request, with_schema, limit_name)
            except RequestError as error:
                error.used_schema = with_schema
                if error.status not in (400, 422):
                    raise
                if not renamed_limit and _rejects_parameter(error.message, limit_name):
                    limit_name, renamed_limit = _other_limit_parameter(limit_name), True
                elif with_schema and not self.accepts_schema:
                    with_schema, dropped_schema = False, True
                else:
                    raise
            else:
                break
        if renamed_limit:
            self.limit_parameter = limit_name
        if with_schema:
            self.accepts_schema = True
        elif self.accepts_schema is None:
            self.schema_failures += schema_failed
            if dropped_schema or self.schema_failures == 2:  # one alone may have had another cause
                self.accepts_schema = False
        return answer

    async def close(self) -> None:
        for server in self.pools:
            await server.close()

    async def _post(self, request: ChatRequest, with_schema: bool, limit_name: str) -> Completion:
        try:
            body = request_body(request, self.settings, with_schema, limit_name)
        except PosetalkError as error:  # of the image
            raise RequestError("cannot be sent", str(error), "give up") from None
        try:
            async with asyncio.timeout(self.settings.timeout):
                response = await next(self._next_pool).post(
                    "/chat/completions", cast_to=self.httpx.Response, body=body
                )
            data = json.loads(response.content)
            if failure := failure_of(data):
                raise self._error_of(failure, _retry_after(response.headers))
            return completion_of(data, prompt_tokens(request), self._without_key)
        except self.openai.APIStatusError as error:
            raise self._status_error(error) from None
        except (TimeoutError, self.openai.APITimeoutError):
            raise RequestError("timeout", f"no whole answer in {self.settings.timeout:g} s") from None
        except (UnreadableResponse, self.openai.APIConnectionError) as error:
            cause = error if isinstance(error, UnreadableResponse) else error.__cause__
            if isinstance(cause, UnreadableResponse):
                raise RequestError("unusable answer", str(cause)) from None
            if isinstance(cause, self.httpx.ConnectError):
                raise RequestError("unreachable", f"cannot reach {self.base_url}") from None
            raise RequestError("connection cut", "the connection was cut") from None
        except UnicodeEncodeError:
            raise RequestError("cannot be sent", "its messages hold broken characters", "give up") from None
        except (ValueError, RecursionError):  # of json
            raise RequestError("unusable answer", "what the server sent is no JSON") from None

    def _status_error(self, error: Any) -> RequestError:
        status: int = error.status_code
        if 300 <= status < 400:
            target = self._redirect_target(error.response.headers.get("location", ""))
            message = (
                f"{self.base_url} sends all requests on to {target} ({status}); the key goes to no address but the one "
                "that is given: look whether it is right"
            )
            return RequestError("sent elsewhere", message, "stop", status=status)
        failure = Failure(status, str(getattr(error, "code", None)), error_text(error.body))
        return self._error_of(failure, _retry_after(error.response.headers))

    def _error_of(self, failure: Failure, retry_after: float) -> RequestError:
        """The error to raise, with what it means for this request and for later ones."""
        status, text = failure.status, without_key(failure.message, self.api_key)
        if status in (401, 403):
            model = self.settings.model
            message = (
                f"{self.base_url} refuses the key ({status}); set {KEY_VARIABLE} to one that may use {model}"
            )
            message += f"; it says: {text}" if text.strip("* ") else ""
            return RequestError("refused key", message, "stop", status=status)
        if status == 404:
            message = f"{self.base_url} knows no model {self.settings.model!r} (404: {text}); look at both"
            return RequestError("unknown model", message, "stop", status=status)
        if status == 402 or failure.code == "insufficient_quota":
            message = f"{self.base_url} wants to be paid first ({status}: {text}); nothing more can be asked"
            return RequestError("no credit", message, "stop", status=status)
        if status in (408, 409, 425, 429) or status >= 500:
            reason = "too many requests" if status == 429 else f"error {status}"
            return RequestError(
                reason, f"the server answered {status}: {text}", retry_after=retry_after, status=status
            )
        if not status:
            return RequestError(
                "unusable answer", f"the server answered with an error: {text}", retry_after=retry_after
            )
        return RequestError(
            f"refused with {status}", f"the server answered {status}: {text}", "give up", status=status
        )

    def _without_key(self, text: str) -> str:
        """The text with *** in place of the key."""
        return text.replace(self.api_key, "***") if len(self.api_key) >= 8 else text

    def _redirect_target(self, location: str) -> str:
        """The address of a redirect, without its query, user and password."""
        try:
            parts = urlsplit(location)
            address = (
                f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + parts.path
            )
        except ValueError:
            return "another address"
        return (
            self._without_key(without_surrogates(address if parts.hostname else parts.path)[:200])
            or "another address"
        )


def _other_limit_parameter(limit_name: str) -> str:
    """The other name that servers have for the limit."""
    return _LIMIT_PARAMETERS[limit_name == _LIMIT_PARAMETERS[0]]


def _rejects_parameter(message: str, limit_name: str) -> bool:
    """Whether an error says that the server does not know the limit's name, rather than that its value is too large."""
    if _other_limit_parameter(limit_name) in message:
        return True
    return limit_name in message and _UNKNOWN_PARAMETER.search(message) is not None


def _retry_after(headers: Any) -> float:
    """Seconds to wait by the header Retry-After, which has seconds or a date; 0 for none or one that makes no sense."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0
    return min(seconds, MAX_RETRY_AFTER) if seconds > 0 and math.isfinite(seconds) else 0
