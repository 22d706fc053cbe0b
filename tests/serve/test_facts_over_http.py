"""What is true of people whose keypoints a caller sends, and what is answered and written from it."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.served import Served

from posetalk.serve.examples import PEOPLE


def moved(dx: float, **changes: Any) -> dict[str, Any]:
    """The person of the example, who stands with the left arm raised, somewhere else."""
    (person,) = PEOPLE["people"]
    x, *rest = person["box"]
    points = [
        point | {"x": point["x"] + dx} | changes.get(point["name"], {}) for point in person["keypoints"]
    ]
    return {"box": [x + dx, *rest], "keypoints": points}


LOWERED = {"left elbow": {"x": 245, "y": 190}, "left wrist": {"x": 248, "y": 255}}
ONE = {"width": 900, "height": 500, "people": [moved(0)]}
TWO = {"width": 900, "height": 500, "people": [moved(450), moved(0, **LOWERED)]}  # the right one first


def test_facts_are_in_the_order_of_the_request_and_named_from_the_left(server: Served) -> None:
    answer = server.post("/v1/facts", TWO).json
    assert [person["name"] for person in answer["people"]] == ["person 2", "person 1"]
    for person, is_raised in zip(answer["people"], (True, False), strict=True):
        facts = {fact["name"]: fact for fact in person["facts"]}
        raised = facts["left arm: raised"]
        assert raised["value"] is is_raised and raised["evidence"] == ["joints"] and raised["numbers"]
        assert raised["text"] == ("left arm raised" if is_raised else "left arm: not raised")
    scene = {fact["name"]: fact["value"] for fact in answer["scene"]}
    assert scene["picture: several people"] is True
    assert scene["person 1, person 2: first on the left"] is True


def test_what_locate_answers_can_be_sent_as_it_is(server: Served, photo: bytes) -> None:
    located = server.locate(photo).json
    given = {key: located[key] for key in ("width", "height", "people")}
    facts = server.post("/v1/facts", given).json["people"][0]["facts"]
    assert any(fact["value"] for fact in facts)


def test_unsure_places_and_places_outside_are_not_known(server: Served) -> None:
    for change in ({"score": 0.49}, {"x": -3}, {"y": 501}):
        people = [moved(0, **{"left wrist": change, "left elbow": change})]
        (person,) = server.post("/v1/facts", ONE | {"people": people}).json["people"]
        facts = {fact["name"]: fact for fact in person["facts"]}
        assert facts["left arm: raised"]["value"] is None
        assert facts["left arm: raised"]["text"] == "left arm: not known whether raised"
    nobody = {"box": [0, 0, 10, 10], "keypoints": [{"name": "chin", "x": 1, "y": 1}]}
    assert server.post("/v1/facts", ONE | {"people": [nobody]}).json["people"] == [
        {"name": None, "facts": []}
    ]


@pytest.mark.parametrize(
    ("question", "answer", "because"),
    [
        ("Is the left arm raised?", "yes", "left arm: raised"),
        ("Are both arms raised?", "no", "arms: raised"),
        ("Is one arm raised?", "yes", "left arm: raised"),
        ("Isn't the left arm raised?", "yes", "left arm: raised"),
        ("Is the person not standing?", "no", "body: standing"),
        ("Which arm is raised?", "left", "left arm: raised"),
        ("How many arms are raised?", "one", "right arm: raised"),
        ("How many people are there?", "one", None),
        ("What is she doing with her left arm?", "raise", "left arm: raised"),
        ("Is the person carrying an umbrella?", "not known", None),
        ("Is the person happy?", "not known", None),
        ("What is the capital of France?", "not known", None),
        ("?", "not known", None),
        ("\u202e\x00 left arm raised", "yes", "left arm: raised"),
    ],
)
def test_questions(server: Served, question: str, answer: str, because: str | None) -> None:
    reply = server.post("/v1/ask", ONE | {"question": question, "person": 0}).json
    assert answer in reply["answer"]
    assert because is None or because in [fact["name"] for fact in reply["because"]]
    assert ("reason" in reply) == (reply["answer"] == "not known")


@pytest.mark.parametrize(
    ("text", "person", "answer"),
    [
        ("The left arm is raised.", 0, "yes"),
        ("The left arm is raised.", 1, "no"),
        ("The person on the left has the left arm raised.", None, "no"),
        ("The person on the right has the left arm raised.", None, "yes"),
        ("Person 2 is raising the left arm.", None, "yes"),
        ("Everybody has the left arm raised.", None, "no"),
        ("There are three people.", None, "no"),
        ("There are two people, and both are standing.", None, "yes"),
    ],
)
def test_statements_about_one_of_two(server: Served, text: str, person: int | None, answer: str) -> None:
    reply = server.post("/v1/ask", TWO | {"statement": text, "person": person}).json
    assert reply["answer"] == answer, reply


@pytest.mark.parametrize("kind", ["conversation", "detail", "reasoning", "short"])
def test_texts_are_written_in_turns(server: Served, kind: str) -> None:
    turns = server.post("/v1/write", ONE | {"kind": kind}).json["turns"]
    assert turns and [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    assert all(turn["text"] for turn in turns)
    assert server.post("/v1/write", ONE | {"kind": kind}).json["turns"] == turns
    assert server.post("/v1/write", ONE | {"people": [], "kind": kind}).json["turns"] == []


def test_a_caption_is_evidence(server: Served) -> None:
    captions = ["A man is riding a bicycle."] * 3
    things = [{"name": "bicycle", "box": [100, 250, 200, 230]}]
    given = ONE | {"captions": captions, "objects": things, "question": "Is the person riding a bicycle?"}
    reply = server.post("/v1/ask", given | {"person": 0}).json
    assert reply["answer"] == "yes"
    assert any("captions 3 of 3" in fact["evidence"] for fact in reply["because"])


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        ("/v1/facts", {"people": [moved(0)] * 6}, "there are 6 people; the limit is 5 people a request"),
        ("/v1/facts", {"width": 0}, "width: input should be greater than 0"),
        ("/v1/facts", {"people": None}, "people: input should be a valid list"),
        ("/v1/facts", {"colour": "red"}, "the request has the unknown field 'colour'"),
        ("/v1/facts", {"people": [{"box": [0, 0, 0, 0], "keypoints": []}]}, "has no area"),
        ("/v1/facts", {"people": [{"box": [0, 0, 1], "keypoints": []}]}, "people.0.box"),
        (
            "/v1/facts",
            {"people": [{"box": [0, 0, 9, 9], "keypoints": [{"name": "nose", "x": 1, "y": 1}] * 2}]},
            "person 0 has the keypoint 'nose' twice",
        ),
        ("/v1/ask", {}, "ask needs a question or a statement"),
        ("/v1/ask", {"question": "Is she?", "statement": "She is."}, "one of the two"),
        ("/v1/ask", {"question": "Is she sitting?", "person": 1}, "person is 1, and there are 1 people"),
        ("/v1/ask", {"question": "a" * 2001}, "question: string should have at most 2000 characters"),
        ("/v1/write", {"kind": "poem"}, "kind: input should be 'conversation', 'detail'"),
    ],
)
def test_what_is_wrong_is_said(server: Served, path: str, change: dict[str, Any], sentence: str) -> None:
    reply = server.post(path, ONE | change)
    assert reply.status == 422 and sentence in reply.sentence
