"""A chat server with OpenAI's interface that does what it is told, on loopback.

    python -m tests.llm.server --delay 0.2

starts one of fixed delay in a process of its own and prints its address. GET /paid gives the requests it answered, and
how many it is about to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """What the server does with a request.

    delay: seconds before it does. cut: so many bytes of the body are sent, then the connection is closed; 0 for none,
    not even a status. hang: nothing is ever sent. drip: seconds between the bytes of the body. endless: the body is
    sent again and again, until the other side has enough.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    hang: bool = False
    drip: float = 0.0
    endless: bool = False


Script = Callable[[Body, int], Act]
"""From a request and the number of times (from 0) that one with the same messages came before, to what is done."""


def said(text: Any, finish: str = "stop", refusal: str | None = None, usage: Any = None, **more: Any) -> Act:
    """A chat completion."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    found = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        if usage is None
        else usage,
    }
    return Act(json.dumps(found).encode(), **more)


def error(status: int, words: str = "no", code: str | None = None, **more: Any) -> Act:
    """An error in OpenAI's form."""
    return Act(json.dumps({"error": {"message": words, "code": code}}).encode(), status, **more)


def asked(body: Body) -> int:
    """The number that the first question ends with."""
    return int(body["messages"][1]["content"].split()[-1])


def echo(body: Body, _: int) -> Act:
    """An answer that depends on the messages alone."""
    told = body["messages"]
    return said(f"on {told[1]['content']}" + ", asked anew" * (len(told) > 2))


class Server:
    """seen: all requests; paid: how often a whole answer was sent, by messages; most: the most at once."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Body] = []
        self.times: list[float] = []
        self.tokens: list[str] = []
        self.paid: Counter[str] = Counter()
        self.most = self.now = 0
        self.url = ""
        self._came: Counter[str] = Counter()

    async def listen(self) -> asyncio.Server:
        # loads of connections at once: the default backlog of 100 would drop some
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        if head.startswith("GET /paid"):
            await _send(writer, Act(json.dumps({"paid": self.paid, "now": self.now}).encode()))
            return True
        body = json.loads(content)
        name = json.dumps(body["messages"])
        act = self.script(body, self._came[name])
        self._came[name] += 1
        self.seen.append(body)
        self.times.append(asyncio.get_running_loop().time())
        self.tokens.append(
            head.split("uthorization: ", 1)[1].split("\r\n")[0] if "uthorization" in head else ""
        )
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(act.delay)
            if act.hang:
                await reader.read()  # until the other side has enough
                return False
            await _send(writer, act)
        finally:
            self.now -= 1
        if act.cut is None and act.status == 200:
            self.paid[name] += 1
        return act.cut is None


async def _send(writer: asyncio.StreamWriter, act: Act) -> None:
    long = "Transfer-Encoding: chunked" if act.endless else f"Content-Length: {len(act.body)}"
    lines = [f"HTTP/1.1 {act.status} X", long, "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in act.headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    if act.cut == 0:
        return
    if act.drip:
        writer.write(head)
        for at in range(len(act.body)):
            writer.write(act.body[at : at + 1])
            await writer.drain()
            await asyncio.sleep(act.drip)
        return
    if act.endless:
        writer.write(head)
        while True:
            writer.write(f"{len(act.body):x}\r\n".encode() + act.body + b"\r\n")
            await writer.drain()
    writer.write(head + act.body[: act.cut])
    await writer.drain()


@contextlib.contextmanager
def running(script: Script) -> Iterator[Server]:
    """A server in a thread of this process."""
    server, ready, loop = Server(script), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        listening = await server.listen()
        ready.set()
        try:
            await listening.serve_forever()
        finally:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(main)
        loop.close()

    main = loop.create_task(serve())
    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(main.cancel)
        thread.join()


async def _alone(delay: float) -> None:
    text = "somebody stands in a park and waits " * 25  # as long as a description
    found = said(text, delay=delay)
    server = Server(lambda body, _: found)
    listening = await server.listen()
    print(server.url, flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds before each answer")
    asyncio.run(_alone(parser.parse_args().delay))
