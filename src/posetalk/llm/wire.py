"""How answers are received: from the named server alone, and no more bytes than an answer can have."""

from __future__ import annotations

import zlib
from typing import Any

MAX_BYTES = 8 << 20  # of an answer, packed or not; a chat completion of 100,000 tokens has half a megabyte
_TOO_LARGE = f"the server sent more than {MAX_BYTES >> 20} MB, which is no answer"
_DAMAGED = "what the server sent is packed, and damaged"
_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # of zlib, by content encoding


class UnreadableResponse(Exception):
    """An answer that cannot be read to its end; the text says why."""


def capped_client(httpx: Any, client: Any, **options: Any) -> Any:
    """Make an asynchronous client of httpx2 that reads at most MAX_BYTES of an answer and follows no redirect.

    A redirect would send the key along. The client asks for answers that are not packed.

    Args:
        httpx: The package httpx2.
        client: The class of the client.
        **options: The arguments of that class.

    Returns:
        A client, whose `send` also raises UnreadableResponse.
    """

    class Capped(client):
        async def send(self, request: Any, **send_options: Any) -> Any:
            request.headers["accept-encoding"] = "identity"
            response = await super().send(
                request, **send_options | {"stream": True, "follow_redirects": False}
            )
            try:
                content = await _read(response)
            finally:
                await response.aclose()
            outdated = (
                "content-encoding",
                "content-length",
                "transfer-encoding",
            )  # the content is unpacked now
            headers = [
                (name, value) for name, value in response.headers.multi_items() if name not in outdated
            ]
            return httpx.Response(
                response.status_code, headers=headers, content=content, request=response.request
            )

    return Capped(follow_redirects=False, **options)


async def _read(response: Any) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_BYTES:
            raise UnreadableResponse(_TOO_LARGE)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return bytes(content)
    if encoding not in _WBITS:
        raise UnreadableResponse("the server packs its answers, which it was asked not to do")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        unpacked = unpacker.decompress(bytes(content), MAX_BYTES)
    except zlib.error:
        raise UnreadableResponse(_DAMAGED) from None
    if len(unpacked) == MAX_BYTES:
        raise UnreadableResponse(_TOO_LARGE)
    if not unpacker.eof:
        raise UnreadableResponse(_DAMAGED)
    return unpacked
