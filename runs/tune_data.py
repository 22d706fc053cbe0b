"""What the tuning experiment (tune_claim.py) learns from: photos and labels of LSPET and of COCO's sample.

    python runs/tune_data.py WORK

WORK/data is a folder (or a link to one) with lspet/ (joints.mat, images/) and coco_people/ (annotations/, train2017/,
val2017/). Makes WORK/tune/:

people.json, captions.json: LSPET 1 to 8,300 and the photos of coco_people train2017, as `posetalk write` reads them;
  COCO's captions where there are any, elsewhere what a box tells: where in the picture the person is and how large.
grounded-short.jsonl: samples made from keypoints: SHORT questions a picture with a short answer, as `posetalk bench`
  asks them (of other pictures), of each wording as many with yes as with no. grounded-posture.jsonl: those about
  posture alone. grounded-all.jsonl: those of all kinds and, of every third picture, a conversation by the facts writer.
captions-KIND.jsonl: the same pictures and as many samples, turns and forms of answers; questions and answers know boxes
  and captions alone, no keypoint.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from posetalk.bench.questions.build import balanced
from posetalk.bench.questions.source import BuildSettings, annotated_images
from posetalk.facts.scene import scene_facts
from posetalk.formats.annotated import AnnotatedImage
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, PoseImage
from posetalk.write.from_facts.writer import write
from posetalk.write.questions.ask import counts_people, questions_of
from posetalk.write.questions.questions import LETTERS, Question, stable_hash
from posetalk.write.samples.sample import Sample

TRAINED = 8300  # of LSPET; the next 200 are for trying, those from 8,501 on for the test
SHORT = 8  # questions with a short answer in a sample
EVERY = 3  # of the pictures has a conversation
HALVES = {"left": (0, 1), "right": (0, -1), "upper": (1, 1), "lower": (1, -1)}


class Part(NamedTuple):
    pictures: list[AnnotatedImage]
    keypoint_names: tuple[str, ...]


def words_of_box(box: Box, width: int, height: int) -> dict[str, str]:
    """What a box tells of where somebody is: `across`, `down`, `size`."""
    x, y, w, h = box.xywh
    across = (x + w / 2) / width
    down = (y + h / 2) / height
    share = h / height
    return {
        "across": "on the left" if across < 0.4 else "on the right" if across > 0.6 else "in the middle",
        "down": "high up" if down < 0.4 else "low down" if down > 0.6 else "halfway up",
        "size": "most of" if share > 0.7 else "about half of" if share > 0.4 else "less than half of",
    }


def caption(box: Box, width: int, height: int) -> str:
    found = words_of_box(box, width, height)
    return f"A person {found['across']} of the picture, taking up {found['size']} its height."


def asked_of_box(box: Box, width: int, height: int) -> list[tuple[str, bool, str, str]]:
    """Questions with yes or no for an answer: the question, the answer, the words of yes, the words of no."""
    x, y, w, h = box.xywh
    middle = ((x + w / 2) / width, (y + h / 2) / height)
    rows = []
    for half, (axis, sign) in HALVES.items():
        rows.append(
            (
                f"Is the person in the {half} half of the picture?",
                sign * (0.5 - middle[axis]) > 0,
                f"Yes, the person is in the {half} half of the picture.",
                f"No, the person is not in the {half} half of the picture.",
            )
        )
    for share in (0.3, 0.5, 0.7, 0.9):
        named = {0.3: "a third", 0.5: "half", 0.7: "two thirds", 0.9: "nine tenths"}[share]
        rows.append(
            (
                f"Does the person take up more than {named} of the height of the picture?",
                h / height > share,
                f"Yes, the person takes up more than {named} of its height.",
                f"No, the person takes up less than {named} of its height.",
            )
        )
    rows.append(
        (
            "Is the person higher than wide in the picture?",
            h > w,
            "Yes, they are higher than wide.",
            "No, they are wider than high.",
        )
    )
    rows.append(
        (
            "Is the picture itself higher than wide?",
            height > width,
            "Yes, the picture is higher than wide.",
            "No, the picture is wider than high.",
        )
    )
    return rows


def about_boxes(pictures: dict[int, AnnotatedImage], like: list[Sample]) -> Iterator[Sample]:
    """A sample for each of `like`, of the same picture and with as many turns, that knows no keypoint.

    Of every question about as many yes as no are asked; where `like` has a letter for an answer, it has one too.
    """
    balance: dict[str, int] = {}  # yes minus no so far
    for sample in like:
        image = pictures[sample.image_id].image
        assert image.width and image.height
        box = largest(image)
        rng = random.Random(sample.id)
        rows = asked_of_box(box, image.width, image.height)
        rng.shuffle(rows)
        rows.sort(key=lambda row: balance.get(row[0], 0) * (1 if row[1] else -1))
        place = words_of_box(box, image.width, image.height)
        turns: list[tuple[str, str]] = []
        for _, answer in sample.turns:
            if answer in ("Yes", "No") or answer.startswith(("Yes,", "No,")):
                asked, holds, yes, no = rows.pop(0)
                balance[asked] = balance.get(asked, 0) + (1 if holds else -1)
                if answer in ("Yes", "No"):
                    turns.append((f"{asked}\nAnswer yes or no.", "Yes" if holds else "No"))
                else:
                    turns.append((asked, yes if holds else no))
            elif answer in LETTERS:
                turns.append(where(place, rng))
            else:
                turns.append(
                    rng.choice(
                        [
                            ("What does the picture show?", rng.choice(pictures[image.id].captions)),
                            (
                                "Where in the picture is the person?",
                                f"The person is {place['across']}, {place['down']}.",
                            ),
                            (
                                "How large is the person?",
                                f"The person takes up {place['size']} the picture's height.",
                            ),
                        ]
                    )
                )
        yield Sample(sample.id, image.id, image.name, "conversation", tuple(turns), "boxes and captions")


def where(place: dict[str, str], rng: random.Random) -> tuple[str, str]:
    """A question with four choices about where the person is."""
    choices = ["on the left", "in the middle", "on the right", "nowhere"]
    rng.shuffle(choices)
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    text = f"Where in the picture is the person?\n{listed}\nAnswer with the letter of the right choice."
    return text, LETTERS[choices.index(place["across"])]


def about_poses(parts: list[Part]) -> dict[str, list[Sample]]:
    """Questions about posture, of all kinds, and these with conversations by the facts writer."""
    asked: list[Question] = []
    named: dict[int, str] = {}
    talks: list[Sample] = []
    for part in parts:
        for picture in part.pictures:
            scene = scene_facts(picture.image, part.keypoint_names, picture.things)
            named[picture.image.id] = picture.image.name
            asked += (q for q in questions_of(picture, scene) if not counts_people(q))
            if len(named) % EVERY == 0:
                turns = write(scene, picture.captions, "conversation")
                if turns:
                    name = f"{picture.image.id}-talk"
                    talks.append(
                        Sample(name, picture.image.id, picture.image.name, "conversation", turns, "facts")
                    )
    posture = [question for question in asked if question.kind == "posture"]
    every = short(asked, named)
    return {"posture": short(posture, named), "short": every, "all": every + talks}


def short(asked: list[Question], named: dict[int, str]) -> list[Sample]:
    """Questions with a short answer, balanced, SHORT a sample."""
    of: dict[int, list[Question]] = {}
    for question in balanced(asked, max_per_answer=10**9):
        of.setdefault(question.image_id, []).append(question)
    samples = []
    for number, some in sorted(of.items()):
        some.sort(key=lambda question: stable_hash("order", question.id))
        for start in range(0, len(some), SHORT):
            turns = tuple(
                (question.prompt, question.answer.capitalize()) for question in some[start : start + SHORT]
            )
            name = f"{number}-short-{start // SHORT}"
            samples.append(Sample(name, number, named[number], "conversation", turns, "facts"))
    return samples


def read(data: Path) -> list[Part]:
    """LSPET's pictures and COCO's, with ids of their own and named from `data`, and what a box tells for a caption."""
    coco = data / "coco_people" / "annotations"
    chosen = {
        "coco_people/train2017": BuildSettings(
            annotations=str(coco / "person_keypoints_train2017.json"),
            captions=str(coco / "captions_train2017.json"),
        ),
        "lspet/images": BuildSettings(
            annotations=str(data / "lspet" / "joints.mat"),
            images=str(data / "lspet" / "images"),
            last=TRAINED,
        ),
    }
    parts = []
    for number, (folder, settings) in enumerate(chosen.items()):
        found, names, skipped = annotated_images(settings)
        pictures = []
        for picture in found:
            name = f"{folder}/{picture.image.name}"
            with Image.open(data / name) as photo:
                width, height = photo.size
            image = replace(
                picture.image,
                id=picture.image.id + number * 10**7,
                path=data / name,
                file_name=name,
                width=width,
                height=height,
            )
            said = picture.captions or (caption(largest(image), width, height),)
            pictures.append(replace(picture, image=image, captions=said))
        parts.append(Part(pictures, names))
        print(f"{folder}: {len(pictures)} pictures, {len(skipped())} records skipped")
    return parts


def largest(image: PoseImage) -> Box:
    return max((person.box for person in image.people), key=lambda box: box.area)


def as_coco(parts: list[Part]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts as COCO's person keypoints and captions: of LSPET's joints those that COCO has."""
    names = load_skeleton("coco17").names
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    for part in parts:
        columns = [(k, part.keypoint_names.index(n)) for k, n in enumerate(names) if n in part.keypoint_names]
        for picture in part.pictures:
            image = picture.image
            size = {"width": image.width, "height": image.height}
            images.append({"id": image.id, "file_name": image.file_name, **size})
            for text in picture.captions:
                captions.append({"id": len(captions) + 1, "image_id": image.id, "caption": text})
            for person in image.people:
                points = np.zeros((len(names), 3))
                for k, column in columns:
                    points[k] = (*person.keypoints[column], person.visible[column])
                row = {
                    "id": len(people) + 1,
                    "image_id": image.id,
                    "category_id": 1,
                    "iscrowd": int(person.is_crowd),
                    "bbox": [round(value, 2) for value in person.box.xywh],
                    "area": round(person.area, 2),
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                    "keypoints": [round(float(value), 2) for value in points.reshape(-1)],
                }
                people.append(row)
    category = {"id": 1, "name": "person", "keypoints": list(names)}
    return (
        {"images": images, "annotations": people, "categories": [category]},
        {"images": images, "annotations": captions},
    )


def make_training(data: Path, out: Path) -> None:
    parts = read(data)
    for name, rows in zip(("people", "captions"), as_coco(parts), strict=True):
        (out / f"{name}.json").write_text(json.dumps(rows))
    pictures = {picture.image.id: picture for part in parts for picture in part.pictures}
    made: dict[str, list[Sample]] = {}
    for kind, samples in about_poses(parts).items():
        made[f"grounded-{kind}"] = samples
        made[f"captions-{kind}"] = list(about_boxes(pictures, samples))
    for name, samples in made.items():
        (out / f"{name}.jsonl").write_text("".join(sample.line() for sample in samples))
        said = Counter(answer for sample in samples for _, answer in sample.turns)
        words = sum(len(text.split()) for sample in samples for turn in sample.turns for text in turn)
        print(
            f"{name}.jsonl: {len(samples)} samples of {len({s.image_id for s in samples})} pictures, "
            f"{said.total()} turns, {said['Yes']} yes, {said['No']} no, {words} words"
        )
    print(f"{len(pictures)} pictures")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    out = work / "tune"
    out.mkdir(parents=True, exist_ok=True)
    make_training(work / "data", out)


if __name__ == "__main__":
    main()
