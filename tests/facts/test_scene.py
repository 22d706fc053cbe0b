"""The facts between people and with objects, and how they are shown."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.facts.figures import Points, figure

from posetalk.cli import main
from posetalk.facts.scene import MANY, NEAREST, Scene, people_in_order, scene_facts
from posetalk.facts.show import scene_to_dict
from posetalk.formats.captions import read_captions
from posetalk.formats.objects import Thing, read_objects
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array

NAMES = load_skeleton("coco17").names
SEATED = {"thighs": (90, 90), "shins": (0, 0), "wide": 20}


def person(number: int, points: Points, **changes: object) -> Person:
    xy = np.array([points[name] for name in NAMES])
    given: dict[str, object] = {"visible": frozen_array([2] * 17), "is_crowd": False} | changes
    return Person(number, Box.around(xy), frozen_array(xy), area=1e5, **given)  # type: ignore[arg-type]


def scene(people: list[Person], *things: Thing) -> Scene:
    return scene_facts(PoseImage(7, Path("a.jpg"), 900, 600, tuple(people)), NAMES, things)


def test_people_are_named_from_the_left_whatever_the_order() -> None:
    people = [person(i, figure(at=(x, 300))) for i, x in ((3, 700), (1, 100), (2, 400))]
    found = scene(people)
    assert [f.box.center[0] for f in found.people] == sorted(p.box.center[0] for p in people)
    assert found.people[0].name == "person 1"
    assert scene(people[::-1]).facts.value("person 1, person 3: first on the left") is True


def test_crowds_are_left_out_and_people_without_labels_are_counted() -> None:
    none = frozen_array([0] * 17)
    found = scene(
        [person(1, figure()), person(2, figure(), visible=none), person(3, figure(), is_crowd=True)]
    )
    assert len(found.people) == 1 and found.others == 1
    assert found.facts.value("picture: several people") is True
    assert scene([person(1, figure())]).facts.value("picture: one person") is True


LEFT, RIGHT = {"wide": 10, "nose": (-25, 0)}, {"wide": 10, "nose": (25, 0)}


@pytest.mark.parametrize(
    ("first", "second", "key", "holds"),
    [
        (RIGHT, LEFT, "facing each other", True),
        (LEFT, RIGHT, "facing each other", False),
        (LEFT, RIGHT, "facing apart", True),
        ({}, {}, "facing each other", False),
        ({"uppers": (90, 0), "fores": (90, 0)}, {"at": (420, 300)}, "touching", True),
        ({}, {"at": (800, 300)}, "touching", False),
    ],
)
def test_two_people(first: dict[str, object], second: dict[str, object], key: str, holds: bool) -> None:
    pair = [person(1, figure(**first)), person(2, figure(**({"at": (500, 300)} | second)))]  # type: ignore[arg-type]
    assert scene(pair).facts.value(f"person 1, person 2: {key}") is holds


def test_the_larger_of_two_is_nearer() -> None:
    small = {name: xy * 0.4 for name, xy in figure().items()}
    facts = scene([person(1, small), person(2, figure(at=(800, 300)))]).facts
    assert facts.value("person 1, person 2: second is nearer") is True
    assert facts.value("person 1, person 2: first is nearer") is False


HAND = figure()["left wrist"]


@pytest.mark.parametrize(
    ("pose", "thing", "key", "holds"),
    [
        ({}, Thing("frisbee", Box(*(HAND - 5), 20, 60)), "at the left hand", True),
        ({}, Thing("frisbee", Box(*(HAND - 5), 20, 60)), "carried", True),
        ({}, Thing("bottle", Box(*(HAND - 5), 20, 60)), "carried", None),  # it may stand on a table
        ({}, Thing("bottle", Box(600, 100, 20, 60)), "at the left hand", False),
        ({}, Thing("bottle", Box(600, 100, 20, 60)), "carried", False),
        ({}, Thing("bottle", Box(*(HAND - 200), 500, 500)), "carried", False),  # large: it is much nearer
        ({}, Thing("surfboard", Box(*(HAND - (200, 5)), 400, 80)), "carried", True),
        (SEATED, Thing("chair", Box(250, 280, 100, 120)), "sat on", True),
        (SEATED, Thing("chair", Box(600, 280, 100, 120)), "sat on", False),
        ({}, Thing("chair", Box(250, 280, 100, 120)), "sat on", False),
        (SEATED, Thing("horse", Box(150, 290, 350, 250)), "ridden", True),
        ({}, Thing("horse", Box(150, 290, 350, 250)), "ridden", None),  # it may stand behind
        (SEATED, Thing("horse", Box(600, 290, 350, 250)), "ridden", False),
    ],
)
def test_objects(pose: dict[str, object], thing: Thing, key: str, holds: bool | None) -> None:
    facts = scene([person(1, figure(**pose))], thing).facts  # type: ignore[arg-type]
    assert facts.value(f"person 1, {thing.name}: {key}") is holds, facts[f"person 1, {thing.name}: {key}"]


def test_of_several_objects_of_a_kind_one_is_enough() -> None:
    near, far = Thing("frisbee", Box(*(HAND - 5), 20, 60)), Thing("frisbee", Box(600, 100, 20, 60))
    for things in ((near, far), (far, near)):
        assert scene([person(1, figure())], *things).facts.value("person 1, frisbee: carried") is True


def test_an_object_in_someone_elses_box_is_not_surely_ones_own() -> None:
    at = figure()["left wrist"] + (20, -5)
    other = person(2, figure(at=(340, 300)))
    facts = scene([person(1, figure()), other], Thing("bottle", Box(*at, 20, 20))).facts
    assert facts.value("person 1, bottle: carried") is not True


def test_a_hand_holds_one_kind_of_thing() -> None:
    disc, racket = (
        Thing("frisbee", Box(*(HAND - 5), 20, 30)),
        Thing("tennis racket", Box(*(HAND - 9), 40, 30)),
    )
    facts = scene([person(1, figure())], disc, racket).facts
    for thing in ("frisbee", "tennis racket"):
        assert facts.value(f"person 1, {thing}: at the left hand") is None
        assert facts.value(f"person 1, {thing}: carried") is None
    glove = scene([person(1, figure())], disc, Thing("baseball glove", disc.box)).facts
    assert glove.value("person 1, frisbee: at the left hand") is True


def test_captions_settle_what_boxes_leave_open() -> None:
    """A bottle at the hand that one caption names; two captions are believed alone, of whom they certainly mean."""
    image = PoseImage(7, Path("a.jpg"), 900, 600, (person(1, figure()),))
    bottle = Thing("bottle", Box(*(HAND - 5), 20, 60))
    told = (
        "A man holding a bottle.",
        "A man runs along a beach.",
        "The man is running.",
        "A dog runs.",
        "A bus.",
    )
    found = scene_facts(image, NAMES, (bottle,), told)
    held = found.facts["person 1, bottle: carried"]
    assert held.value is True and held.kinds == {"joints", "object", "captions"}
    facts = found.people[0].facts
    assert facts["action: running"].evidence == ("captions 2 of 5",)
    assert facts.value("action: holding a bottle") is None
    assert found.main == "person 1" and found.people[0].mentions[0].noun == "man"
    two = PoseImage(7, Path("a.jpg"), 900, 600, (person(1, figure()), person(2, figure(at=(600, 300)))))
    assert not any(f.part == "action" for p in scene_facts(two, NAMES, (), told).people for f in p.facts)


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (
            ("A man on a skateboard.", "A person is on a skateboard in a park."),
            "person 1, skateboard: under the feet",
        ),
        (("A man on a motor bike by a wall.", "A guy riding a motorcycle."), "person 1, motorcycle: ridden"),
        (("A girl holding a phone.", "A girl talks on her cell phone."), "person 1, cell phone: carried"),
        (
            ("A man holds a plate of food.", "He is holding a plate of pizza.", "A man holding a plate."),
            "person 1, plate: carried",
        ),
        (("A women holding scissors.", "A woman is holding scissors."), "person 1, scissors: carried"),
        (
            ("A boy doing a skateboard trick.", "A boy doing a trick with his skateboard."),
            "action: skateboarding",
        ),
    ],
)
def test_ways_to_say_that_a_thing_is_used(told: tuple[str, ...], key: str) -> None:
    found = scene_facts(PoseImage(7, Path("a.jpg"), 900, 600, (person(1, figure()),)), NAMES, (), told)
    facts = found.people[0].facts if key.startswith("action") else found.facts
    assert facts.value(key) is True and facts[key].kinds == {"captions"}


def test_a_women_is_a_woman() -> None:
    image = PoseImage(7, Path("a.jpg"), 900, 600, (person(1, figure()),))
    found = scene_facts(image, NAMES, (), ("A women holding scissors.", "A women with scissors."))
    assert {mention.noun for mention in found.people[0].mentions} == {"woman"}


TWO = (
    "Two men playing tennis.",
    "Two people playing tennis with umbrellas.",
    "A tennis court.",
    "Two men holding an umbrella.",
)


@pytest.mark.parametrize(
    ("more", "counted"), [((), True), (("Three men playing tennis.",), False), (("A wall.",) * 4, False)]
)
def test_what_two_do_each_does_where_captions_count_all_of_them(more: tuple[str, ...], counted: bool) -> None:
    """But of two who hold an umbrella one holds it."""
    people = (person(1, figure()), person(2, figure(at=(600, 300))))
    found = scene_facts(PoseImage(7, Path("a.jpg"), 900, 600, people), NAMES, (), (*TWO, TWO[3], *more))
    said = [p.facts.value("action: playing tennis") for p in found.people]
    assert said == ([True, True] if counted else [None, None])
    assert not any(found.facts.value(f"{p.name}, umbrella: carried") for p in found.people)


@pytest.mark.parametrize(("down", "is_on"), [(0, True), (15, True), (90, False), (-150, False)])
def test_a_board_at_both_feet_is_stood_on(down: float, is_on: bool) -> None:
    points = figure()
    feet = np.array([points["left ankle"], points["right ankle"]])
    board = Thing(
        "snowboard", Box(feet[:, 0].min() - 20, feet[:, 1].mean() + down, np.ptp(feet[:, 0]) + 40, 12)
    )
    found = scene([person(1, points)], board)
    assert bool(found.facts.value("person 1, snowboard: under the feet")) is is_on


def test_who_is_before_somebody_else_has_no_place_of_their_own() -> None:
    behind = [person(1, figure()), person(2, figure(at=(310, 300))), person(3, figure(at=(700, 300)))]
    assert people_in_order(scene(behind)) == {"person 3"}
    assert people_in_order(scene(behind[1:])) == {"person 1", "person 2"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """One seated person on a chair, as COCO's three files have it."""
    noise = np.random.default_rng(0).integers(0, 255, (500, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "1.png")
    xy = np.array([figure(**SEATED)[name] for name in NAMES])  # type: ignore[arg-type]
    person_ = {
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1e4, "bbox": list(Box.around(xy).xywh),
        "keypoints": np.column_stack([xy, np.full(17, 2)]).ravel().tolist(),
    }  # fmt: skip
    images = [{"id": 1, "file_name": "1.png", "width": 600, "height": 500}]
    things = [
        {"id": 5, "image_id": 1, "category_id": 62, "bbox": [250, 280, 100, 120], "iscrowd": 0},
        {"id": 6, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 0},
        {"id": 7, "image_id": 1, "category_id": 99, "bbox": [0, 0, 9, 9]},
        {"id": 8, "image_id": 1, "category_id": 62, "bbox": [0, 0, 9], "iscrowd": 0},
    ]
    kinds = [{"id": 1, "name": "person"}, {"id": 62, "name": "chair"}]
    captions = [
        {"image_id": 1, "caption": " A man \n sits. "},
        {"image_id": 1, "caption": ""},
        {"caption": "x"},
    ]
    for name, content in {
        "people": {"images": images, "annotations": [person_], "categories": [kinds[0]]},
        "things": {"annotations": things, "categories": kinds},
        "captions": {"annotations": captions},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_objects_and_captions_are_read_and_bad_records_said(files: Path) -> None:
    things, left_out = read_objects(files / "things.json")
    assert things == {1: (Thing("chair", Box(250, 280, 100, 120)),)}
    assert "annotation 7: its category 99" in left_out[0] and "annotation 8: its bbox has 3" in left_out[1]
    captions, left_out = read_captions(files / "captions.json")
    assert captions == {1: ("A man sits.",)} and len(left_out) == 2


def test_the_command_prints_writes_and_draws(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["facts", str(files / "people.json"), "--objects", str(files / "things.json")]
    with pytest.raises(SystemExit):
        main(words)
    said = capsys.readouterr()
    assert "image 1: 1 person" in said.out and "person 1: sitting" in said.out
    assert "person 1, chair: sat on" in said.out and "category 99" in said.err
    said_twice = [{"image_id": 1, "caption": "A man holds an umbrella."}] * 2
    (files / "said.json").write_text(json.dumps({"annotations": said_twice}))
    with pytest.raises(SystemExit):
        main(["facts", str(files / "people.json"), "--captions", str(files / "said.json")])
    assert "holding an umbrella" in capsys.readouterr().out
    (files / "said.json").write_text('{"annotations": [{"image_id": 2, "caption": "A man."}]}')
    with pytest.raises(SystemExit) as stop:
        main(["facts", str(files / "people.json"), "--captions", str(files / "said.json")])
    assert stop.value.code == 2 and "none of the captions" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--json", str(files / "out.jsonl"), "--draw", str(files / "drawn")])
    [row] = map(json.loads, (files / "out.jsonl").read_text().splitlines())
    assert row["people"][0]["facts"][1] == {
        "of": "body", "says": "sitting", "holds": True, "numbers": row["people"][0]["facts"][1]["numbers"],
        "evidence": ["joints", "object chair at 250,280 100x120"],
    }  # fmt: skip
    drawn = np.asarray(Image.open(files / "drawn" / "1.png"))
    assert drawn.shape[1] > drawn.shape[0] and (drawn[:, -400:] < 128).any()


def row_of(people: int) -> Scene:
    """People in a row, as far from each other as they are wide, with a kite."""
    return scene(
        [person(i, figure(at=(150 * i, 300))) for i in range(people)], Thing("kite", Box(0, 0, 50, 50))
    )


def test_of_many_people_the_nearest_are_compared() -> None:
    few, many = row_of(MANY), row_of(MANY + 1)
    pairs = {fact.part for fact in few.facts if ", person" in fact.part}
    assert len(pairs) == MANY * (MANY - 1) // 2
    near = {fact.part for fact in many.facts if ", person" in fact.part}
    assert "person 20, person 21" in near and "person 20, person 40" not in near
    assert MANY * NEAREST / 2 <= len(near) <= MANY * NEAREST
    for key in ("first on the left", "touching", "facing each other"):
        assert many.facts.value(f"person 1, person 2: {key}") == few.facts.value(f"person 1, person 2: {key}")
    for row in (few, many):
        assert people_in_order(row) == {person.name for person in row.people}


def test_facts_of_a_crowd_grow_with_its_people() -> None:
    def seconds(people: int) -> float:
        begin = time.process_time()
        json.dumps(scene_to_dict(row_of(people)))
        return time.process_time() - begin

    assert seconds(4 * 60) < 8 * seconds(60) + 0.5
