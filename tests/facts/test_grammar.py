"""Words -> tags -> statements -> what they mean."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.facts.claims import find_claims
from posetalk.facts.grammar import statements
from posetalk.facts.lexicon import tagged_words
from posetalk.facts.meanings import meanings


def tags(text: str) -> list[str]:
    return [f"{word.form}/{'+'.join(sorted(word.senses))}" for word in tagged_words(text)]


@pytest.mark.parametrize(
    ("text", "tagged"),
    [
        ("raised arms", ["raised/state", "arms/part"]),
        ("the man's left arm", ["the/determiner", "man/person", "'s/possessive", "left/side", "arm/part"]),
        ("He's mid-air", ["he/person+pronoun", "'s/be", "mid air/direction+phrase"]),
        ("isn't bent", ["isn't/negation", "bent/state+verb"]),
        ("at a 90-degree angle", ["at a 90 degree angle/direction"]),
        ("a walking stick", ["a/determiner", "walking stick/"]),
        ("a TENNIS RACKET", ["a/determiner", "tennis racket/thing"]),
        ("upper body", ["upper body/part"]),
        ("zyzzyva", ["zyzzyva/"]),
        ("", []),
    ],
)
def test_words_have_tags(text: str, tagged: list[str]) -> None:
    assert tags(text) == tagged


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("He sits, and she stands.", "000111"),
        ("He sits while she stands", "00111"),
        ("He sits. She stands", "0011"),
        ("tall, dark", "000"),
    ],
)
def test_clauses_end(text: str, clauses: str) -> None:
    assert "".join(str(word.clause) for word in tagged_words(text)) == clauses


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("his left arm is raised", ("arm", "left", {"raise"})),
        ("raising both of her bent arms", ("arm", "both", {"bend", "raise"})),
        ("raising her arms", ("arm", "both", {"raise"})),
        ("with bent knees", ("knee", "both", {"bend"})),
        ("one arm up", ("arm", "one", {"up"})),
        ("the left arm of the man is straight", ("arm", "left", {"straight"})),
        ("the elbow of the right arm is bent", ("elbow", "right", {"bend"})),
        ("her right hand rests lightly on her left hip", ("hand", "right", {"place", "at hip"})),
        ("left and right arms crossed", ("arm", "both", {"cross"})),
        ("his leg, which is bent and raised", ("leg", "one", {"bend", "raise"})),
        ("a slight bend in his left elbow", ("elbow", "left", {"bend", "slightly"})),
        ("his arms behind him", ("arm", "both", {"backward"})),
        ("her hand touches her face", ("hand", "one", {"place", "at face"})),
        ("the racket is in his left hand", ("hand", "left", {"hold tennis racket"})),
        ("his left hand is holding a cup", ("hand", "left", {"hold cup"})),
    ],
)
def test_limbs_are_read(text: str, said: tuple[str, str, set[str]]) -> None:
    limb = statements(tagged_words(text))[0]
    assert limb.is_limb and (limb.subject, limb.side, set(limb.features)) == said


@pytest.mark.parametrize(
    "text",
    [
        "the legs of the table are bent",
        "the dog's legs are bent",
        "its legs are bent",
        "he heads down the street",
        "she looks back",
        "the hands of the clock are raised",
    ],
)
def test_what_is_no_part_of_a_person_is_none(text: str) -> None:
    assert not [s for s in statements(tagged_words(text)) if s.is_limb and meanings(s)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("looking down at her phone", ("look", {"down", "at cell phone"})),
        ("riding a big brown horse", ("ride", {"horse"})),
        ("leaning on his elbows", ("lean", {"at elbow"})),
        ("standing on her right leg", ("stand", {"at leg"})),
        ("facing left", ("face", {"to the left"})),
        ("holding a red umbrella", ("hold", {"umbrella"})),
        ("seated upright", ("sit", {"upright"})),
        ("upside down", ("upside down", set())),
    ],
)
def test_doings_are_read(text: str, said: tuple[str, set[str]]) -> None:
    doing = statements(tagged_words(text))[-1]
    assert not doing.is_limb and (doing.subject, set(doing.features)) == said


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("His right leg is not bent.", []),  # it may be bent a little
        ("No arm is raised.", ["not one arm: raised"]),
        ("Neither of his arms is raised.", ["not arms: raised"]),
        ("He might have raised his arms.", []),
        ("A statue of a man sitting on a bench", []),
        ("His hand is on the woman's shoulder.", []),
        ("A woman waiting to stand", ["action: waiting"]),
        ("A giraffe with its legs apart", []),
        ("A giraffe with legs spread", []),
        ("The standing lamp is on.", []),
        ("Her right hand is on her left shoulder.", ["right hand: at the shoulder"]),
        ("She holds a cup in both hands.", ["cup: at the left hand", "cup: at the right hand"]),
        ("His left arm and leg are bent.", ["not left elbow: straight", "not left knee: straight"]),
        ("His left arm and his right leg are bent.", ["not right knee: straight"]),
        ("The elbow and both knees are bent.", ["not left knee: straight", "not right knee: straight"]),
        ("He rests his chin on both hands.", ["left hand: at the face", "right hand: at the face"]),
        ("He rides a wave.", ["action: riding a wave"]),
        ("He is walking and smiling.", ["action: walking", "action: smiling"]),
        ("There are two people sitting.", ["body: sitting"]),
    ],
)  # fmt: skip
def test_claims_are_found(text: str, keys: list[str]) -> None:
    assert [("" if claim.value else "not ") + claim.key for claim in find_claims(text)] == keys


TEXT = "his her the both left right arm arms knee of in on above with raised bent is not man racket holding and , ."
WORDS = [*TEXT.split(), "which", "one", "'s", "head", "looking", "down", "sitting", "statue", "to"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40) | st.text(string.printable, max_size=200))
def test_any_text_is_read(text: str | list[str]) -> None:
    """Claims are words of the text, in its order; nothing raises."""
    said = text if isinstance(text, str) else " ".join(text)
    claims = find_claims(said)
    assert all(claim.text and claim.text in said and claim.key for claim in claims)
    assert claims == find_claims(said)
