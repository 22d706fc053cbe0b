"""Open questions: of every kind about each picture, over the strata, in LLaVA's files."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bench.people import NAMES, pictures

from posetalk.bench.questions.openset import CONTEXTS, QUESTIONS, REFERENCES, OpenSet, build_open, read_open
from posetalk.errors import PosetalkError
from posetalk.facts.claims import check_claim, find_claims
from posetalk.facts.scene import scene_facts


@pytest.fixture(scope="module")
def made() -> OpenSet:
    return build_open(pictures(0, 60), NAMES, max_images=16)


def test_each_picture_is_asked_about_three_times(made: OpenSet) -> None:
    kinds = Counter((q.image, q.category) for q in made.questions)
    assert len(kinds) == 48 and set(kinds.values()) == {1}
    assert {category for _, category in kinds} == {"conv", "detail", "complex"}
    assert set(made.contexts) == {q.image for q in made.questions}
    assert not [q for q in made.questions if q.reference.startswith(("Yes", "No,"))]


def test_questions_stand_alone(made: OpenSet) -> None:
    """Those of a conversation call people "they" once they were named."""
    for question in made.questions:
        words = set(re.findall("[a-z]+", question.text.lower()))
        assert "person" in words or not words & {"they", "their", "them"}, question.text


def test_strata_are_taken_in_turn(made: OpenSet) -> None:
    """Sixteen pictures of which as many have one person as two, though postures differ in number."""
    people = Counter(sum(name == "person" for name, _ in c.instances) for c in made.contexts.values())
    assert people[1] + people[2] == 16 and min(people.values()) >= 6
    assert any("by the largest person's posture" in note and "standing, " in note for note in made.notes)


def test_references_agree_with_the_facts(made: OpenSet) -> None:
    scenes = {p.image.path.name: scene_facts(p.image, NAMES, p.things) for p in pictures(0, 60)}
    claims = [(q, claim) for q in made.questions for claim in find_claims(q.reference)]
    assert len(claims) > 50
    assert not [(q, c) for q, c in claims if check_claim(c, scenes[q.image]) == "contradicts"]


def test_contexts_are_for_who_does_not_see(made: OpenSet) -> None:
    for context in made.contexts.values():
        assert context.captions and "  so: " in context.facts and "  joints: nose (" in context.facts
        for _, box in context.instances:
            assert all(0 <= value <= 1 and round(value, 3) == value for value in box) and box[0] < box[2]


def test_other_pictures_change_no_question(made: OpenSet) -> None:
    alone = build_open(pictures(0, 60)[::-1], NAMES, max_images=16)
    assert alone.questions == made.questions
    many = {q.id: q for q in build_open(pictures(0, 60), NAMES, max_images=60).questions}
    assert all(many[q.id] == q for q in made.questions)


def test_files_are_llavas(made: OpenSet, tmp_path: Path) -> None:
    made.save(tmp_path)
    rows = {
        name: [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in (QUESTIONS, REFERENCES, CONTEXTS)
    }
    assert all(set(row) == {"question_id", "image", "text", "category"} for row in rows[QUESTIONS])
    assert all(set(row) >= {"question_id", "text", "category", "answer_id"} for row in rows[REFERENCES])
    assert [r["question_id"] for r in rows[QUESTIONS]] == [r["question_id"] for r in rows[REFERENCES]]
    for row in rows[CONTEXTS]:
        assert set(row) == {"id", "image", "captions", "instances", "facts"}
        assert all(set(one) == {"category", "bbox"} and len(one["bbox"]) == 4 for one in row["instances"])
    again = read_open(tmp_path)
    assert again.questions == made.questions and again.contexts == made.contexts


def test_llavas_own_files_are_read(tmp_path: Path) -> None:
    """LLaVA-Bench has numbers for ids, no facts, and references with more keys."""
    (tmp_path / QUESTIONS).write_text(
        '{"question_id": 0, "image": "000000441147.jpg", "text": "What?", "category": "conv"}\n'
    )
    (tmp_path / REFERENCES).write_text(
        '{"question_id": 0, "text": "That.", "category": "conv", "model_id": "x"}\n\n'
    )
    (tmp_path / CONTEXTS).write_text(
        '{"id": "441147", "image": "000000441147.jpg", "captions": ["Two bags"],'
        ' "instances": [{"category": "suitcase", "bbox": [0.1, 0.2, 0.3, 0.4]}]}\n'
    )
    found = read_open(tmp_path)
    assert found.questions[0].reference == "That." and found.contexts["000000441147.jpg"].facts == ""
    (tmp_path / REFERENCES).write_text('{"question_id": 1, "text": "That."}\n')
    with pytest.raises(PosetalkError, match=r"questions.jsonl, line 1: the question 0 has no reference"):
        read_open(tmp_path)


def test_training_pictures_and_bad_input(tmp_path: Path, made: OpenSet) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps([{"image": image} for image in made.contexts]))
    other = build_open(pictures(0, 60), NAMES, training_data=[file], max_images=16)
    assert not set(other.contexts) & set(made.contexts)
    assert any(f"{file} was trained on 16 of the images" in note for note in other.notes)
    few = build_open(pictures(0, 6), NAMES, max_images=90)
    assert any("could be used, not 90" in note for note in few.notes)
    with pytest.raises(PosetalkError, match="all three kinds"):
        build_open(pictures(0, 0), NAMES)
    with pytest.raises(PosetalkError, match="at least 1"):
        build_open(pictures(0, 5), NAMES, max_images=0)
    picture = pictures(0, 1)[0]
    sizeless = replace(picture, image=replace(picture.image, width=None))
    with pytest.raises(PosetalkError, match="how large"):
        build_open([sizeless], NAMES)
