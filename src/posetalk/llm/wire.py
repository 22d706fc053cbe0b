"""How answers come over the net: from the server that was named and from no other, and no more than can be one."""

from __future__ import annotations

import zlib
from typing import Any

MOST = 8 << 20  # bytes of an answer, packed or not; a chat completion of 100,000 tokens has half a megabyte
_SAID = f"the server sent more than {MOST >> 20} MB, which is no answer"
_DAMAGED = "what the server sent is packed, and damaged"
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's wbits


class TooMuch(Exception):
    """An answer that cannot be read to its end, and why, in a sentence."""


def capped(httpx: Any, client: Any, **given: Any) -> Any:
    """An asynchronous client of httpx2 of the class `client`, made with `given`.

    It follows no redirect: the key would go along. It asks for answers that are not packed, and reads none further
    than MOST bytes. Errors: of its `send` also TooMuch.
    """

    class Capped(client):
        async def send(self, request: Any, **how: Any) -> Any:
            request.headers["accept-encoding"] = "identity"
            response = await super().send(request, **how | {"stream": True, "follow_redirects": False})
            try:
                content = await _read(response)
            finally:
                await response.aclose()
            unsaid = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in response.headers.multi_items() if name not in unsaid]
            return httpx.Response(
                response.status_code, headers=headers, content=content, request=response.request
            )

    return Capped(follow_redirects=False, **given)


async def _read(response: Any) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MOST:
            raise TooMuch(_SAID)
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed in ("", "identity"):
        return bytes(content)
    if packed not in _PACKED:
        raise TooMuch("the server packs its answers, which it was asked not to do")
    unpacker = zlib.decompressobj(_PACKED[packed])
    try:
        found = unpacker.decompress(bytes(content), MOST)
    except zlib.error:
        raise TooMuch(_DAMAGED) from None
    if len(found) == MOST:
        raise TooMuch(_SAID)
    if not unpacker.eof:
        raise TooMuch(_DAMAGED)
    return found
