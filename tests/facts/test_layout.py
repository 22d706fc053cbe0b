"""How parts of a body lie to each other, where people are in the picture, and what an article is put before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facts.figures import figure

from posetalk.facts.actions import with_article
from posetalk.facts.person import pose_facts
from posetalk.facts.scene import scene_facts
from posetalk.formats.objects import Thing
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array

NAMES = load_skeleton("coco17").names


@pytest.mark.parametrize(
    ("pose", "key", "holds"),
    [
        ({"fores": (180, 0)}, "left forearm: pointing up", True),
        ({"fores": (90, 0)}, "left forearm: pointing to the right", True),
        ({"fores": (-90, 0)}, "left forearm: pointing to the left", True),
        ({}, "left forearm: pointing up", None),
        ({"uppers": (90, 0), "fores": (180, 0)}, "left upper arm: level", True),
        ({"uppers": (45, 0), "fores": (135, 0)}, "hands: the left one higher", True),
        ({"uppers": (0, 45), "fores": (0, 135)}, "hands: the right one higher", True),
        ({"trunk": 150}, "trunk: leaning right", True),
        ({"trunk": 210}, "trunk: leaning left", True),
        ({}, "trunk: leaning right", None),
        ({"thighs": (90, 0)}, "left thigh: level", True),
        ({"thighs": (130, 0)}, "left knee: drawn up", True),
    ],
)
def test_parts_of_a_body_lie_so(pose: dict[str, Any], key: str, holds: bool | None) -> None:
    points = figure(**pose)
    xy = np.array([points[name] for name in NAMES])
    assert pose_facts(xy, NAMES).value(key) is holds
    hidden = pose_facts(xy, NAMES, np.ones(len(NAMES)))  # where joints are guessed, nothing is said
    assert hidden.value(key) is None or key.startswith("trunk")


@pytest.mark.parametrize(
    ("thing", "key"),
    [
        (Box(150, 250, 80, 120), "person 1, dog: on the left"),
        (Box(380, 250, 80, 120), "person 1, dog: on the right"),
        (Box(260, 10, 80, 60), "person 1, dog: above"),
    ],
)
def test_things_are_beside_a_person(thing: Box, key: str) -> None:
    points = figure()
    xy = np.array([points[name] for name in NAMES])
    person = Person(1, Box.around(xy, 1.1), frozen_array(xy), frozen_array(np.full(len(NAMES), 2)), 1e4)
    image = PoseImage(1, Path("a.jpg"), 600, 600, (person,))
    one = scene_facts(image, NAMES, [Thing("dog", thing)])
    assert one.facts.value(key) is True
    assert one.facts.value("person 1, picture: in the middle") is True
    two = scene_facts(image, NAMES, [Thing("dog", thing), Thing("dog", Box(1, 1, 90, 90))])
    assert two.facts.value(key) is None  # nobody could tell which


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("bus", "a bus"),
        ("glass", "a glass"),
        ("skis", "skis"),
        ("umbrella", "an umbrella"),
        ("sports ball", "a ball"),
    ],
)
def test_articles(noun: str, said: str) -> None:
    assert with_article(noun) == said
