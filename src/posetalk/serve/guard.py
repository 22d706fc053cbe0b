"""What stands before all addresses: who may ask, how much may be sent, and for how long."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posetalk.errors import PosetalkError
from posetalk.messages import log
from posetalk.serve.metrics import Metrics
from posetalk.serve.problems import ProblemError, problem
from posetalk.serve.settings import LOOPBACK, ServeSettings

API_KEYS = "POSETALK_API_KEYS"  # of the environment: keys, with commas between
WITH_IMAGES = ("/v1/locate", "/v1/describe")
MAX_JSON_SIZE = 2_000_000  # bytes of bodies that hold no image
ARRIVING = 16  # times max_body_size: what bodies that are not whole yet may hold together
DRAINED = 100_000_000  # bytes of a refused body that are read, so that its sender comes to read the answer
DRAIN_SECONDS = 10.0
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; media-src blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Guard:
    """An ASGI application before another one. It reads whole bodies, and what it refuses never gets further.

    Args:
        app: The other one.
        settings: The limits.
        metrics: Counts requests.
        environment: Where the API keys are.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        metrics: Metrics,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._keys = [_digest(key) for key in environment.get(API_KEYS, "").split(",") if key.strip()]
        self._arriving = 0  # bytes of bodies that are not whole yet
        hosts = {host.lower() for host in settings.allowed_hosts}
        self._hosts = hosts or ({*LOOPBACK, settings.host.lower()} if settings.is_loopback else set())

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers need a key."""
        return bool(self._keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._pass_on(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            seconds = time.perf_counter() - started
            self._metrics.answered(scope["method"], route, status, seconds)
            # of the address only what the server itself calls it
            log.info("%s %s %d %.3f s", scope["method"], route, status, seconds)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_caller(scope, headers)
            if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                receive = _replayed(await self._body(scope, headers, receive), receive)
        except PosetalkError as error:
            if "expect" not in headers:
                await _drain(receive)
            await problem(error)(scope, receive, send)
            return
        with suppress(Exception):  # which was answered and logged, see `mistake`
            await self._app(scope, receive, send)

    def _check_caller(self, scope: Scope, headers: Headers) -> None:
        host = _hostname(f"//{headers.get('host', '')}")
        if self._hosts and host not in self._hosts:
            raise ProblemError(
                "the server is not called by that name; call it by its address, or give --allowed-hosts", 403
            )
        origin = headers.get("origin")
        if (
            scope["method"] not in ("GET", "HEAD")
            and origin is not None
            and origin not in self._settings.cors_origins
            and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        ):
            raise ProblemError("pages of other sites may not ask; --cors-origins names those that may", 403)
        path: str = scope["path"]
        if self._keys and scope["method"] != "OPTIONS" and _needs_key(path) and not self._is_known(headers):
            raise ProblemError(
                "this address needs an API key; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                401,
                {"WWW-Authenticate": 'Basic realm="posetalk", charset="UTF-8"'},
            )

    def _is_known(self, headers: Headers) -> bool:
        """Whether one of the keys was sent. All are compared, each in constant time."""
        sent = _digest(_key(headers))
        return sum(hmac.compare_digest(sent, key) for key in self._keys) > 0

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            ProblemError: it is too large (413), too slow (408), or too much arrives at once (503).
        """
        limit = self._settings.max_body_size
        if scope["path"] not in WITH_IMAGES:
            limit = min(limit, MAX_JSON_SIZE)
        too_large = ProblemError(f"the body is larger than the limit of {limit:,} bytes", 413)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ProblemError("the caller went away", 499)
                    part = message.get("body", b"")
                    size += len(part)
                    self._arriving += len(part)
                    parts.append(part)
                    if size > limit:
                        raise too_large
                    if self._arriving > ARRIVING * self._settings.max_body_size:
                        raise ProblemError("too much arrives at once; ask again", 503, {"Retry-After": "5"})
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ProblemError(
                f"the request did not arrive within {self._settings.body_timeout:g} s; send it faster, or less",
                408,
            ) from None
        finally:
            self._arriving -= size


def _needs_key(path: str) -> bool:
    """The page needs none, nor does what tells whether the server is well."""
    return path.startswith("/v1/") or path in ("/metrics", "/setup", "/predict")


def _digest(key: str) -> bytes:
    """Of one length, so that the time of a comparison tells nothing of a key's."""
    return sha256(key.strip().encode("utf-8", "surrogateescape")).digest()


def _key(headers: Headers) -> str:
    """The key that was sent: bearer, password of basic authentication, or X-API-Key."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode("utf-8", "surrogateescape").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return headers.get("x-api-key", "")


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a broken IPv6 address
        return ""


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """`receive` of a body that was read: all of it first, then what else comes."""
    first: Iterable[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    messages = iter(first)

    async def again() -> Message:
        for message in messages:
            return message
        return await receive()

    return again


async def _drain(receive: Receive) -> None:
    """Read what is still sent, within limits: who is sending reads no answer."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size < DRAINED:
                message: Any = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
