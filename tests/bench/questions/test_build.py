"""Questions are answered by facts that are surely so, cannot be guessed, and stay the same among other pictures."""

from __future__ import annotations

import os
import random
import tomllib
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.bench.people import NAMES, person, pictures

from posetalk.bench.questions.build import ClosedSet, balanced, build_closed, read_closed
from posetalk.errors import PosetalkError
from posetalk.facts.fact import Fact
from posetalk.facts.scene import scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.formats.objects import Thing
from posetalk.types import Box, PoseImage, frozen_array
from posetalk.write.from_facts.sure import is_sure
from posetalk.write.questions.ask import questions_of
from posetalk.write.questions.questions import LETTERS, Question, read_questions


@pytest.fixture(scope="module")
def built() -> ClosedSet:
    return build_closed(pictures(0, 120), NAMES)


def test_no_answer_is_more_frequent_than_another(built: ClosedSet) -> None:
    """For each wording, which says whom it is about: whoever knows the words alone knows nothing."""
    answers: dict[tuple[str, frozenset[str]], Counter[str]] = defaultdict(Counter)
    for question in built.questions:
        answers[question.text, frozenset(question.choices or ("yes", "no"))][question.right] += 1
    assert len(answers) > 50
    for (_, choices), counts in answers.items():
        assert set(counts) == choices and len(set(counts.values())) == 1, counts
    letters = Counter(q.answer for q in built.questions if q.choices)
    assert letters.total() > 60
    assert max(letters.values()) / letters.total() < 0.25 + 3 * (0.25 * 0.75 / letters.total()) ** 0.5


def test_every_kind_is_asked_about(built: ClosedSet) -> None:
    assert {q.kind for q in built.questions} >= {"facing", "arms", "legs", "hands", "people"}
    assert len({q.id for q in built.questions}) == len(built.questions)
    assert not [q for q in built.questions if "{" in q.prompt or "  " in q.prompt]


def test_answers_are_what_the_facts_say(built: ClosedSet) -> None:
    """Worked out again from the scene, choice by choice, from the conditions in questions.toml."""
    rows = tomllib.loads(files("posetalk.write.questions").joinpath("questions.toml").read_text())["choice"]
    conditions = {}
    for row in rows:
        for side in ("left", "right"):
            filled = [[text.replace("{side}", side) for text in choice] for choice in row["choices"]]
            conditions[row["name"].replace("{side}", side)] = {words: keys for words, *keys in filled}
    scenes = {p.image.id: scene_facts(p.image, NAMES, p.things) for p in pictures(0, 120)}
    checked = 0
    for question in built.questions:
        scene = scenes[question.image_id]
        for one in question.evidence:
            figure = next((f for f in scene.people if f.name == one.who), None)
            if figure is not None and ":" in one.key and not one.key.startswith("person"):
                fact = figure.facts[one.key]
                assert fact.value is one.value and fact.numbers == one.numbers
        if not question.choices:
            assert [one.value for one in question.evidence] == [question.answer == "yes"]
        elif question.form in conditions and "{" not in "".join(conditions[question.form]):
            held = {one.key: one.value for one in question.evidence}
            for letter, choice in zip(LETTERS, question.choices, strict=True):
                keys = conditions[question.form][choice]
                if any(key.startswith(("S ", "T ", "not S")) for key in keys):
                    continue
                so = [key for key in keys if not key.startswith("not ")]
                wanted = dict.fromkeys(so, True) | {
                    k.removeprefix("not "): False for k in keys if k not in so
                }
                met = [next(v for k, v in held.items() if k.endswith(key)) is w for key, w in wanted.items()]
                assert all(met) is (letter == question.answer), (question, choice)
                checked += 1
    assert checked > 100


def test_what_is_false_by_a_little_is_not_asked_about() -> None:
    """A forearm that ends just below its shoulder, a trunk that leans a little: nobody would deny the one."""
    limits = {"arm: raised": ("wrist", 0.4), "trunk: upright": ("lean", 45.0)}
    near = asked = 0
    for picture in pictures(0, 60):
        scene = scene_facts(picture.image, NAMES, picture.things, picture.captions)
        for figure in scene.people:
            for fact in figure.facts:
                for key, (number, limit) in limits.items():
                    if fact.key.endswith(key) and fact.value is False:
                        near += dict(fact.numbers)[number] < limit
        for question in questions_of(picture, scene):
            for one in question.evidence:
                for key, (number, limit) in limits.items():
                    if one.key.endswith(key) and not one.value:
                        assert dict(one.numbers)[number] >= limit
                        asked += 1
    assert asked > 50 and near >= 0


@pytest.mark.parametrize(
    ("fact", "sure"),
    [
        (Fact("left knee", "straight", True, (("angle", 175.0),), ("joints",)), True),
        (Fact("left knee", "straight", None), False),
        (Fact("body", "kneeling", True, (), ("joints",)), False),
        (Fact("body", "kneeling", True, (), ("joints", "captions 1 of 5")), True),
        (Fact("body", "sitting", True, (), ("joints", "object chair at 1,2 3x4")), True),
        (Fact("action", "surfing", True, (), ("captions 2 of 5",)), False),
        (Fact("action", "surfing", True, (), ("captions 3 of 5",)), True),
        (Fact("head", "turned to the left", True, (), ("joints",)), False),
        (Fact("right arm", "raised", False, (("wrist", 0.06), ("elbow", 0.4)), ("joints",)), False),
        (Fact("right arm", "raised", False, (("wrist", 0.9), ("elbow", 0.4)), ("joints",)), True),
        (Fact("right arm", "raised", False, (), ("joints",)), False),
        (Fact("trunk", "upright", False, (("lean", 28.0),), ("joints",)), False),
        (Fact("person 1, cake", "carried", True, (), ("joints", "object cake at 1,2 3x4")), False),
        (
            Fact(
                "person 1, cake", "carried", True, (), ("joints", "object cake at 1,2 3x4", "captions 1 of 5")
            ),
            True,
        ),
        (
            Fact(
                "person 1, cup",
                "at the left hand",
                True,
                (("near", 0.2),),
                ("joints", "object cup at 1,2 3x4"),
            ),
            False,
        ),
        (
            Fact(
                "person 1, cup",
                "at the left hand",
                False,
                (("near", 2.0),),
                ("joints", "object cup at 1,2 3x4"),
            ),
            True,
        ),
    ],
    ids=str,
)
def test_a_key_rests_on_two_kinds_of_evidence_or_on_unambiguous_geometry(fact: Fact, sure: bool) -> None:
    assert is_sure(fact) is sure


def doing(captions: tuple[str, ...], things: tuple[Thing, ...] = ()) -> dict[str, str]:
    """The answers to the questions about what the only person of a picture does, by action."""
    image = PoseImage(7, Path("7.jpg"), 1000, 700, (person(random.Random(1), 0),))
    picture = AnnotatedImage(image, captions, things)
    found = questions_of(picture, scene_facts(image, NAMES, things, captions))
    return {q.form.removeprefix("action: "): q.right for q in found if q.kind == "actions"}


def test_what_people_do_is_asked_where_captions_tell_it() -> None:
    surfs = ("A man is surfing on a wave.", "A man surfing in the sea.", "A surfer surfing a big wave.")
    answers = doing(surfs)
    assert answers["surfing"] == "yes" and answers["playing tennis"] == "no" == answers["riding a horse"]
    assert answers["board or skis"] == "surfing"
    assert "snowboarding" in doing(("A man on the grass.",) * 3)
    # nothing is denied that a caption or an object speaks of, or that too few captions could have spoken of
    assert "surfing" not in doing(("A man by the waves.", *(("A man stands.",) * 4)))
    assert "surfing" not in doing(("A man on the grass.",) * 3, (Thing("surfboard", Box(5, 5, 9, 9)),))
    assert doing(surfs[:2]) == {}


def test_people_are_counted_by_what_is_sure_of_each() -> None:
    counted = 0
    for picture in pictures(0, 60):
        scene = scene_facts(picture.image, NAMES, picture.things, picture.captions)
        for question in questions_of(picture, scene):
            if question.form == "how many facing the camera":
                number = sum(f.facts.value("body: facing the camera") is True for f in scene.people)
                assert len(scene.people) > 1 and question.right == ("none", "one", "two", "three")[number]
                counted += 1
    assert counted


def test_one_among_several_is_not_asked_about_where_labels_may_leave_people_out() -> None:
    found = build_closed(pictures(0, 60, bare=False), NAMES)
    assert found.questions and not any("the person on" in q.text for q in found.questions)
    assert any("one among several" in note for note in found.notes)


def test_who_is_named_is_who_is_meant(built: ClosedSet) -> None:
    left_right = [q for q in built.questions if "-p1-" in q.id and "p2" not in q.id and q.image_id % 2]
    assert left_right and all("the person on the left" in q.text for q in left_right)
    assert all(
        ("the person on" in q.text) == bool(q.image_id % 2) for q in built.questions if q.kind == "arms"
    )


def test_other_pictures_change_no_question() -> None:
    def made(of: list[AnnotatedImage], seed: int = 0) -> list[Question]:
        found = [q for p in of for q in questions_of(p, scene_facts(p.image, NAMES, p.things), seed)]
        return balanced(found, seed, max_per_answer=10_000)

    few, many = made(pictures(0, 40)), made(pictures(0, 90))
    by_id = {q.id: q for q in many}
    shared = [q for q in few if q.id in by_id]
    assert len(shared) > 0.5 * len(few)
    assert all(by_id[q.id] == q for q in shared)
    assert {q.prompt for q in made(pictures(0, 40), seed=1)} != {q.prompt for q in few}
    assert made(pictures(0, 40)[::-1]) == few


def test_guessing_is_at_chance_and_said(built: ClosedSet) -> None:
    for words, chance in (("yes or no", 0.5), ("four choices", 0.25)):
        [line] = [note for note in built.notes if f"guessed without the image, {words}" in note]
        low, high = (float(end) for end in line.split("(")[1].split(",")[0].split(" to "))
        assert low <= chance <= high and f"chance {chance:.3f}" in line
    assert any("gave their answer away" in note for note in built.notes)


def _with(picture: AnnotatedImage, **changes: object) -> AnnotatedImage:
    people = tuple(replace(p, **changes) for p in picture.image.people)
    return replace(picture, image=replace(picture.image, people=people))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: _with(p, is_crowd=True),
        lambda p: _with(p, box=replace(p.image.people[0].box, w=30, h=50)),
        lambda p: _with(p, visible=frozen_array(np.r_[np.full(7, 2), np.zeros(10)])),
        lambda p: replace(
            p, image=replace(p.image, people=(*p.image.people, *pictures(0, 0)[0].image.people))
        ),
        lambda p: replace(p, image=replace(p.image, people=p.image.people * 5)),
    ],
    ids=["crowd", "small", "few keypoints", "somebody without keypoints", "many"],
)
def test_unclear_pictures_are_not_asked_about(spoil) -> None:  # type: ignore[no-untyped-def]
    picture = pictures(0, 1)[0]
    assert list(questions_of(picture, scene_facts(picture.image, NAMES)))
    worse = spoil(picture)
    assert not list(questions_of(worse, scene_facts(worse.image, NAMES)))


def test_people_are_only_counted_where_the_labels_name_all() -> None:
    assert not [q for q in build_closed(pictures(0, 24, bare=False), NAMES).questions if "-all-" in q.id]
    found = build_closed(pictures(0, 24), NAMES)
    assert [q for q in found.questions if "-all-" in q.id and "more than one person" in q.text]


def test_training_pictures_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text(
        '[{"image": "coco/COCO_train2014_000000001000.jpg"}, {"image": "000000001001.jpg"}, {"id": 1}]'
    )
    found = build_closed(pictures(0, 24), NAMES, training_data=[file])
    assert f"{file} was trained on 2 of the images, which are refused" in found.notes
    assert not {1000, 1001} & {q.image_id for q in found.questions}
    lines = tmp_path / "samples.jsonl"
    lines.write_text("".join(f'{{"image": "{1000 + n:012d}.jpg", "turns": []}}\n' for n in range(24)))
    with pytest.raises(PosetalkError, match=r"samples\.jsonl was trained on 24 of the images.*none is left"):
        build_closed(pictures(0, 24, bare=False), NAMES, training_data=[lines])
    file.write_text("[{}]")
    with pytest.raises(PosetalkError, match="names no image"):
        build_closed(pictures(0, 2), NAMES, training_data=[file])


def test_files_are_read_as_they_were_written(built: ClosedSet, tmp_path: Path) -> None:
    built.save(tmp_path)
    again = read_closed(tmp_path)
    assert again.questions == built.questions and again.solved == built.solved
    (tmp_path / "blind.jsonl").write_text('{"question_id": "a", "solved": 1}\n')
    with pytest.raises(PosetalkError, match="is not of"):
        read_closed(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: it cannot be read"),
        ("[]", "line 1: it cannot be read"),
        ("{}", "line 1: it has no 'choices'"),
        ('{"choices": ["a"], "answer": "A"}', "1 choices"),
        ('{"choices": [], "answer": "A"}', "no answer to it"),
        ('{"choices": [], "answer": "no", "category": "feet"}', "none of posture"),
        ("", "is empty"),
    ],
)
def test_bad_lines_are_one_sentence(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "closed.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(PosetalkError, match=said):
        read_questions(path)
    with pytest.raises(PosetalkError, match="cannot read"):
        read_questions(tmp_path / "none.jsonl")


def test_nothing_to_ask_is_said() -> None:
    with pytest.raises(PosetalkError, match="no question is left"):
        build_closed(pictures(0, 1), NAMES)


@pytest.mark.realdata
def test_real_labels_make_a_set_at_chance() -> None:
    folder = Path(os.environ["POSETALK_DATA"]) / "coco_people/annotations"
    kinds = ("person_keypoints", "captions", "instances")
    data = AnnotatedImages(*(next(folder.glob(f"{kind}*val2017.json")) for kind in kinds))
    found = build_closed(data, data.keypoint_names)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question in found.questions:
        answers[question.text][question.answer] += not question.choices
    assert len(found.questions) > 60
    assert all(counts["yes"] == counts["no"] for counts in answers.values())
    assert all(isinstance(question, Question) and question.evidence for question in found.questions)
