"""uvicorn's HTTP/1.1, with a limit on how long the head of a request takes and on connections."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0
MAX_CONNECTIONS = 500


class Protocol(H11Protocol):
    """A connection. What uvicorn would say in plain text is said as problem details."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._end(503, "there are too many connections; ask again later", b"Retry-After: 5\r\n")
        else:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:  # the head is there
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._stop()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._end(400, "this is no HTTP/1.1 request that can be read; check its head")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._end(408, f"the head of the request did not arrive within {HEAD_SECONDS:g} s")

    def _end(self, status: int, sentence: str, header: bytes = b"") -> None:
        phrase = HTTPStatus(status).phrase
        body = msgspec.json.encode(
            {"type": "about:blank", "title": phrase, "status": status, "detail": sentence}
        )
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/problem+json\r\n".encode()
        self.transport.write(
            head + header + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        )
        self.transport.close()
