"""A project of Label Studio whose labels are sentences gets pre-annotations, which are read back."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.served import Served

from posetalk import PosetalkError
from posetalk.exchange import label_studio
from posetalk.exchange.label_studio_interface import Interface

CONFIG = """
<View>
  <Image name="img" value="$photo"/>
  <RectangleLabels name="who" toName="img"><Label value="Person"/></RectangleLabels>
  <KeyPointLabels name="points" toName="img">
    <Label value="left heel: the back of the left foot"/>
    <Label value="chin" hint="the lowest point of the face"/>
  </KeyPointLabels>
  <Choices name="seen" toName="img" perRegion="true"><Choice value="hidden"/></Choices>
</View>
"""


@pytest.fixture(scope="module")
def backend(photo: bytes) -> Iterator[Served]:
    """The server, and beside it a Label Studio that serves one image."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_there = self.path == "/data/upload/1/a.png" and self.headers["Authorization"] == "Token t"
            self.send_response(200 if is_there else 404)
            self.end_headers()
            self.wfile.write(photo if is_there else b"")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as studio:
        threading.Thread(target=studio.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{studio.server_port}"
        with Served("--label-studio-url", url, environment={"LABEL_STUDIO_API_KEY": "t"}) as served:
            yield served
        studio.shutdown()


def predict(backend: Served, *images: object, config: str = CONFIG) -> Any:
    tasks = [{"id": number, "data": {"photo": image}} for number, image in enumerate(images, 1)]
    given = {"tasks": tasks, "label_config": config, "project": "1.1700000000", "params": {"context": None}}
    return backend.post("/predict", given)


def test_a_project_is_connected_and_answered(backend: Served, photo: bytes, tmp_path: Path) -> None:
    assert backend.call("GET", "/health").json == {"status": "UP", "model_class": "posetalk"}
    setup = {"project": "1.1700000000", "schema": CONFIG, "hostname": "http://x", "access_token": "secret"}
    version = backend.post("/setup", setup).json["model_version"]
    first, missing = predict(backend, "/data/upload/1/a.png", "/data/upload/1/b.png").json["results"]
    assert first["model_version"] == missing["model_version"] == version
    assert missing["result"] == [] and "answers 404" in missing["error"]
    tags = {(region["from_name"], region["type"], region["to_name"]) for region in first["result"]}
    assert {("who", "rectanglelabels", "img"), ("points", "keypointlabels", "img")} <= tags
    labels = [region["value"].get("keypointlabels", [""])[0] for region in first["result"]]
    assert {"left heel: the back of the left foot", "chin"} <= set(labels)

    # as Label Studio exports them, they are read back to the places that /v1/locate gives
    task = {"id": 1, "data": {"photo": "a.png"}, "predictions": [first]}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    (tmp_path / "a.png").write_bytes(photo)
    ask = ["left heel: the back of the left foot", "chin: the lowest point of the face"]
    located = backend.post("/v1/locate", {"image": base64.b64encode(photo).decode(), "ask": ask}).json
    points = [(point["x"], point["y"]) for point in located["people"][0]["keypoints"]]
    (image,) = label_studio.read(tmp_path, tmp_path).data.images
    np.testing.assert_allclose(image.people[0].keypoints, points, atol=0.02)
    assert "secret" not in backend.log.read_text()


@pytest.mark.parametrize(
    ("images", "config", "sentence"),
    [
        (["/data/upload/1/b.png"], CONFIG, "answers 404"),
        (["http://169.254.169.254/latest"], CONFIG, "are not fetched"),
        ([None], CONFIG, "has no image 'photo'"),
        (["/data/upload/1/a.png"], "<View>", "is not XML"),
        (["/data/upload/1/a.png"], "<View/>", "has no KeyPointLabels"),
        (["/data/upload/1/a.png"], '<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>', "is not XML"),
        (["/data/upload/1/a.png"] * 201, CONFIG, "at most 200 items"),
    ],
)
def test_what_cannot_be_answered(backend: Served, images: list[object], config: str, sentence: str) -> None:
    reply = predict(backend, *images, config=config)
    assert reply.status in (403, 422) and sentence in reply.sentence


def test_interfaces_without_rectangles_or_choices() -> None:
    bare = CONFIG.replace("RectangleLabels", "X").replace("Choices", "Y")
    interface = Interface.read(bare)
    assert (interface.boxes, interface.visibility, interface.data) == (None, None, "photo")
    assert interface.labels[1] == ("chin", "the lowest point of the face")
    with pytest.raises(PosetalkError, match="KeyPointLabels"):
        Interface.read(CONFIG.replace('toName="img"', 'toName="other"'))
