"""Who may ask, how many at once, and for how long."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks.served import BOUNDARY, Served, form

from posetalk import PosetalkError
from posetalk.serve.settings import ServeSettings

KEYS = {"POSETALK_API_KEYS": "first-key, second-key"}
NOBODY = {"boxes": []}  # which is answered at once


@pytest.fixture(scope="module")
def with_keys() -> Iterator[Served]:
    options = ["--cors-origins", "https://example.org", "--allowed-hosts", "pose.example.org"]
    with Served(*options, "--allowed-hosts", "127.0.0.1", environment=KEYS) as served:
        yield served


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer first-key"}, 200),
        ({"authorization": "bearer second-key"}, 200),
        ({"x_api_key": "second-key"}, 200),
        ({"authorization": basic("first-key")}, 200),
        ({"authorization": "Bearer first-key, second-key"}, 401),
        ({"authorization": "Bearer first-ke"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Basic %%%"}, 401),
        ({"x_api_key": ""}, 401),
        ({"x_api_key": "\xe9"}, 401),
    ],
)
def test_keys(with_keys: Served, photo: bytes, headers: dict[str, str], status: int) -> None:
    reply = with_keys.locate(photo, NOBODY, **headers)
    assert reply.status == status
    if status == 401:
        assert "needs an API key" in reply.sentence and reply.headers["www-authenticate"].startswith("Basic")


def test_what_needs_no_key(with_keys: Served) -> None:
    for path in ("/", "/healthz", "/readyz", "/health", "/openapi.json"):
        assert with_keys.call("GET", path).status == 200, path
    for path in ("/metrics", "/v1/words"):
        assert with_keys.call("GET", path).status == 401, path
    assert "first-key" not in with_keys.log.read_text()


def test_pages_of_an_allowed_origin_may_ask(with_keys: Served, photo: bytes) -> None:
    asks = {"origin": "https://example.org", "access_control_request_method": "POST"}
    allowed = with_keys.call("OPTIONS", "/v1/locate", **asks)
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == "https://example.org"
    key = {"x_api_key": "first-key"}
    reply = with_keys.locate(photo, NOBODY, origin="https://example.org", **key)
    assert reply.status == 200 and reply.headers["access-control-allow-origin"] == "https://example.org"
    for origin in ("https://example.org.evil.example", "http://example.org", "null"):
        assert with_keys.locate(photo, NOBODY, origin=origin, **key).status == 403


def test_names_of_the_server(with_keys: Served) -> None:
    assert with_keys.call("GET", "/healthz", host="pose.example.org:443").status == 200
    for host in ("evil.example", "localhost", "pose.example.org.evil.example"):
        assert with_keys.call("GET", "/healthz", host=host).status == 403


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    """A server that computes one request at a time, while few wait."""
    with Served("--queue-size", "4", "--batch-size", "1", "--threads", "1") as served:
        yield served


def test_overload_is_told_at_once_and_passes(small: Served, photos: list[bytes]) -> None:
    def ask(photo: bytes) -> tuple[int, float, str]:
        begun = time.perf_counter()
        reply = small.locate(photo)
        return reply.status, time.perf_counter() - begun, reply.headers.get("retry-after", "")

    with ThreadPoolExecutor(24) as callers:
        replies = [*callers.map(ask, photos * 3)]
    assert {status for status, *_ in replies} == {200, 503}
    refused = sorted(seconds for status, seconds, _ in replies if status == 503)
    assert refused[len(refused) // 2] < max(seconds for status, seconds, _ in replies if status == 200)
    assert all(int(after) >= 1 for status, _, after in replies if status == 503)
    assert [ask(photo)[0] for photo in photos[:2]] == [200, 200]


def test_callers_who_leave_are_not_computed(small: Served, photos: list[bytes]) -> None:
    def computed() -> float:
        numbers = small.call("GET", "/metrics").body.decode()
        (line,) = [one for one in numbers.splitlines() if one.startswith("posetalk_batch_requests_sum")]
        return float(line.split()[-1])

    before, body = computed(), form({"image": photos[0]})
    head = (
        f"POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}"
        f"\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", small.port)) as connection:
            connection.sendall(head.encode() + body)
    assert small.call("GET", "/healthz").status == 200
    while small.locate(photos[1]).status != 200:
        time.sleep(0.1)
    assert computed() - before < 35, "those who left were computed"


def test_killed_and_started_again_on_its_port(photo: bytes) -> None:
    with Served() as served:
        before = served.locate(photo).json
        served.process.kill()
        served.process.wait()
        with Served(port=served.port) as again:
            assert again.locate(photo).json["people"] == before["people"]
            again.process.send_signal(signal.SIGTERM)
            assert again.process.wait(20) in (0, -signal.SIGTERM, 130)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--max-image-pixels", "0"], "max_image_pixels is above 0"),
        (["--max-people", "0"], "max_people is above 0"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_it_does_not_start_with_what_is_wrong(options: list[str], sentence: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "posetalk", "serve", "--port", "0", *options], capture_output=True, text=True
    )
    assert run.returncode == 2 and sentence in run.stderr and "Traceback" not in run.stderr


def test_a_port_that_is_taken(server: Served) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "posetalk", "serve", "--port", str(server.port)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2 and "choose another with --port" in run.stderr


def test_it_says_who_reaches_it(server: Served) -> None:
    assert "only programs of this machine reach it" in server.log.read_text()


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)])
def test_loopback(host: str, loopback: bool) -> None:
    assert ServeSettings(host=host).is_loopback is loopback
    with pytest.raises(PosetalkError):
        ServeSettings(host=host, queue_size=0)


def test_the_page_is_there(server: Served) -> None:
    reply = server.call("GET", "/")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert Path(__file__).parents[2].joinpath("src/posetalk/serve/page/index.html").read_bytes() == reply.body
