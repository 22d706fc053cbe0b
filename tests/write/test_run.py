"""The commands from COCO's files to samples that can be trained on."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facts.figures import figure
from tests.write.server import Act, Body, running, said

from posetalk.cli import main
from posetalk.skeleton import skeleton
from posetalk.types import Box
from posetalk.write.sample import Sample, read_samples

NAMES = skeleton("coco17").names
POSES: list[dict[str, Any]] = [
    {"uppers": (180, 0), "fores": (180, 0)},  # the left arm up
    {"thighs": (90, 90)},  # sitting
    {"uppers": (90, 90), "fores": (90, 90), "wide": -70},  # from behind
    {"uppers": (0, 170), "fores": (0, 170), "shins": (-90, 0)},  # a foot lifted
]
SIGHTS = (
    "a pond with ducks",
    "two old oak trees",
    "a wooden bench painted green",
    "hills far away in the mist",
)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """COCO's files of four pictures with a person each, as the first words of `write`; --out is FOLDER/out."""
    images, people, captions = [], [], []
    for number, pose in enumerate(POSES, 1):
        xy = np.array([figure(**pose)[name] for name in NAMES])
        images.append({"id": number, "file_name": f"part/{number}.jpg", "width": 800, "height": 600})
        triples = np.column_stack([xy, np.full(17, 2)]).ravel().tolist()
        box = {"bbox": list(Box.around(xy).xywh), "area": 1e4, "iscrowd": 0, "category_id": 1}
        people.append({"id": number, "image_id": number, "keypoints": triples} | box)
        texts = ("Somebody on a lawn.", "A person out on the grass.", f"An open place, number {number}.")
        captions += [{"image_id": number, "caption": text} for text in texts]
    categories = [{"id": 1, "name": "person"}]
    whole = {"images": images, "annotations": people, "categories": categories}
    (tmp_path / "people.json").write_text(json.dumps(whole))
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": captions}))
    return [
        "write",
        f"{tmp_path}/people.json",
        "--captions",
        f"{tmp_path}/captions.json",
        "--out",
        f"{tmp_path}/out",
    ]


def run(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (0, None)


def samples(out: Path) -> list[Sample]:
    return list(read_samples(out / "samples.jsonl"))


def rejected(out: Path) -> dict[str, list[str]]:
    rows = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    return {row["id"]: [fault["reason"] for fault in row["faults"]] for row in rows}


def reply(body: Body, _: int) -> Act:
    """By the schema, and without a fault but about the second picture, whose keypoints it speaks of."""
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    number = next(n for n in range(1, 5) if f"number {n}" in str(body["messages"]))
    sight = SIGHTS[number - 1]
    leak = " The keypoints show it." if number == 2 else ""
    first = f"There is {sight}, which takes up most of what lies behind the lawn.{leak}"
    second = f"Next to {sight} there is nothing else, and the rest of the place is free of things and people.{leak}"
    if "turns" in properties:
        questions = ("What is there to be seen behind the lawn?", "What else is part of the scene around it?")
        turns = [{"question": q, "answer": a} for q, a in zip(questions, (first, second), strict=True)]
        return said(json.dumps({"turns": turns}))
    long = " ".join(f"Seen from part {i} of the lawn, {sight} would look different again." for i in range(4))
    return said(json.dumps({"answer": f"{first} {second} {long}"}))


def test_the_facts_writer_fills_a_folder_that_can_be_exported(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words)
    out = tmp_path / "out"
    found = samples(out)
    assert {s.image_id for s in found} == {1, 2, 3, 4} and {s.writer for s in found} == {"facts"}
    assert {s.image for s in found} == {
        f"part/{number}.jpg" for number in range(1, 5)
    }  # as the labels name them
    assert rejected(out) == {}
    assert "conversation" in capsys.readouterr().out and "<html" in (out / "report.html").read_text()
    before = (out / "samples.jsonl").read_bytes()
    run(words)  # again: the same
    assert (out / "samples.jsonl").read_bytes() == before
    with pytest.raises(SystemExit):
        main([*words, "--seed", "1"])
    assert "other settings" in capsys.readouterr().err and (out / "samples.jsonl").read_bytes() == before

    run(["export", str(out), str(tmp_path / "llava"), "--validation", "0", "--test", "0"])
    [*rows] = json.loads((tmp_path / "llava" / "train.json").read_text())
    assert [row["id"] for row in rows] == [s.id for s in found]
    card = (tmp_path / "llava" / "README.md").read_text()
    assert "captions.json" in card and "seed 0" in card.lower()


def test_photos_that_cannot_be_read_are_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "part").mkdir(parents=True)
    (tmp_path / "photos" / "part" / "2.jpg").write_bytes(b"no photo")
    run([*words, "--images", str(tmp_path / "photos")])
    said = capsys.readouterr().out
    assert "1 photos cannot be read, the first: " in said and "2.jpg" in said


def test_so_many_pictures_of_each_kind(words: list[str], tmp_path: Path) -> None:
    run([*words, "--pictures", "2", "--kinds", "conversation,detail"])
    kinds = [s.kind for s in samples(tmp_path / "out")]
    assert kinds.count("conversation") == kinds.count("detail") == 2 and len(kinds) == 4


def test_a_model_is_asked_screened_and_not_asked_again(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-tests")
    out, kinds = tmp_path / "out", ("--kinds", "conversation,detail")
    with running(reply) as server:
        asking = [*words, *kinds, "--writer", "openai", "--model", "m", "--base-url", server.url]
        run([*asking, "--dry-run"])
        assert "8 requests" in capsys.readouterr().out and not server.seen
        run(asking)
        asked = len(server.seen)
        assert {s.image_id for s in samples(out)} == {1, 3, 4} and {s.writer for s in samples(out)} == {"m"}
        assert rejected(out) == {"2-conversation": ["leak", "leak"], "2-detail": ["leak"]}
        assert asked == 8 + 2 * 2  # two of them asked again twice
        again = [
            body["messages"]
            for body in server.seen
            if len(body["messages"]) > len(server.seen[0]["messages"])
        ]
        assert any("keypoints" in messages[-1]["content"] for messages in again)  # and told why
        run(asking)
        assert len(server.seen) == asked
    capsys.readouterr()
    assert not [p for p in out.iterdir() if b"sk-secret" in p.read_bytes()]


def test_batches_give_the_same_samples(words: list[str], tmp_path: Path) -> None:
    asking = [*words, "--kinds", "conversation", "--model", "m"]
    with running(reply) as server:
        run([*asking, "--writer", "openai", "--base-url", server.url])
    online = samples(tmp_path / "out")
    words[words.index("--out") + 1] = str(out := tmp_path / "files")
    asking = [*words, "--kinds", "conversation", "--model", "m", "--writer", "batch"]
    run(asking)
    for _ in range(3):  # what leaked is asked again, twice
        assert (out / "requests.jsonl").exists()
        requests = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
        answers = [
            {
                "custom_id": r["custom_id"],
                "response": {"status_code": 200, "body": json.loads(reply(r["body"], 0).body)},
            }
            for r in requests
        ]
        (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
        run([*asking, "--answers", str(tmp_path / "answers.jsonl")])
    assert not (out / "requests.jsonl").exists()
    assert samples(out) == online and rejected(out) == {"2-conversation": ["leak", "leak"]}


def test_somebody_elses_samples_are_screened(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(number: int, answer: str) -> dict[str, Any]:
        human = {"from": "human", "value": "<image>\nWhat is the person doing with the arms?"}
        turns = [human, {"from": "gpt", "value": answer}]
        return {"id": str(number), "image": f"{number}.jpg", "conversations": turns}

    texts = [
        "The person holds the left arm up while the right arm hangs down beside the body.",
        "The keypoints show that the arms hang down beside the body of the person.",
        "The person is sitting on the lawn with both arms spread out to the sides.",
    ]
    (tmp_path / "theirs.json").write_text(
        json.dumps([row(i, text) for i, text in enumerate(texts, 1)] + [{"id": 5}])
    )
    run(
        [
            "screen",
            f"{tmp_path}/theirs.json",
            f"{tmp_path}/s",
            "--annotations",
            words[1],
            "--captions",
            words[3],
        ]
    )
    skipped = capsys.readouterr().err
    reasons = {name.split("-")[0]: found for name, found in rejected(tmp_path / "s").items()}
    assert "leak" in reasons["2"] and "contradicted" in reasons["3"]
    assert "skipped" in skipped


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--kinds", "poem"], "no kind 'poem'"),
        (["--writer", "openai"], "--model"),
        (["--model", "m"], "asks no model"),
        (["--money", "5"], "asks no model"),
        (["--writer", "openai", "--model", "m", "--answers", "a.jsonl"], "--answers goes with"),
        (["--writer", "openai", "--model", "m", "--base-url", "localhost"], "begins with http"),
        (["--writer", "openai", "--model", "m", "--base-url", "http://u:p@localhost/v1"], "password"),
        (["--writer", "openai", "--model", "m", "--settings", "none.toml"], "none.toml"),
        (["--writer", "openai", "--model", "m"], "OPENAI_API_KEY"),
        (["--writer", "openai", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], "cannot reach"),
        (
            ["--writer", "openai", "--model", "none", "--base-url", "http://127.0.0.1:9/v1", "--money", "1"],
            "price",
        ),
        (["--writer", "batch", "--model", "m", "--answers", "none.jsonl"], "none.jsonl"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str],
    more: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SystemExit) as stop:
        main([*words, *more])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("posetalk: ") and sentence in last


def test_the_settings_of_a_run_stand_beside_it(words: list[str], tmp_path: Path) -> None:
    run([*words, "--kinds", "detail", "--seed", "3"])
    found = tomllib.loads((tmp_path / "out" / "run.toml").read_text())
    assert found["writer"] == "facts" and found["seed"] == 3 and found["kinds"] == ["detail"]
