"""What must not pass is found for the right reason, and what is good passes."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.facts.figures import figure

from posetalk.facts.scene import Scene, scene_facts
from posetalk.llm.fault import Fault, Reason
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.from_facts.writer import write
from posetalk.write.from_model.recipe import RECIPES, given_facts, prompt
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Sample, Turns
from posetalk.write.screening.rules import gives_away
from posetalk.write.screening.screen import faults_of

NAMES = load_skeleton("coco17").names
SEATED: dict[str, object] = {"thighs": (90, 90), "shins": (0, 0), "wide": 20}
GOOD = ("Where are the hands of the rider?", "Both hands are at the rider's chest.")


def scene(*poses: dict[str, object]) -> Scene:
    people = []
    for number, pose in enumerate(poses):
        xy = np.array([figure(**({"at": (200 + 300 * number, 300)} | pose))[name] for name in NAMES])  # type: ignore[arg-type]
        people.append(Person(number, Box.around(xy), frozen_array(xy), frozen_array([2] * 17), 1e5))
    return scene_facts(PoseImage(1, Path("a.jpg"), 900, 600, tuple(people)), NAMES)


def sample(*turns: tuple[str, str], kind: Kind = "conversation") -> Sample:
    return Sample(f"1-{kind}", 1, "a.jpg", kind, turns, "test")


def faults(question: str, answer: str, **more: object) -> tuple[Fault, ...]:
    """Of one turn of a conversation whose other turn is good."""
    return faults_of(sample(GOOD, (question, answer)), more.pop("scene", None), **more)  # type: ignore[arg-type]


def reasons(question: str, answer: str, **more: object) -> set[Reason]:
    return {fault.reason for fault in faults(question, answer, **more)}


WHAT = "What can be said of the pose?"
LEAKS = [
    ("His keypoints indicate that both arms are raised.", "keypoints"),
    ("From the key points of the body the person seems to walk.", "key points"),
    ("Key points show a raised arm.", "Key points"),
    ("Based on the key points given, both knees are bent.", "key points"),
    ("The visibility flags of the ankles say that the feet are hidden.", "visibility flags"),
    ("The wrist is not labelled, so the hand may be hidden.", "not labelled"),
    ("The annotated joints are close to each other.", "annotated joints"),
    ("The person stands in the bounding box on the left.", "bounding box"),
    ("The person at [0.12, 0.3, 0.45, 0.9] is sitting.", "[0.12, 0.3, 0.45, 0.9]"),
    ("The left hand is at (120, 45).", "(120, 45)"),
    ("The nose (0.51 0.22) is above the shoulders.", "(0.51 0.22)"),
    ("The head is about 0.25 from the top.", "0.25"),
    ("Both are given as (x, y) pairs.", "(x, y)"),
    ("The hand is some 40 pixels above the hip.", "40 pixels"),
    ("Going by the coordinates, the arm is raised.", "coordinates"),
    ("The x-coordinate of the wrist is the larger one.", "coordinate"),
    ("His wrist coordinates place the hand at the hip.", "coordinates"),
    ("The caption calls this person a surfer.", "caption"),
    ("According to the captions, a man is surfing.", "captions"),
    ("The annotations mark two people.", "annotations"),
    ("According to the description, the person is waiting.", "According to the description"),
    ("Based on the provided data, the legs are apart.", "Based on the provided data"),
    ("The text mentions an umbrella that the person holds.", "The text mentions"),
    ("The colour of the shirt is not specified.", "not specified"),
    ("Person 1 is to the left of the others.", "Person 1"),
    ("The taller one, Person B, has raised an arm.", "Person B"),
    ("First Person: The right arm is bent.", "First Person:"),
    ("They stand with the left shoulder, right shoulder, left elbow, right elbow in view.", "right elbow"),
    (
        "The knee is slightly bent, bent at a right angle, sharply bent.",
        "slightly bent, bent at a right angle",
    ),
    (
        "The right hand is at the shoulder, at the chest, at the hip.",
        "at the shoulder, at the chest, at the hip",
    ),
    ("As an AI language model I look at the arms first.", "As an AI"),
    ("Sure, here is a description of the pose.", "here is a description"),
]
HARMLESS = [
    "The key point is that balance comes from the hips.",
    "A key point to remember is to bend the knees.",
    "There are some key points to keep in mind when a board is carried.",
    "The key points of the lesson are on a board behind the person.",
    "She coordinates her arms and legs well, so the step looks light.",
    "The two have to coordinate their steps so that the board stays level.",
    "The arms and legs are well coordinated.",
    "The person in the box of a truck is standing.",
    "The left elbow and the right elbow are bent, and the left wrist is near the right hip.",
    "The left knee is slightly bent, the right one bent at a right angle.",
    "One hand is at the hip, the other at the chest.",
    "There is some text on the shirt, and the sign says that surfing is not allowed.",
    "According to the text on the sign, one has to wait here.",
    "Given the fact that both knees are bent, the person is likely to sit down next.",
    "The first person from the left is standing, and the second person is not.",
    "The score is 2 to 1, and 15 people watch from about 2.5 metres away.",
    "It takes 0.5 seconds to do so.",
    "The clock shows 10:45, and the shirt has the number 23.",
    "No detail of the hand can be seen behind the racket.",
    "As a model for the others, the person holds both arms up.",
]


@pytest.mark.parametrize(("answer", "words"), LEAKS, ids=[words for _, words in LEAKS])
def test_leaks_are_found_and_quoted(answer: str, words: str) -> None:
    found = [fault for fault in faults(WHAT, answer) if fault.reason == "leak"]
    assert any(words in fault.words and "answer 2" in fault.words for fault in found), found
    assert gives_away(answer)
    asked = faults(answer.rstrip(".") + "?", "Both arms are raised.")
    assert any(fault.reason == "leak" and "question 2" in fault.words for fault in asked), "in questions too"


@pytest.mark.parametrize("answer", HARMLESS)
def test_the_same_words_in_another_sense_are_no_leak(answer: str) -> None:
    assert faults(WHAT, answer) == () and not gives_away(answer)


TOLD = """You write questions and answers for teaching. You cannot see the photograph, so rely on nothing but the notes
that follow, and never mention that such notes exist. Call
them the person on the left and the person on the right. Example:
Why does the sailor hold the rope with stretched arms?"""


@pytest.mark.parametrize(
    ("question", "answer", "echo"),
    [
        (WHAT, "I rely on nothing but the notes that follow, so both arms are raised.", True),
        (WHAT, "One should RELY ON NOTHING -- but the notes that follow!", True),
        (WHAT, "Arms are raised by the person on the left and the person on the right.", False),
        (WHAT, "I rely on nothing but my own two eyes.", False),
        (
            "Why does the sailor hold the rope with stretched arms?",
            "So that the back can stay straight.",
            False,
        ),
        ("As you cannot see the photograph, so rely on what else?", "On the arms, which are raised.", True),
    ],
)
def test_the_prompts_own_words_do_not_come_back(question: str, answer: str, echo: bool) -> None:
    assert ("leak" in reasons(question, answer, prompt_text=TOLD)) is echo
    assert "leak" not in reasons(question, answer)


@pytest.mark.parametrize(
    ("question", "answer", "poses", "denied"),
    [
        (WHAT, "The person is sitting on a bench.", [{}], True),
        (WHAT, "The person is standing on a bench.", [{}], False),
        (WHAT, "The person may be sitting.", [{}], False),
        (WHAT, "One of the people is sitting.", [{}, SEATED], False),
        ("How many people are there?", "There are three people.", [{}], True),
        ("How many people are there?", "There is one person.", [{}], False),
        ("Is the person sitting?", "No, the person is not sitting.", [{}], False),
        ("Is the person sitting?", "No.", [{}], False),
        ("Is the person sitting?", "Yes.", [{}], True),
        ("Is the person sitting down?", "Yes, on a bench.", [{}], True),
        ("Is the person standing?", "Yes.", [{}], False),
        ("Is the person standing?", "No.", [{}], True),
        ("Is the person standing?", "No, bent over, as it seems.", [{}], True),
        ("Is the person standing?", "No, not on the bench.", [{}, SEATED], False),
        ("Is the person standing in the sun wearing a hat?", "No.", [{}], False),
        ("Is the person standing or sitting?", "Standing.", [{}], False),
        ("Is the person standing or sitting?", "Sitting.", [{}], True),
        ("Why is the person sitting down?", "To rest the legs.", [{}], True),
        ("Why is the person standing?", "To see more of the game.", [{}], False),
        ("What would change if the person was sitting?", "The knees would be bent.", [{}], False),
    ],
)
def test_what_the_facts_deny(
    question: str, answer: str, poses: list[dict[str, object]], denied: bool
) -> None:
    assert reasons(question, answer, scene=scene(*poses)) == ({"contradicted"} if denied else set())
    assert reasons(question, answer) == set(), "without facts nothing is denied"


NO_WORDS = ["A person with a board near the water", "Somebody at the beach"]
GUESSES: list[tuple[str, str, list[str] | None, bool]] = [
    (WHAT, "The two are friends.", None, True),
    (WHAT, "They are likely friends or a couple.", None, True),
    (WHAT, "They are likely friends.", ["Two friends on a beach"], False),
    (WHAT, "They are likely friends.", ["Two people on a beach"], True),
    (WHAT, "It cannot be told whether they are friends.", None, False),
    (WHAT, "A couple of people are standing by.", None, False),
    (WHAT, "A couple is standing by.", None, True),
    (WHAT, "This suggests a close bond between them.", None, True),
    ("Are they friends?", "That cannot be seen in a pose.", None, False),
    ("Are they friends?", "No, nothing says so.", None, False),
    ("Are they friends?", "Yes, nobody would doubt it.", None, True),
    ("Why do the friends stand so close?", "The bench is short.", None, True),
    (WHAT, "The rider looks happy.", None, True),
    (WHAT, "The raised arms show excitement.", None, True),
    (WHAT, "There is no sign of fear in the pose.", None, False),
    (WHAT, "The arms hang down in a relaxed way.", None, False),
    (WHAT, "They feel calm about it.", None, True),
    (WHAT, "The sand feels warm at noon.", None, False),
    (WHAT, "Someone holds a joystick at a happy hour sign.", None, False),
    (WHAT, "The person wants to catch the ball.", None, True),
    (WHAT, "The person is about to catch the ball.", None, False),
    (WHAT, "The rider is lost in thought.", None, True),
    (WHAT, "A police officer is standing there.", None, False),
    (WHAT, "A police officer is standing there.", NO_WORDS, True),
    (WHAT, "A police officer is standing there.", ["An officer on a horse"], False),
    (WHAT, "A nurse is standing there.", ["A doctor at a bed"], False),
    (WHAT, "A nurse is standing there.", ["A teacher at a board"], True),
    (WHAT, "He is standing.", None, False),
    (WHAT, "He is standing.", NO_WORDS, True),
    (WHAT, "He is standing.", ["A man on a board"], False),
    (WHAT, "She is standing.", ["A man on a board"], True),
    ("What is the woman doing?", "Standing with both arms raised.", NO_WORDS, True),
    (WHAT, "The person is smiling.", NO_WORDS, True),
    (WHAT, "The person is smiling.", None, False),
    (WHAT, "They are standing, and their arms are raised.", NO_WORDS, False),
]


@pytest.mark.parametrize(("question", "answer", "captions", "guess"), GUESSES)
def test_guesses_are_found_unless_a_caption_bears_them_out(
    question: str, answer: str, captions: list[str] | None, guess: bool
) -> None:
    assert reasons(question, answer, captions=captions) == ({"guess"} if guess else set())


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Is the person standing?", "The shirt is green.", "mismatch"),
        ("Is the person standing?", "The legs are straight.", None),
        ("Is there a dog near the person?", "A small dog lies at the feet of the person.", None),
        ("Would a push throw the rider off balance?", "It could.", None),
        ("Are the head and the chest turned the same way?", "They are not: the head is turned back.", None),
        ("Is the ball red or green?", "Green.", None),
        ("Is it summer or winter there?", "The trees have lost their leaves.", None),
        ("Can you describe the arms?", "They hang down.", None),
        ("Does the rider wear a hat?", "Yes.", None),
        ("Where is the ball?", "Yes, it is.", "mismatch"),
        ("Who holds the ball?", "No one does.", None),
        ("How many people hold a ball?", "The ball is green.", "mismatch"),
        ("How many people hold a ball?", "Nobody does.", None),
        ("Is the rider standing?", "No, the rider is standing.", "mismatch"),
        ("Is the rider standing?", "Yes, but he is not standing.", "mismatch"),
        ("Is the rider standing?", "No, the rider is sitting.", None),
        ("Where is the ball?", "Where is the ball", "mismatch"),
        ("Where is the ball?", "Do you mean the red one?", "mismatch"),
        ("Where is the ball?", "Where could it be? It is behind the bench.", None),
        ("Where is the ball?", "Der Ball liegt unter einer Bank neben zwei Kindern.", "mismatch"),
        ("Where is the ball?", "El hombre sostiene una pelota con ambas manos abiertas.", "mismatch"),
        ("Where is the ball?", "球在长椅下面。", "mismatch"),
        ("Where is the ball?", "У скамейки.", "mismatch"),
        ("Where is the ball?", "Near José's café.", None),
        ("Where is the ball?", "...", "mismatch"),
        ("Where is the ball?", "I'm sorry, but that is beyond me.", "mismatch"),
        ("Where is the ball?", "It lies under the", "length"),
        ("Where is the ball?", "It lies under the bench. A child looks for", "length"),
        ("Where is the ball?", "It lies under the bench,", "length"),
        ("Where is the ball?", "It lies under the bench...", "length"),
        ("Where is the ball?", "Under the bench", None),
        ("Where is the ball?", 'On the side that says "Exit."', None),
        ("Where is the ball?", "It lies there. " * 60, "length"),
        ("Where?", "Under the bench.", "length"),
        ("Where is the ball?", "Left. Right. Left. Right. Left. Right. Left. Right.", "duplicate"),
        ("Where is the ball?", "", "turns"),
        (" ", "Under the bench.", "turns"),
        ("The ball lies under the bench.", "Where is the ball?", "turns"),
        ("The ball lies under the bench.", "It is red.", "turns"),
        (GOOD[0], "They are raised.", "duplicate"),
        ("Where is the ball?", "It lies in the child s hand.", "unreadable"),
        ("Where is the ball?", "The child doesn t have it.", "unreadable"),
        ("Where is the ball?", "It lies at the childâ€™s feet.", "unreadable"),
        ("Where is the ball?", "**Under** the bench.", "unreadable"),
        ("Where is the ball?", "Under it. Question: Who sits there? Answer: Nobody.", "unreadable"),
        ("Where is the ball?", "Under the bench.<|im_end|>", "unreadable"),
        ("Where is the {thing}?", "Under the bench.", "unreadable"),
    ],
)  # fmt: skip
def test_answers_beside_the_question_lengths_and_turns(
    question: str, answer: str, reason: Reason | None
) -> None:
    found = reasons(question, answer)
    assert (reason in found) if reason else not found, faults(question, answer)


LONG = (
    "The left arm hangs down, and the right one is raised to the height of the shoulder with the hand open. "
    * 2
)


@pytest.mark.parametrize(
    ("kind", "turns", "found"),
    [
        ("conversation", (), {"turns"}),
        ("conversation", (GOOD,), {"turns"}),
        ("conversation", (GOOD, ("Who else is there?", "Nobody.")), set()),
        ("detail", (("Describe the pose.", LONG),), set()),
        ("detail", (("Describe the pose.", LONG), GOOD), {"turns", "length"}),
        ("detail", (("Describe the pose.", "The arms hang down."),), {"length"}),
        ("detail", (("Describe the pose.", LONG + "The legs are straight"),), {"length"}),
        ("detail", (("Describe the pose.", LONG * 20),), {"length", "duplicate"}),
        ("detail", (("As nobody else can, describe the pose", LONG),), set()),
        ("reasoning", (("Why is the arm raised?", LONG),), set()),
        ("reasoning", (("Why is the arm raised?", "To wave."),), {"length"}),
    ],
)
def test_each_kind_has_its_turns_and_lengths(kind: Kind, turns: Turns, found: set[Reason]) -> None:
    assert {fault.reason for fault in faults_of(sample(*turns, kind=kind), None)} == found


def test_all_faults_of_a_sample_are_named() -> None:
    one = sample(GOOD, ("Is the person sitting?", "Yes, his keypoints show that the two friends are sitting"))
    assert {fault.reason for fault in faults_of(one, scene({}))} == {"leak", "guess", "contradicted"}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_our_own_instructions_are_questions(recipe: str, kind: Kind) -> None:
    for question in prompt(recipe, kind).instructions:  # type: ignore[arg-type]
        assert faults_of(sample((question, LONG), kind="detail"), None) == (), question


def test_what_the_facts_writer_writes_passes() -> None:
    captions = ["A person waits in a park.", "Somebody in a green park", "One person near a tree."]
    words = {kind: given_facts("grounded", kind) + given_facts("paper", kind) for kind in MODEL_KINDS}
    draw, passed = random.Random(0), 0
    for number in range(100):
        pair = lambda: (draw.uniform(-180, 180), draw.uniform(-180, 180))  # noqa: E731
        pose = {
            "trunk": draw.gauss(180, 30),
            "thighs": pair(),
            "shins": pair(),
            "uppers": pair(),
            "fores": pair(),
        }
        of = scene(pose)
        for kind in MODEL_KINDS:
            turns = write(of, captions, kind, number)
            if turns:
                found = faults_of(sample(*turns, kind=kind), of, words[kind], captions)
                assert found == (), (found, turns)
                passed += 1
    assert passed > 150


_PIECES = st.sampled_from(
    [
        "keypoints",
        "he is",
        "friends",
        "not",
        " ",
        ". ",
        "?",
        "(",
        "0.1",
        ", ",
        "=",
        "\n",
        '"',
        "{",
        "a",
        "İ",
        "s t",
    ]
)
_TEXT = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map("".join))


@given(turns=st.lists(st.tuples(_TEXT, _TEXT), max_size=4), kind=st.sampled_from(MODEL_KINDS), told=_TEXT)
@settings(max_examples=200, deadline=None)
def test_no_text_is_too_odd(turns: list[tuple[str, str]], kind: Kind, told: str) -> None:
    for fault in faults_of(sample(*turns, kind=kind), scene({}), told, ["A man"]):
        assert fault.reason in get_args(Reason) and fault.words


@pytest.mark.parametrize(
    "piece",
    [
        "(1 1",
        "(11111,22222, ",
        '{"":',
        "happy not ",
        "key point is that ",
        "couple of ",
        "=",
        " ",
        '."',
        "ab s ",
        "0.",
    ],
)
def test_a_long_text_takes_no_time(piece: str) -> None:
    """A pattern that backtracks would take minutes."""
    import time

    text = piece * (20_000 // len(piece))
    begun = time.process_time()
    faults_of(sample((f"{text}?", text), kind="detail"), None, text, [])
    assert time.process_time() - begun < 3


DATA = Path(os.environ.get("POSETALK_DATA", "/nowhere")) / "coco_val2017_text"


@pytest.mark.realdata
def test_people_s_own_words_pass() -> None:
    """Captions that people wrote, as answers: hardly any is flagged, but for relations, which people do guess."""
    from posetalk.formats.captions import read_captions

    captions, _ = read_captions(DATA / "captions_val2017.json")
    texts = random.Random(5).sample([text for some in captions.values() for text in some], 1000)
    found = [{fault.reason for fault in faults("What does the picture show?", text)} for text in texts]
    for reason, most in (("leak", 4), ("guess", 30), ("mismatch", 5), ("unreadable", 1), ("length", 15)):
        assert sum(reason in one for one in found) <= most, reason
