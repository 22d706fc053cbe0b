"""What a keypoint is called in a question."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from posetalk.skeleton import Keypoint
from posetalk.train.interpolated import HELD_OUT, interpolated_keypoints
from posetalk.train.phrasing import mistyped, phrased
from posetalk.train.target import Target

PLAIN = Keypoint("left heel", "the back of the left foot")
RICH = replace(
    PLAIN,
    synonyms=("back of the left foot", "left calcaneus"),
    paraphrases=("what touches the ground first, on the left", "opposite the toes of the left foot"),
)
NAMES, SENTENCES = {RICH.name, *RICH.synonyms}, {RICH.sentence, *RICH.paraphrases}


def state(rng: np.random.Generator) -> object:
    return rng.bit_generator.state


def test_a_keypoint_with_one_name_draws_nothing() -> None:
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert phrased(PLAIN, False, rng) is PLAIN
    assert phrased(PLAIN, True, rng) == replace(PLAIN, sentence="")
    assert mistyped(PLAIN, 0.0, rng) is PLAIN
    assert state(rng) == state(other)


def test_every_name_goes_with_every_description() -> None:
    rng = np.random.default_rng(0)
    drawn = [phrased(RICH, False, rng) for _ in range(600)]
    pairs = Counter((k.name, k.sentence) for k in drawn)
    assert set(pairs) == {(name, sentence) for name in NAMES for sentence in SENTENCES}
    assert min(pairs.values()) > 600 / len(pairs) / 2
    assert all(k.mirror == "right heel" and not k.synonyms and not k.paraphrases for k in drawn)


def test_without_a_description_it_is_asked_by_any_text() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(phrased(RICH, True, rng).name for _ in range(600))
    assert set(drawn) == NAMES | SENTENCES
    assert sum(drawn[text] for text in NAMES) > 400
    assert all(not phrased(RICH, True, rng).sentence for _ in range(20))


@pytest.mark.parametrize("name", ["back of the left foot", "left eye", "left T-shirt's hem", "toe"])
def test_typing_leaves_the_side_alone(name: str) -> None:
    rng = np.random.default_rng(0)
    seen = {mistyped(Keypoint(name, "the left one"), 1.0, rng).name for _ in range(400)}
    assert len(seen) > 3
    for typed in seen:
        words = re.findall(r"\w+", typed.lower())
        assert ("left" in words) is ("left" in name.split()) and "right" not in words
        assert abs(len(typed) - len(name)) <= 4


def test_typing_has_each_of_its_kinds() -> None:
    rng = np.random.default_rng(0)
    seen = {mistyped(Keypoint("left pinky-toe"), 1.0, rng).name for _ in range(400)}
    assert {
        "LEFT PINKY-TOE",
        "Left pinky-toe",
        "left pinkytoe",
        "the left pinky-toe",
        "pinky-toe (left)",
        "pinky-toe, left",
        "pinky-toe left",
        "left pniky-toe",
    } <= seen


def test_lines_between_keypoints_go_by_any_name_and_held_out_ones_by_none() -> None:
    hips = [
        Target(Keypoint(f"{side} hip", synonyms=(f"{side} hip joint",)), (x, 0.5), True)
        for side, x in (("left", 0.6), ("right", 0.4))
    ]
    heel = Target(RICH, (0.5, 0.9), True)
    assert frozenset({"left hip", "right hip"}) in HELD_OUT
    asked = [
        t.keypoint.name
        for seed in range(300)
        for t in interpolated_keypoints([*hips, heel], 3, np.random.default_rng(seed))
    ]
    assert all(any(name in line for name in NAMES) for line in asked)
    assert {name for name in NAMES if any(name in line for line in asked)} == NAMES
