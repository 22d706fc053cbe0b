"""A server in a process of its own, and what it is asked with."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

START_SECONDS = 90.0
BOUNDARY = "posetalk-boundary"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. headers: with names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        """What a problem says."""
        assert self.headers["content-type"] == "application/problem+json", self
        assert set(self.json) == {"type", "title", "status", "detail"} and self.json["status"] == self.status
        return str(self.json["detail"])


class Served:
    """`posetalk serve` with options, on a free port of loopback. Leaving the block ends it.

    options: of the command. environment: variables that the process gets too. program: what Python runs.
    """

    def __init__(
        self,
        *options: str,
        environment: Mapping[str, str] | None = None,
        port: int = 0,
        program: Sequence[str] = ("-m", "posetalk"),
    ) -> None:
        self.log = Path(tempfile.mkstemp(prefix="posetalk-serve-", suffix=".log")[1])
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, *program, "serve", "--port", str(port), *options],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        self.port = self._port()

    def _port(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"http://\S+:(\d+)", self.log.read_text()):
                port = int(found[1])
                try:
                    if call(port, "GET", "/readyz").status == 200:
                        return port
                except OSError:
                    pass
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.unlink(missing_ok=True)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request; `content_type` is the header Content-Type."""
        return call(self.port, method, path, body, **headers)

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        """One request with a JSON body."""
        return self.call(
            "POST", path, json.dumps(content).encode(), content_type="application/json", **headers
        )

    def locate(self, image: bytes, request: Mapping[str, Any] | None = None, **headers: str) -> Reply:
        """One image as multipart."""
        body = form({"image": image, "request": json.dumps(request or {}).encode()})
        return self.call(
            "POST",
            "/v1/locate",
            body,
            content_type=f"multipart/form-data; boundary={BOUNDARY}",
            **headers,
        )


def call(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        return Reply(
            response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
        )
    finally:
        connection.close()


def form(fields: Mapping[str, bytes], names: Mapping[str, str] | None = None) -> bytes:
    """A multipart body. A field called image is a file. names: other file names."""
    parts = []
    for name, value in fields.items():
        file = (names or {}).get(name, "photo.jpg" if name == "image" else None)
        said = f'; filename="{file}"' if file is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{said}\r\n\r\n'
        parts.append(head.encode("utf-8", "surrogateescape") + value + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
