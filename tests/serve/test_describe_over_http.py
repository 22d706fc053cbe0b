"""What /v1/describe answers is what `describe_point` says, of an image and of people who are sent back."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from benchmarks.served import BOUNDARY, Reply, Served, form
from PIL import Image

from posetalk import Box, Localizer, PosetalkError, body_points, describe_point
from posetalk.serve.bodies import PersonGiven
from posetalk.serve.describing import poses_given
from posetalk.serve.examples import DESCRIPTION, PEOPLE

BOX = (45, 14, 340, 498)
AT = [[227, 124], [98, 259], [200, 300], [500, 20]]
CAPTIONS = ["A woman in an orange suit.", "A woman with a helmet."]


def described(server: Served, image: bytes, request: dict[str, Any]) -> Reply:
    """One image as multipart."""
    body = form({"image": image, "request": json.dumps(request).encode()})
    return server.call("POST", "/v1/describe", body, content_type=f"multipart/form-data; boundary={BOUNDARY}")


def test_places_are_described_as_the_library_does(server: Served, photo: bytes) -> None:
    localizer = Localizer.from_pretrained("bundled", threads=1).set_image(Image.open(io.BytesIO(photo)))
    for boxes in ([BOX], None):
        request = {"at": AT, "captions": CAPTIONS} | ({"boxes": boxes} if boxes else {})
        answer = described(server, photo, request).json
        poses = localizer.locate(boxes, body_points())
        assert (answer["width"], answer["height"]) == (512, 512) and answer["seconds"] > 0
        for place, xy in zip(answer["places"], AT, strict=True):
            ours = describe_point(poses, xy, captions=CAPTIONS).to_dict()
            assert [place.pop("x"), place.pop("y")] == xy == [*ours.pop("xy")]
            assert ours.pop("person") == (None if place["person"] is None else "the woman")
            assert place.pop("person") == ours.pop("index") == (None if xy == AT[-1] else 0)
            evidence, expected = place.pop("evidence"), ours.pop("evidence")
            assert place == ours and evidence.keys() == expected.keys()
            assert evidence["keypoints"] == pytest.approx(expected["keypoints"], abs=1e-3)
        (person,) = answer["people"]
        assert len(person["keypoints"]) == len(body_points())


def test_people_who_are_sent_back_are_described_alike_without_a_model(server: Served, photo: bytes) -> None:
    def computed() -> str:
        lines = server.call("GET", "/metrics").body.decode().splitlines()
        return next(line for line in lines if line.startswith("posetalk_batch_requests_count"))

    image = base64.b64encode(photo).decode()
    first = server.post("/v1/describe", {"image": image, "at": AT}).json
    before = computed()
    given = {key: first[key] for key in ("width", "height", "people")}
    again = server.post("/v1/describe/located", given | {"at": AT}).json
    assert computed() == before
    for place, other in zip(again["places"], first["places"], strict=True):
        assert {**place, "evidence": None} == {**other, "evidence": None}
    nobody = server.post("/v1/describe/located", given | {"at": AT, "people": []}).json
    assert nobody["places"][0]["name"] == "not on a person"


def test_joints_of_coco_alone_suffice(server: Served) -> None:
    on_arm, beside = server.post("/v1/describe/located", DESCRIPTION).json["places"]
    assert (on_arm["name"], on_arm["side"], on_arm["person"], on_arm["certain"]) == (
        "left upper arm",
        "left",
        0,
        True,
    )
    assert (beside["name"], beside["part"], beside["person"]) == ("not on a person", None, None)


def test_keypoints_by_any_case_unknown_ones_ignored_and_what_is_not_given_is_not_known() -> None:
    points = [{"name": "Left_Eye", "x": 3, "y": 4}, {"name": "hat", "x": 1, "y": 1}]
    poses = poses_given([PersonGiven(box=[0, 0, 9, 9], keypoints=points)])
    assert poses["left eye"].tolist() == [[3, 4]] and poses.score.sum() == 1
    assert poses.visible is None and poses.boxes == (Box(0, 0, 9, 9),)
    with pytest.raises(PosetalkError, match="'left eye' twice"):
        poses_given([PersonGiven(box=[0, 0, 9, 9], keypoints=points + points)])


HUGE = [{"box": [0, 0, 1e308, 1e308], "keypoints": [{"name": "left wrist", "x": 1e308, "y": -1e308}]}]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"at": []}, "at: list should have at least 1 item"),
        ({"at": None}, "at: input should be a valid list"),
        ({"at": [[1]]}, "at.0: list should have at least 2 items"),
        ({"at": [[1, "a"]]}, "at.0.1: input should be a valid number"),
        ({"at": [[1, 2]] * 8}, "8 places are to be described; the limit is 7 a request"),
        ({"at": [[401, 5]]}, "the point 401,5 lies outside the image of 400 x 500 px"),
        ({"at": [[-0.1, 5]]}, "lies outside the image"),
        ({"width": 0}, "width: input should be greater than 0"),
        ({"people": PEOPLE["people"] * 6}, "there are 6 people; the limit is 5 people a request"),
        ({"people": None}, "people: input should be a valid list"),
        ({"max_people": 1}, "the request has the unknown field 'max_people'"),
        ({"ask": ["nose"]}, "the request has the unknown field 'ask'"),
    ],
)
def test_what_is_wrong_is_said(server: Served, change: dict[str, Any], sentence: str) -> None:
    reply = server.post("/v1/describe/located", DESCRIPTION | change)
    assert reply.status == 422 and sentence in reply.sentence


def test_with_an_image_the_limits_are_those_of_locate(server: Served, photo: bytes) -> None:
    for request, sentence in (
        ({"at": [[513, 5]]}, "the point 513,5 lies outside the image of 512 x 512 px"),
        ({"at": [[1, 2]] * 8}, "the limit is 7 a request"),
        ({"at": AT, "boxes": [BOX] * 6}, "the limit is 5 people a request"),
        ({"at": AT, "boxes": [BOX], "max_people": 1}, "leave them, or boxes"),
        ({}, "the request lacks the field 'at'"),
        ({"at": AT, "people": []}, "unknown field 'people'"),
    ):
        reply = described(server, photo, request)
        assert reply.status == 422 and sentence in reply.sentence, request


def test_absurd_places_of_keypoints_are_answered(server: Served) -> None:
    reply = server.post("/v1/describe/located", DESCRIPTION | {"people": HUGE})
    assert reply.status in (200, 422), reply
