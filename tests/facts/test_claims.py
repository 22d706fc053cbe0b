"""What texts say, and whether it is so."""

from __future__ import annotations

import os
import runpy
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tests.facts.figures import figure

from posetalk.facts.claims import check_claim, check_text, find_claims
from posetalk.facts.ordinals import ordinal, ordinal_number
from posetalk.facts.scene import Scene, scene_facts
from posetalk.facts.who import people_meant
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco
from posetalk.formats.objects import Thing, read_objects
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.from_facts.names import subjects

NAMES = load_skeleton("coco17").names

SAID: list[tuple[str, list[str]]] = [
    ("A man is standing next to a bus.", ["body: standing"]),
    ("A bus standing at a stop.", []),
    ("A bus standing at a stop with a man sitting inside.", ["body: sitting"]),
    ("A dog laying on a couch", []),
    ("A cat laying on a bed while a woman sits.", ["body: sitting"]),
    ("She is not standing.", ["not body: standing"]),
    ("He isn't sitting but kneeling.", ["not body: sitting", "body: kneeling"]),
    ("He crouches rather than kneeling.", ["body: squatting", "not body: kneeling"]),
    ("He is about to stand up.", []),
    ("She might be sitting.", []),
    ("There is room for people to sit.", []),
    ("Police officers laying a speed trap", []),
    ("A woman bends over a stove", ["body: bending over"]),
    ("The surfer is crouching on his board.", ["body: squatting"]),
    ("He faces the camera.", ["body: facing the camera"]),
    ("With his back to the camera he waits.", ["body: facing away", "not body: facing the camera", "action: waiting"]),
    ("The man is not facing away.", ["not body: facing away"]),
    ("The player, facing left, waits.", ["body: facing left", "action: waiting"]),
    ("Facing to the right of the picture, she runs.", ["body: facing right", "action: running"]),
    ("His left arm is straight.", ["left elbow: straight"]),
    ("Her right elbow is bent at a right angle.", ["right elbow: bent at a right angle"]),
    ("Her right knee is bent.", ["not right knee: straight"]),
    ("The left knee is slightly bent.", ["left knee: slightly bent"]),
    ("The left arm and the right leg is straight.", ["right knee: straight"]),
    ("with his hands on his knees", ["left hand: at the knee", "right hand: at the knee"]),
    ("He is on his knees.", ["body: kneeling"]),
    ("Both arms are raised.", ["arms: raised"]),
    ("His left arm is raised.", ["left arm: raised"]),
    ("Raising his right hand, he calls.", ["right arm: raised"]),
    ("His left hand is above his head.", ["left hand: above the head"]),
    ("She stands with her arms crossed.", ["body: standing", "arms: crossed"]),
    ("hands on her hips", ["arms: on the hips"]),
    ("arms stretched out to the sides", ["arms: stretched out to the side"]),
    ("His right hand rests on his knee.", ["right hand: at the knee"]),
    ("The left hand is near the face.", ["left hand: at the face"]),
    ("Her right foot is off the ground.", ["right foot: lifted"]),
    ("with legs apart", ["legs: apart"]),
    ("His feet are together.", ["legs: together"]),
    ("A skier upside down in the air", ["trunk: upside down", "body: airborne"]),
    ("An upside down umbrella", []),
    ("The left wrist is hidden.", ["left wrist: hidden"]),
    ("Her head is turned to her left.", ["head: turned to the left"]),
    ("There are two people.", ["picture: people 2"]),
    ("The photo shows 3 people", ["picture: people 3"]),
    ("A pigeon is standing at her feet.", []),
    ("A blue bus is standing behind the people.", []),
    ("A woman with a controller is sitting.", ["body: sitting"]),
    ("The plumber is standing.", ["body: standing"]),
    ("The player in the middle, in white, is seated.", ["body: sitting"]),
    ("A mirror that sits above a sink", []),
    ("Nobody is lying on the bench.", ["not body: lying"]),
    ("He is seen from behind.", ["body: facing away", "not body: facing the camera"]),
    ("Is the back of the man turned to the camera?", ["body: facing away", "not body: facing the camera"]),
    ("Both of her knees are bent.", ["not left knee: straight", "not right knee: straight"]),
    ("Both of his arms are straight.", ["left elbow: straight", "right elbow: straight"]),
    ("He has his left arm up.", ["left arm: raised"]),
    ("A girl is riding a horse.", ["horse: ridden"]),
    ("She holds an umbrella.", ["umbrella: carried"]),
    ("He holds the phone in his left hand.", ["cell phone: at the left hand"]),
    ("He sits on a bench.", ["bench: sat on", "body: sitting"]),
    ("An understanding with nothing else", []),
    ("", []),
]  # fmt: skip


def words(text: str) -> list[str]:
    return [
        ("" if c.value else "not ") + c.key + (f" {c.number}" if c.number is not None else "")
        for c in find_claims(text)
    ]


@pytest.mark.parametrize(("text", "said"), SAID, ids=[text for text, _ in SAID])
def test_what_is_said(text: str, said: list[str]) -> None:
    assert words(text) == said
    assert words(text.upper()) == said


def test_numbers_of_people_in_words() -> None:
    counted = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    said = [find_claims(f"There are {word} people.")[0].number for word in counted]
    assert said == list(range(1, 11))


def test_a_claim_knows_whom_it_means() -> None:
    first, second, third = find_claims("Person 2 sits while person 1 kneels. He faces the camera.")
    assert (first.who, second.who, third.who) == ("person 2", "person 1", None)
    assert first.text == "sits"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Person 2 sits.", "person 2"),
        ("The third person from the left sits.", "place 3"),
        ("The person on the right sits.", "right"),
        ("The person in the middle sits.", "middle"),
        ("The person on the left stands, and the person on the right sits.", "right"),
        ("Somebody sits.", None),
    ],
)
def test_people_are_known_by_their_places(text: str, who: str | None) -> None:
    assert find_claims(text)[-1].who == who


def scene(*poses: dict[str, object], unlabelled: int = 0) -> Scene:
    people = []
    for number, pose in enumerate(poses):
        xy = np.array([figure(**({"at": (200 + 300 * number, 300)} | pose))[name] for name in NAMES])  # type: ignore[arg-type]
        people.append(Person(number, Box.around(xy), frozen_array(xy), frozen_array([2] * 17), 1e5))
    for number in range(unlabelled):
        none = frozen_array(np.zeros((17, 2)))
        people.append(Person(90 + number, Box(0, 0, 9, 9), none, frozen_array([0] * 17), 30))
    # a posture needs support: who sits has a chair
    chairs = [
        Thing("chair", Box(150 + 300 * number, 280, 100, 120))
        for number, pose in enumerate(poses)
        if pose.get("thighs") == (90, 90)
    ]
    return scene_facts(PoseImage(1, Path("a.jpg"), 900, 600, tuple(people)), NAMES, chairs)


SEATED: dict[str, object] = {"thighs": (90, 90), "shins": (0, 0), "wide": 20}


@pytest.mark.parametrize(
    ("text", "poses", "verdict"),
    [
        ("A man stands.", [{}], "agrees"),
        ("A man sits.", [{}], "contradicts"),
        ("A man is not sitting.", [{}], "agrees"),
        ("A man is not standing.", [{}], "contradicts"),
        ("A man sits.", [{}, SEATED], "agrees"),
        ("Person 1 sits.", [{}, SEATED], "contradicts"),
        ("Person 2 sits.", [{}, SEATED], "agrees"),
        ("Person 3 sits.", [{}, SEATED], "cannot tell"),
        ("There are two people.", [{}, SEATED], "agrees"),
        ("There is one person.", [{}, SEATED], "contradicts"),
        ("The person on the left sits.", [{}, SEATED], "contradicts"),
        ("The person on the right sits.", [{}, SEATED], "agrees"),
        ("The second person from the left stands.", [{}, SEATED], "contradicts"),
        ("The person on the left sits.", [{}], "contradicts"),
        ("There are two men.", [{}, {}, {}], "cannot tell"),
        ("There are three men.", [{}, {}], "contradicts"),
        ("His left arm is raised.", [{}], "contradicts"),
        ("His left knee is hidden.", [{}], "contradicts"),
    ],
)
def test_claims_against_facts(text: str, poses: list[dict[str, object]], verdict: str) -> None:
    [claim] = find_claims(text)
    assert check_claim(claim, scene(*poses)) == verdict


@pytest.mark.parametrize(
    ("text", "poses", "unlabelled", "verdict"),
    [
        ("The second person from the left sits.", [{}], 0, "cannot tell"),
        ("The second person from the left stands.", [{}], 0, "cannot tell"),
        ("The second person from the left sits.", [SEATED, SEATED], 1, "cannot tell"),
        ("The second person from the left stands.", [SEATED, SEATED], 1, "cannot tell"),
        ("The 2nd person from the left sits.", [{}, SEATED], 0, "agrees"),
        ("The 2nd person from the left stands.", [{}, SEATED], 0, "contradicts"),
        ("The 3rd person sits.", [{}, SEATED], 0, "cannot tell"),
        ("The 3rd person sits.", [SEATED, SEATED, SEATED], 0, "agrees"),
        ("The 3rd person stands.", [SEATED, SEATED, SEATED], 0, "contradicts"),
        ("The 3rd person sits.", [SEATED, SEATED, {}], 0, "cannot tell"),
        ("The eleventh person from the left sits.", [{}], 0, "cannot tell"),
        ("The twentieth person from the left stands.", [SEATED], 0, "cannot tell"),
        ("The 21st person from the left stands.", [SEATED], 0, "cannot tell"),
        ("The second person from the right sits.", [SEATED, {}], 0, "agrees"),
        ("The second person from the right stands.", [SEATED, {}, {}], 0, "agrees"),
        ("The third man stands.", [SEATED, SEATED], 0, "cannot tell"),
        ("The third man from the left stands.", [SEATED, SEATED, {}], 0, "cannot tell"),
        ("A second person sits.", [{}], 0, "cannot tell"),
        ("A second person is standing.", [SEATED], 0, "cannot tell"),
        ("The person on the right sits.", [{}, SEATED], 1, "cannot tell"),
        ("The person on the right stands.", [SEATED, SEATED], 1, "cannot tell"),
        ("The person on the left sits.", [{}, {}, {}, {}], 0, "contradicts"),
        ("The person on the left sits.", [SEATED, {}, {}, {}], 0, "cannot tell"),
        ("The person in the middle sits.", [{}, SEATED], 0, "cannot tell"),
        ("The person in the middle sits.", [{}, SEATED, {}], 0, "agrees"),
        ("The person in the middle sits.", [{}, SEATED, {}], 1, "cannot tell"),
        ("The man on the left sits.", [SEATED, {}], 0, "agrees"),
        ("The man on the left sits.", [SEATED, {}, {}], 0, "cannot tell"),
        ("The leftmost person sits.", [SEATED, {}, {}, {}], 0, "agrees"),
        ("The rightmost person sits.", [SEATED, {}, {}, {}], 0, "contradicts"),
        ("The person in the background sits.", [{}], 0, "cannot tell"),
        ("The person in the background stands.", [{}], 0, "cannot tell"),
        ("In the background, a man stands.", [{}], 0, "cannot tell"),
        ("With trees in the background, the man sits.", [{}], 0, "contradicts"),
        ("Spectators stand.", [SEATED], 0, "cannot tell"),
        ("Another person sits.", [{}, SEATED], 0, "cannot tell"),
        ("Another person sits.", [{}, {}], 0, "contradicts"),
        ("The other man stands.", [{}, {}], 1, "cannot tell"),
        ("Everyone is standing.", [{}, SEATED], 0, "contradicts"),
        ("Everyone is standing.", [{}, {}], 0, "agrees"),
        ("Everyone is standing.", [{}, {}], 1, "cannot tell"),
        ("Everyone is standing.", [{}, SEATED], 1, "contradicts"),
        ("All of the people are sitting.", [{}, SEATED], 0, "contradicts"),
        ("Both people are sitting.", [SEATED, SEATED], 0, "agrees"),
        ("They are both sitting.", [SEATED, {}], 0, "contradicts"),
        ("Not everyone is standing.", [{}, SEATED], 0, "agrees"),
        ("Not everyone is standing.", [{}, {}], 0, "contradicts"),
        ("Nobody is sitting.", [{}, SEATED], 0, "contradicts"),
        ("Nobody is sitting.", [{}, {}], 0, "agrees"),
        ("Nobody is sitting.", [{}, {}], 1, "cannot tell"),
        ("No one is sitting.", [SEATED, {}], 0, "contradicts"),
        ("None of them is sitting.", [SEATED, {}], 0, "contradicts"),
        ("No person is sitting.", [{}, {}], 0, "agrees"),
        ("No man is sitting.", [{}, {}], 0, "cannot tell"),
        ("Neither of them is sitting.", [{}, SEATED], 0, "contradicts"),
        ("One of the people is sitting.", [{}, SEATED], 0, "agrees"),
        ("The first clearly visible person from the left sits.", [SEATED, {}], 1, "agrees"),
        ("The first clearly visible person from the left stands.", [SEATED, {}], 2, "contradicts"),
        ("The third clearly visible person from the left stands.", [SEATED, {}], 2, "cannot tell"),
        ("The most clearly visible person stands.", [SEATED], 2, "contradicts"),
        ("The person on the left is a man who sits.", [SEATED, {}], 0, "agrees"),
        ("The man on the left looks at a woman who sits.", [{}, SEATED], 0, "cannot tell"),
        ("Person 3 sits.", [{}, SEATED], 0, "cannot tell"),
        ("A woman sits to the left of a man.", [{}, SEATED], 0, "agrees"),
        ("The man to the left of the woman sits.", [{}, SEATED], 0, "agrees"),
    ],
)
def test_whom_a_claim_is_held_against(
    text: str, poses: list[dict[str, object]], unlabelled: int, verdict: str
) -> None:
    """Who may be nobody of the labelled is not held against anybody else."""
    claim = find_claims(text)[-1]
    assert check_claim(claim, scene(*poses, unlabelled=unlabelled)) == verdict


@pytest.mark.parametrize("unlabelled", [0, 2])
@pytest.mark.parametrize("people", [2, 3, 4, 12, 23])
def test_who_is_named_by_the_writer_is_known_to_the_reader(people: int, unlabelled: int) -> None:
    of = scene(*[{}] * people, unlabelled=unlabelled)
    for one, subject in zip(of.people, subjects(of, ()), strict=True):
        [claim] = find_claims(f"{subject.name} sits.")
        if subject.name == "one of the people":  # who cannot be named
            assert claim.who is None
            continue
        assert claim.who is not None and one in people_meant(claim.who, of)
        if "on the far" not in subject.name:  # of a group the outermost of those who are large enough
            assert people_meant(claim.who, of) == (one,)


def test_ordinals_in_words_and_figures() -> None:
    assert [ordinal_number(ordinal(number)) for number in range(1, 130)] == list(range(1, 130))
    assert [ordinal(n) for n in (1, 20, 21, 22, 23, 24, 111, 112, 121)] == [
        "first", "twentieth", "21st", "22nd", "23rd", "24th", "111th", "112th", "121st",
    ]  # fmt: skip
    assert [ordinal_number(word) for word in ("Third", "3rd", "11th", "TENTH")] == [3, 3, 11, 10]


@pytest.mark.parametrize(
    "piece",
    [
        "the third person ",
        "sits ",
        "the man on the left ",
        "a ",
        "the big ",
        "in the background, ",
        "person 1 sits ",
        "x",
        "no ",
        "arm of ",
        "the racket in his left hand ",
        "and which is ",
        "'s ",
    ],
)
def test_long_texts_are_read_at_once(piece: str) -> None:
    def seconds(many: int) -> float:
        before = time.process_time()
        find_claims(piece * (many // len(piece)))
        return time.process_time() - before

    seconds(100)
    assert seconds(40_000) < 8 * seconds(10_000) + 0.5


def test_somebody_without_labels_may_be_meant() -> None:
    [claim] = find_claims("A man sits.")
    assert check_claim(claim, scene({}, unlabelled=1)) == "cannot tell"
    [count] = find_claims("There are two people.")
    assert check_claim(count, scene({}, unlabelled=1)) == "agrees"


def test_what_is_not_known_is_not_contradicted() -> None:
    [claim] = find_claims("He is sitting.")
    assert check_claim(claim, scene()) == "cannot tell"


def test_what_a_wrist_does_not_show_is_not_denied() -> None:
    """A hand reaches beyond its wrist, and one who faces the camera may well look to a side."""
    near = scene({"uppers": (0, 30), "fores": (0, 130)})
    distance = dict(near.people[0].facts["right hand: at the face"].numbers)["distance"]
    far = scene({})
    [claim] = find_claims("Her right hand is at her mouth.")
    assert 0.5 < distance < 0.8 and near.people[0].facts.value("right hand: at the face") is False
    assert check_claim(claim, near) == "cannot tell" and check_claim(claim, far) == "contradicts"
    [left], [right] = find_claims("She is facing left."), find_claims("She is facing right.")
    looks = scene({"nose": (-25, 0)})
    assert check_claim(left, looks) == "cannot tell" and check_claim(right, looks) == "contradicts"


def test_a_text_is_checked_claim_by_claim() -> None:
    verdicts = check_text("Person 1 sits. Person 2 sits with his arms crossed.", scene({}, SEATED))
    assert [(claim.text, claim.who, verdict) for claim, verdict in verdicts] == [
        ("sits", "person 1", "contradicts"),
        ("sits", "person 2", "agrees"),
        ("arms crossed", "person 2", verdicts[2][1]),
    ]
    assert check_text("A red bus.", scene({})) == []


@pytest.mark.realdata
def test_sentences_about_real_people() -> None:
    """Written and judged by eye; how they fare is told by runs/claims_sentences.py."""
    verdict = runpy.run_path(str(Path(__file__).parents[2] / "runs/claims_sentences.py"))["verdict"]
    folder = Path(os.environ["POSETALK_DATA"]) / "coco_people/annotations"
    scenes = {}
    for part in ("val2017", "train2017"):
        people = read_coco(folder / f"person_keypoints_{part}.json", folder)
        captions, _ = read_captions(folder / f"captions_{part}.json")
        things, _ = read_objects(folder / f"instances_{part}.json")
        scenes |= {
            i.id: scene_facts(i, people.keypoint_names, things.get(i.id, ()), captions.get(i.id, ()))
            for i in people.images
        }
    file = tomllib.loads((Path(__file__).parent / "sentences.toml").read_text(encoding="utf-8"))
    said = [
        (truth, verdict(text, who, scenes[image]))
        for image, who, truth, _, text in file["said"] + file["fresh"]
    ]
    contradicted = [truth for truth, found in said if found == "contradicts"]
    assert len(said) >= 700 and contradicted.count(False) >= 0.95 * len(contradicted)
    assert contradicted.count(False) >= 0.65 * sum(not truth for truth, _ in said)
