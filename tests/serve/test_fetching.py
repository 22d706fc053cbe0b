"""Images by URL: of allowed hosts alone, and of no private address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from posetalk import PosetalkError
from posetalk.serve.fetching import Fetcher
from posetalk.serve.settings import ServeSettings


class Handler(BaseHTTPRequestHandler):
    """What a host of images might do."""

    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        sends = {
            "/away": "http://evil.example/x",
            "/here": "/image",
            "/round": "/round",
            "/file": "file:///etc/passwd",
        }
        if self.path in sends:
            self.send_response(302)
            self.send_header("Location", sends[self.path])
            self.end_headers()
        elif self.path == "/image":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"image")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(1000))
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:{port}/image", "leads to a private address"),
        ("http://localhost:{port}/image", "leads to a private address"),
        ("http://[::ffff:127.0.0.1]:{port}/image", "leads to a private address"),
        ("http://127.0.0.1/image", "are not fetched"),
        ("http://evil.example/image", "are not fetched"),
        ("http://127.0.0.1:{port}@evil.example/image", "begins with http"),
        ("https://images.example.org.evil.example/", "are not fetched"),
        ("http://no.such.host.invalid/", "there is no host no.such.host.invalid"),
        ("file:///etc/passwd", "begins with http"),
        ("gopher://127.0.0.1/", "begins with http"),
        ("//127.0.0.1/image", "begins with http"),
        ("http://[", "cannot be read"),
        ("http://127.0.0.1:99999/", "cannot be read"),
        ("", "begins with http"),
    ],
)
def test_what_is_not_fetched(host: str, url: str, sentence: str) -> None:
    port = host.partition(":")[2]
    names = ("127.0.0.1", "localhost", "::ffff:127.0.0.1")
    allowed = (*(f"{name}:{port}" for name in names), "no.such.host.invalid")
    fetcher = Fetcher(ServeSettings(image_hosts=allowed), {})
    before = len(Handler.seen)
    with pytest.raises(PosetalkError, match=sentence):
        fetcher.fetch(url.format(port=port))
    assert len(Handler.seen) == before


def test_without_hosts_none_is_asked(host: str) -> None:
    with pytest.raises(PosetalkError, match="was started without it"):
        Fetcher(ServeSettings(), {}).fetch(f"http://{host}/image")
    with pytest.raises(PosetalkError, match="start the server with --label-studio-url"):
        Fetcher(ServeSettings(), {}).of_label_studio("/data/upload/1/x.jpg")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/away", "images of evil.example are not fetched"),
        ("/file", "begins with http"),
        ("/round", "sends on more than 3 times"),
        ("/endless", "is larger than 50,000 bytes"),
        ("/nothing", "answers 404 instead of the image"),
        ("http://evil.example/x", "are not fetched"),
    ],
)
def test_label_studio_may_be_private_and_no_more(host: str, path: str, sentence: str) -> None:
    settings = ServeSettings(label_studio_url=f"http://{host}", max_body_size=50_000)
    fetcher = Fetcher(settings, {"LABEL_STUDIO_API_KEY": "token"})
    assert fetcher.of_label_studio("/image") == fetcher.of_label_studio("/here") == b"image"
    assert Handler.seen[-1] == ("/image", "Token token")
    with pytest.raises(PosetalkError, match=sentence):
        fetcher.of_label_studio(path)


def test_a_host_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posetalk.serve.fetching.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PosetalkError, match="did not give the image within"):
            Fetcher(ServeSettings(label_studio_url=url), {}).of_label_studio("/image")
