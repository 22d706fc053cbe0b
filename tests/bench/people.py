"""Pictures of random bodies, and questions about them, for the tests of a benchmark."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from tests.facts.figures import figure

from posetalk.formats.annotated import AnnotatedImage
from posetalk.formats.objects import Thing
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.questions.questions import Evidence, Kind, Question

NAMES = load_skeleton("coco17").names
CAPTIONS = ("A person waits in a park.", "Somebody in a green park", "One person near a tree.")


def person(draw: random.Random, number: int, unlabelled: bool = False) -> Person:
    """Standing or sitting, arms anyhow, seen from the front, the back or a side."""
    sitting, arm = draw.random() < 0.5, lambda: draw.choice((0, 10, 60, 90, 170, 180))
    legs = [(90, 0) if sitting else (draw.choice((0, 20)), draw.choice((0, -30, 90))) for _ in range(2)]
    uppers, fores = (arm(), -arm()), (arm(), -arm())
    points = figure(
        thighs=(legs[0][0], legs[1][0]), shins=(legs[0][1], legs[1][1]), uppers=uppers, fores=fores,
        wide=draw.choice((-70, 70, 70, 10)), nose=(draw.choice((-18, -5, 0, 5, 18)), 0), at=(200 + 350 * number, 300),
    )  # fmt: skip
    xy = np.array([points[name] for name in NAMES])
    flags = np.zeros(17) if unlabelled else np.full(17, 2)
    return Person(number, Box.around(xy), frozen_array(xy), frozen_array(flags), 1e5)


def pictures(start: int, end: int, bare: bool = True) -> list[AnnotatedImage]:
    """One or two people each; with `bare`, one picture more whose only person has no keypoints."""
    found = []
    for number in range(start, end):
        draw = random.Random(number)
        people = tuple(person(draw, i) for i in range(1 + number % 2))
        image = PoseImage(1000 + number, Path(f"{1000 + number:012d}.jpg"), 1000, 700, people)
        things = (Thing("umbrella", Box(250, 100, 40, 40)),) if number % 3 == 0 else ()
        found.append(AnnotatedImage(image, CAPTIONS, things))
    if bare:
        nobody = (person(random.Random(0), 0, unlabelled=True),)
        found.append(AnnotatedImage(PoseImage(9, Path("000000000009.jpg"), 1000, 700, nobody), CAPTIONS))
    return found


def question(
    name: str, answer: str = "yes", text: str = "Is it so?", *, choices: tuple[str, ...] = (), form: str = "f",
    kind: Kind = "arms", image: str | None = None,
) -> Question:  # fmt: skip
    evidence = (Evidence("person 1", "left arm: raised", answer == "yes", (("wrist", 0.5),)),)
    return Question(name, 1, image or f"{name}.jpg", kind, form, text, choices, answer, evidence)
