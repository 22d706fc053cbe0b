"""What strangers send: none of it ends the server or reads a file, and each gets its sentence."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import time
import zlib
from typing import Any

import pytest
from benchmarks.served import BOUNDARY, Reply, Served, form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
ONE_PIXEL = io.BytesIO()
Image.new("RGB", (8, 8)).save(ONE_PIXEL, "PNG")
SMALL = ONE_PIXEL.getvalue()


@pytest.fixture(autouse=True)
def the_server_goes_on(server: Served) -> Any:
    yield
    assert server.process.poll() is None
    assert server.call("GET", "/readyz").status == 200


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few KB that says it is large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose text grows a thousandfold."""
    text = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    return SMALL[:33] + chunk(b"zTXt", text) + SMALL[33:]


IMAGES = {
    "nothing": (b"", 422, "is empty"),
    "text": (b"hello", 422, "not an image of a known form"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 422, "not an image"),
    "html": (b"<!doctype html><script>alert(1)</script>", 422, "not an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", 422, "not an image"),
    "pdf": (b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj", 422, "not an image"),
    "zip": (b"PK\x03\x04" + bytes(60), 422, "not an image"),
    "cut off": (SMALL[:40], 422, "the image"),
    "a bomb of pixels": (bomb(60_000, 60_000), 422, "million pixels"),
    "one a little smaller": (bomb(9_000, 9_000), 413, "the image has 81,000,000 pixels; the limit is 50,000,000"),
    "a long line": (bomb(40_000, 1), 422, "px a side"),
    "pixels that are not there": (bomb(7_000, 7_000), 422, "decode"),
    "no pixels": (bomb(0, 9), 422, "the image"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_images_that_are_none(server: Served, name: str) -> None:
    data, status, sentence = IMAGES[name]
    reply = server.locate(data)
    assert reply.status == status and sentence in reply.sentence, reply


def test_text_in_an_image_does_not_fill_the_memory(server: Served) -> None:
    assert server.locate(text_bomb()).status in (200, 422)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\x", "a%00b", "\u202egpj.exe"])
def test_the_name_of_a_file_is_nothing(server: Served, name: str) -> None:
    body = form({"image": SMALL, "request": b"{}"}, {"image": name})
    assert server.call("POST", "/v1/locate", body, content_type=MULTIPART).status == 200


@pytest.mark.parametrize(
    "path",
    ["/../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/page/../app.py",
     "/index.html%00.png", "/v1/../../app.py", "/v1/locate/x", "/" + "a" * 5000, "/%ff%fe"],
)  # fmt: skip
def test_no_address_is_a_path(server: Served, path: str) -> None:
    reply = server.call("GET", path)
    assert reply.status == 404 and "there is nothing at this address" in reply.sentence


@pytest.mark.parametrize(("method", "allowed"), [("GET", "POST"), ("PUT", "POST"), ("TRACE", "POST")])
def test_another_method_is_told_which_one_there_is(server: Served, method: str, allowed: str) -> None:
    reply = server.call(method, "/v1/facts")
    assert reply.status == 405 and reply.headers["allow"] == allowed and "another method" in reply.sentence


REQUESTS: dict[str, tuple[bytes, str, int, str]] = {
    "no type": (b"{}", "", 415, "send multipart/form-data or JSON"),
    "another type": (b"<x/>", "application/xml", 415, "application/xml"),
    "no JSON": (b"{", "application/json", 400, "the request is not JSON"),
    "nothing": (b"", "application/json", 400, "the request is not JSON"),
    "a list": (b"[]", "application/json", 422, "the request"),
    "a number": (b"1e999", "application/json", 422, "the request"),
    "deep": (b"[" * 100_000, "application/json", 400, "the request is not JSON"),
    "deep in an object": (b'{"ask":' * 50_000, "application/json", 400, "the request is not JSON"),
    "not UTF-8": (b'{"image": "\xff"}', "application/json", 400, "the request is not JSON"),
    "no image": (b"{}", "application/json", 422, "needs an image"),
    "no base64": (b'{"image": "%%%"}', "application/json", 422, "not base64"),
    "a URL": (b'{"url": "http://169.254.169.254/"}', "application/json", 403, "are not fetched"),
    "a file": (b'{"url": "file:///etc/passwd"}', "application/json", 422, "begins with http"),
    "a form without an end": (b"--" + BOUNDARY.encode(), MULTIPART, 422, "the form has no file"),
    "a form with a long head": (form({"image": SMALL}, {"image": "x" * 9000}), MULTIPART, 400, "the form"),
    "a form without a boundary": (b"x", "multipart/form-data", 400, "boundary"),
    "a form without an image": (form({"request": b"{}"}), MULTIPART, 422, "has no file `image`"),
    "an image twice": (form({"image": SMALL})[:-4] + b"\r\n" + form({"image": SMALL}), MULTIPART, 400, "the form"),
    "JSON of the form": (form({"image": SMALL, "request": b"{"}), MULTIPART, 400, "the request is not JSON"),
    "a long field": (form({"image": SMALL, "request": b" " * 3_000_000}), MULTIPART, 400, "the form"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_bodies_that_are_no_requests(server: Served, name: str) -> None:
    body, kind, status, sentence = REQUESTS[name]
    reply = server.call("POST", "/v1/locate", body, content_type=kind)
    assert reply.status == status and sentence in reply.sentence, reply


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"ask": "left heel"}, "ask: input should be a valid array"),
    ({"ask": [""]}, "ask.0: string should have at least 1 character"),
    ({"ask": ["  : the heel"]}, "a keypoint needs a name"),
    ({"ask": ["heel: a\nb"]}, "has a line break"),
    ({"ask": ["heel: " + "x" * 500]}, "at most 500 characters"),
    ({"ask": ["heel"] * 31}, "31 keypoints are asked for; the limit is 30"),
    ({"ask": ["heel"] * 2000}, "ask: list should have at most 1000 items"),
    ({"ask": [None]}, "ask.0: input should be a valid string"),
    ({"skeleton": "/etc/passwd.toml"}, "no skeleton '/etc/passwd.toml'"),
    ({"skeleton": "coco18"}, "no skeleton 'coco18'"),
    ({"boxes": [[0, 0, 8]]}, "boxes.0"),
    ({"boxes": [[0, 0, 0, 0]]}, "has no area"),
    ({"boxes": [[1e308, 0, 1e308, 1]]}, "box"),
    ({"boxes": [["a", 0, 1, 1]]}, "boxes.0.0"),
    ({"boxes": [[100, 100, 5, 5]]}, "lies outside the image"),
    ({"boxes": [[0, 0, 8, 8]] * 6}, "there are 6 boxes; the limit is 5 people"),
    ({"boxes": [[0, 0, 8, 8]], "whole_image": True}, "two ways to say where people are"),
    ({"boxes": [[0, 0, 8, 8]], "min_score": 0.5}, "choose among the people who are found"),
    ({"min_score": 2}, "min_score: input should be less than or equal to 1"),
    ({"max_people": 0}, "max_people: input should be greater than 0"),
    ({"heatmap": {"person": 0, "keypoint": 0}}, "heatmap.person is 0, and the answer has 0"),
    ({"heatmap": {"person": -1, "keypoint": 0}}, "heatmap.person"),
    ({"colour": 1}, "the request has the unknown field 'colour'"),
]


@pytest.mark.parametrize(("fields", "sentence"), FIELDS)
def test_fields_that_are_wrong(server: Served, fields: dict[str, Any], sentence: str) -> None:
    reply = server.locate(SMALL, fields)
    assert reply.status == 422 and sentence in reply.sentence, reply


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(server: Served, constant: str) -> None:
    body = f'{{"width": 9, "height": 9, "people": [{{"box": [{constant}, 0, 1, 1], "keypoints": []}}]}}'
    reply = server.call("POST", "/v1/facts", body.encode(), content_type="application/json")
    assert reply.status in (400, 422) and reply.sentence


@pytest.mark.parametrize("path", ["/v1/locate", "/v1/facts"])
def test_large_bodies(server: Served, path: str) -> None:
    reply = server.call("POST", path, bytes(50_000_000), content_type="application/json")
    assert reply.status == 413 and "the body is larger than the limit of " in reply.sentence


def test_a_body_that_says_nothing_of_its_length_is_counted(server: Served) -> None:
    pieces = (bytes(1_000_000) for _ in range(25))
    reply = server.call("POST", "/v1/locate", pieces, content_type=MULTIPART)  # type: ignore[arg-type]
    assert reply.status == 413 and "20,000,000 bytes" in reply.sentence


def raw(server: Served, data: bytes, wait: float = 10.0) -> Reply:
    """What comes back for bytes on a connection that stays open."""
    with socket.create_connection(("127.0.0.1", server.port), wait) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as file:
            status = int(file.readline().split()[1])
            headers = {}
            while line := file.readline().strip():
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            return Reply(status, file.read(int(headers["content-length"])), headers)


POST = b"POST /v1/facts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HEADS: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: x\r\n\r\n", 400),
    "another host": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    "a broken host": (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 403),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "a length below zero": (POST + b"Content-Length: -5\r\n\r\n", 400),
    "a length without end": (
        POST + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n", 413),
    "chunks that are none": (
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a long head": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000, 400),
    "a folded line": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n\tb: c\x00\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n", 400),
    "a foreign page": (POST + b"Origin: https://evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    "a page of a file": (POST + b"Origin: null\r\nContent-Length: 0\r\n\r\n", 403),
    "another method": (b"DELETE /v1/facts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
    "no method": (b"BREW /coffee HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_requests(server: Served, name: str) -> None:
    data, status = HEADS[name]
    reply = raw(server, data)
    assert reply.status in (status, 400 if status == 501 else status) and reply.sentence, reply


def test_a_slow_sender_is_told_and_others_are_served_meanwhile(server: Served) -> None:
    head = b"POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as slow:
        slow.sendall(head + b"x")
        begun = time.monotonic()
        assert server.locate(SMALL).status == 200
        with slow.makefile("rb") as file:
            status = file.readline()
            while not (line := file.readline()).startswith(b"{"):
                assert line
        assert b" 408 " in status and b"did not arrive within 2 s" in line
        assert 1.5 < time.monotonic() - begun < 18


def test_a_page_of_the_server_itself_may_ask(server: Served) -> None:
    reply = server.locate(SMALL, origin=f"http://127.0.0.1:{server.port}")
    assert reply.status == 200 and "access-control-allow-origin" not in reply.headers


KEYS = st.sampled_from(
    ["ask", "skeleton", "boxes", "min_score", "max_people", "heatmap", "person", "keypoint", "image", "url", "width",
     "height", "people", "box", "keypoints", "name", "x", "y", "captions", "objects", "question", "kind", "tasks",
     "label_config", "schema", "data"]
)  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
)
for _ in range(3):  # so deep
    ANYTHING = ANYTHING | st.lists(ANYTHING, max_size=3) | st.dictionaries(KEYS, ANYTHING, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING, st.sampled_from(["/v1/locate", "/v1/facts", "/v1/ask", "/v1/write", "/setup", "/predict"]))
def test_any_json_gets_an_answer_or_a_sentence(server: Served, content: Any, path: str) -> None:
    reply = server.call("POST", path, json.dumps(content).encode(), content_type="application/json")
    assert reply.status == 200 or (400 <= reply.status < 500 and reply.sentence), reply


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_images_get_an_answer_or_a_sentence(server: Served, data: st.DataObject) -> None:
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(SMALL) - 1))] = data.draw(st.integers(0, 255))
    reply = server.locate(bytes(damaged))
    assert reply.status == 200 or (400 <= reply.status < 500 and reply.sentence), reply


WATCHED = """
import os, sys
def watch(event, given):
    if event == "open" and isinstance(given[0], str) and given[2] & (os.O_WRONLY | os.O_RDWR):
        print("WRITES", flush=True)
    if event.startswith("tempfile."):
        print("WRITES", flush=True)
from posetalk.cli import main
sys.addaudithook(watch)
main(sys.argv[1:])
"""


def test_nothing_that_was_sent_is_in_the_log_or_on_the_disk(photo: bytes) -> None:
    secret = "marmalade"
    with Served(program=("-c", WATCHED)) as served:
        large = photo + bytes(4_000_000)  # more than what forms keep in memory by themselves
        assert served.locate(large, {"ask": [f"nose: {secret}"]}, x_header=secret).status == 200
        image = base64.b64encode(photo).decode()
        served.post(f"/v1/locate?{secret}", {"image": image, secret: secret})
        served.post("/v1/ask", {"question": secret})
        served.call("GET", f"/{secret}")
        body = form({"image": photo}, {"image": f"{secret}.jpg"})
        served.call("POST", "/v1/locate", body, content_type=MULTIPART)
        _, _, log = served.log.read_text().partition("Ctrl-C ends it")
    assert "POST /v1/locate 200" in log and "GET other 404" in log
    assert secret not in log and "WRITES" not in log
