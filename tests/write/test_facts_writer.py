"""What the writer without a model writes is so, gives nothing away, and is not the same again and again."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tests.facts.figures import figure

from posetalk.cli import main
from posetalk.facts.claims import check, claims_of
from posetalk.facts.scene import Scene, scene_of
from posetalk.skeleton import skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.facts_writer import write
from posetalk.write.run import LEAK
from posetalk.write.sample import KINDS

NAMES = skeleton("coco17").names
CAPTIONS = [
    "A person waits in a park.",
    "Somebody in a green park",
    "One person near a tree.",
    "Trees and a person",
]


def scene(number: int, people: int = 1) -> Scene:
    """Random bodies."""
    draw = random.Random(number)
    found = []
    for i in range(people):
        pair = lambda: (draw.uniform(-180, 180), draw.uniform(-180, 180))  # noqa: E731
        near = lambda: (draw.gauss(0, 50), draw.gauss(0, 50))  # noqa: E731
        points = figure(
            trunk=draw.gauss(180, 30), thighs=near(), shins=near(), uppers=pair(), fores=pair(),
            wide=draw.uniform(-80, 80), nose=(draw.uniform(-20, 20), 0), at=(200 + 250 * i, 300),
        )  # fmt: skip
        xy = np.array([points[name] for name in NAMES])
        flags = [draw.choice((0, 1, 2, 2, 2)) for _ in NAMES]
        found.append(Person(i, Box.around(xy), frozen_array(xy), frozen_array(flags), 1e5))
    return scene_of(PoseImage(number, Path("a.jpg"), 900, 600, tuple(found)), NAMES)


@pytest.fixture(scope="module")
def samples() -> list[tuple[Scene, str, list[tuple[str, str]]]]:
    """3,000 bodies, each kind."""
    found = []
    for number in range(1000):
        of = scene(number, 1 + number % 3)
        for kind in KINDS:
            turns = write(of, CAPTIONS, kind)
            if turns:
                found.append((of, kind, turns))
    return found


def test_each_kind_is_written(samples: list[tuple[Scene, str, list[tuple[str, str]]]]) -> None:
    kinds = [kind for _, kind, _ in samples]
    assert all(kinds.count(kind) > 200 for kind in KINDS)
    assert {len(turns) for _, kind, turns in samples if kind != "conversation"} == {1}
    assert max(len(turns) for _, _, turns in samples) == 5


def test_nothing_contradicts_the_facts(samples: list[tuple[Scene, str, list[tuple[str, str]]]]) -> None:
    claims = agreed = 0
    for of, _, turns in samples:
        if len(of.people) > 1:
            continue
        for _, answer in turns:
            for claim in claims_of(answer):
                verdict = check(claim, of)
                assert verdict != "contradicts", (claim, answer)
                claims += 1
                agreed += verdict == "agrees"
    assert agreed > 500 and agreed / claims > 0.9


def test_nothing_is_given_away_or_left_unfilled(
    samples: list[tuple[Scene, str, list[tuple[str, str]]]],
) -> None:
    for _, _, turns in samples:
        text = " ".join(question + " " + answer for question, answer in turns)
        assert not LEAK.search(text) and not set("{}_0123456789") & set(text), text
        assert all(q.endswith(("?", ".")) and q[0].isupper() for q, _ in turns), text
        assert all(a.endswith(".") and a[0].isupper() and "  " not in a for _, a in turns), text
        assert " they is " not in text and "they has " not in text.lower() and "the middle's" not in text


def test_answers_differ(samples: list[tuple[Scene, str, list[tuple[str, str]]]]) -> None:
    answers = [" ".join(a for _, a in turns) for _, _, turns in samples]
    assert len(set(answers)) > 0.95 * len(answers)


def test_the_same_seed_gives_the_same_words() -> None:
    of = scene(3)
    assert write(of, CAPTIONS, "detail", 1) == write(of, CAPTIONS, "detail", 1)
    assert len({str(write(of, CAPTIONS, "detail", seed)) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("captions", "name"),
    [
        (["A man runs."] * 3, "the man"),
        (["A man runs."] * 2 + ["A person runs."], "the person"),
        (["A woman and a man run.", "Two people"] * 3, "the person"),
        (["A surfer rides."] * 4, "the surfer"),
        ([], "the person"),
    ],
)
def test_a_gender_is_only_said_where_captions_agree(captions: list[str], name: str) -> None:
    from posetalk.write.speaker import subjects

    [subject] = subjects(scene(1), captions)
    assert subject.name == name
    people = subjects(scene(1, people=2), captions)
    assert [p.name for p in people] == ["the person on the left", "the person on the right"]


def test_the_command_writes_llavas_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xy = np.array([figure()[name] for name in NAMES])
    person = {
        "id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 1e4, "bbox": list(Box.around(xy).xywh),
        "keypoints": np.column_stack([xy, np.full(17, 2)]).ravel().tolist(),
    }  # fmt: skip
    images = [{"id": 7, "file_name": "7.jpg", "width": 600, "height": 500}]
    people, captions, out = (tmp_path / name for name in ("people.json", "captions.json", "out.json"))
    people.write_text(
        json.dumps({"images": images, "annotations": [person], "categories": [{"id": 1, "name": "person"}]})
    )
    texts = ["A man stands.", "A caption about a bounding box"]
    captions.write_text(json.dumps({"annotations": [{"image_id": 7, "caption": text} for text in texts]}))
    words = ["write", str(people), "--captions", str(captions), "--out", str(out)]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert not stopped.value.code and "1 conversation, 1 detail, 1 reasoning" in capsys.readouterr().out
    rows = json.loads(out.read_text())
    assert {row["id"] for row in rows} == {"7-conversation", "7-detail", "7-reasoning"}
    for row in rows:
        assert row["image"] == "7.jpg" and row["conversations"][0]["value"].startswith("<image>\n")
        assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"] * (
            len(row["conversations"]) // 2
        )
    assert "bounding" not in out.read_text() and not out.with_name("out.json.part").exists()
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--kinds", "poem"])
    assert stopped.value.code == 2 and "no kind 'poem'" in capsys.readouterr().err
