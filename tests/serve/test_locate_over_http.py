"""What /v1/locate answers is what the library answers, whoever else asks at the time."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from benchmarks.served import Served
from PIL import Image

from posetalk import Localizer, load_skeleton

HEEL = "left heel: the back of the left foot"


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return Localizer.from_pretrained("bundled", threads=1)


def plain(answer: dict) -> dict:
    return {key: value for key, value in answer.items() if key != "seconds"}


def test_the_answer_is_the_library_s(server: Served, photo: bytes, localizer: Localizer) -> None:
    answer = server.locate(photo, {"ask": [HEEL], "skeleton": "coco17"}).json
    poses = localizer.set_image(Image.open(io.BytesIO(photo))).locate(
        keypoints=[*load_skeleton("coco17").keypoints, HEEL]
    )
    assert (answer["width"], answer["height"], answer["model"]) == (512, 512, "bundled")
    assert len(answer["people"]) == len(poses) == 1 and answer["seconds"] > 0
    (person,), box = answer["people"], poses.boxes[0]
    np.testing.assert_allclose(person["box"], box.xywh, atol=0.01)
    points = {point["name"]: point for point in person["keypoints"]}
    assert len(points) == 18 and len(answer["limbs"]) > 10
    for j, name in enumerate(poses.names):
        found = points[name]
        np.testing.assert_allclose([found["x"], found["y"]], poses.xy[0, j], atol=0.02)
        np.testing.assert_allclose(found["std"], poses.std[0, j], atol=0.02)
        assert found["score"] == pytest.approx(poses.score[0, j], abs=1e-3)
        assert found["visible"] is bool(poses.visible[0, j])
    assert points["nose"]["known"] is True


def test_json_and_multipart_get_the_same(server: Served, photo: bytes) -> None:
    encoded = base64.b64encode(photo).decode()
    by_form = server.locate(photo, {"ask": [HEEL]}).json
    for image in (encoded, f"data:image/png;base64,{encoded}"):
        assert plain(server.post("/v1/locate", {"image": image, "ask": [HEEL]}).json) == plain(by_form)


def test_boxes_and_the_whole_image_instead_of_a_detector(server: Served, photo: bytes) -> None:
    boxes = [[100, 0, 300, 500], [0, 0, 512, 512]]
    answer = server.locate(photo, {"ask": ["nose"], "boxes": boxes}).json
    assert [person["box"] for person in answer["people"]] == boxes
    assert all(person["score"] is None for person in answer["people"])
    assert server.locate(photo, {"ask": ["nose"], "boxes": []}).json["people"] == []
    assert len(server.locate(photo, {"whole_image": True}).json["people"]) == 1
    assert server.locate(photo, {"min_score": 1.0}).json["people"] == []


def test_people_are_chosen_by_score_and_number(server: Served, photo: bytes) -> None:
    two = np.concatenate([np.asarray(Image.open(io.BytesIO(photo)))] * 2, axis=1)
    file = io.BytesIO()
    Image.fromarray(two).save(file, "PNG")
    everybody = server.locate(file.getvalue()).json["people"]
    assert len(everybody) == 2
    (surest,) = server.locate(file.getvalue(), {"max_people": 1}).json["people"]
    assert surest["score"] == max(person["score"] for person in everybody)


def test_a_heat_map_peaks_at_the_answer(server: Served, photo: bytes) -> None:
    answer = server.locate(photo, {"heatmap": {"person": 0, "keypoint": 0}}).json
    heat, nose = answer["heatmap"], answer["people"][0]["keypoints"][0]
    values = np.array(heat["values"]).reshape(heat["rows"], heat["columns"])
    assert values.sum() == pytest.approx(1, abs=0.01) and values.min() >= 0
    row, column = np.unravel_index(values.argmax(), values.shape)
    cell = heat["width"] / heat["columns"], heat["height"] / heat["rows"]
    peak = heat["x"] + (column + 0.5) * cell[0], heat["y"] + (row + 0.5) * cell[1]
    assert abs(peak[0] - nose["x"]) < 3 * cell[0] and abs(peak[1] - nose["y"]) < 3 * cell[1]


def test_callers_at_once_each_get_their_own_answer(server: Served, photos: list[bytes]) -> None:
    """Numbers do not depend on what is computed together: they are those of a single call, to the last digit."""
    asked = [(photo, {"ask": [f"{side} elbow"]}) for photo in photos for side in ("left", "right")]
    alone = [plain(server.locate(*one).json) for one in asked]
    assert len({str(one) for one in alone}) == len(asked)
    with ThreadPoolExecutor(16) as callers:
        together = [plain(reply.json) for reply in callers.map(lambda one: server.locate(*one), asked)]
    assert together == alone
    batches = server.call("GET", "/metrics").body.decode()
    (single,) = [line for line in batches.splitlines() if 'batch_requests_bucket{le="1.0"}' in line]
    (all_of,) = [line for line in batches.splitlines() if line.startswith("posetalk_batch_requests_count")]
    assert float(single.split()[-1]) < float(all_of.split()[-1]), "no two requests were computed together"


def test_what_can_be_asked_for_is_listed(server: Served) -> None:
    skeletons = {row["name"]: row for row in server.call("GET", "/v1/skeletons").json}
    assert [p["name"] for p in skeletons["coco17"]["keypoints"]][:2] == ["nose", "left eye"]
    words = server.call("GET", "/v1/words").json
    assert "left elbow" in words["keypoints"] and words["synonyms"]


def test_the_interface_is_described_with_examples(server: Served) -> None:
    described = server.call("GET", "/openapi.json").json
    content = described["paths"]["/v1/locate"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    for path in ("/v1/locate", "/v1/describe", "/v1/describe/located", "/v1/facts", "/v1/ask", "/v1/write"):
        (example,) = [
            row
            for kind, body in described["paths"][path]["post"]["requestBody"]["content"].items()
            if kind == "application/json"
            for row in body["examples"].values()
        ]
        reply = server.post(path, example["value"])
        assert reply.status == 200, (path, reply)
