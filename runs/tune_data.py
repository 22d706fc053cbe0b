"""What the tuning experiment (tune_claim.py) learns from: photos and labels of LSPET and of COCO's sample.

    python runs/tune_data.py WORK

WORK is the folder of bundled.sh, with labels and data. Makes WORK/tune/:

people.json, captions.json: LSPET 1 to 8,300 (face keypoints by a teacher, see make_labels.py) and the photos of
  coco_people train2017, COCO's 17 keypoints; COCO's captions where there are any, elsewhere what a box tells: where in
  the picture the person is and how large.
grounded-all.jsonl: samples made from keypoints: SHORT questions a picture with a short answer, as `posetalk bench`
  asks them (of other pictures), of each wording as many with yes as with no; and, of every third picture, a
  conversation by the facts writer. grounded-posture.jsonl: those about posture alone, without conversations.
captions-all.jsonl, captions-posture.jsonl: the same pictures and as many samples, turns and forms of answers; questions
  and answers know boxes and captions alone, no keypoint.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posetalk.bench.ask import counts_people, questions_of
from posetalk.bench.build import balanced
from posetalk.bench.questions import LETTERS, Question, drawn
from posetalk.facts.scene import scene_of
from posetalk.read.pictures import Pictures
from posetalk.skeleton import skeleton
from posetalk.write.facts_writer import write
from posetalk.write.sample import Sample

SHORT = 8  # questions with a short answer in a sample
EVERY = 3  # of the pictures has a conversation
HALVES = {"left": (0, 1), "right": (0, -1), "upper": (1, 1), "lower": (1, -1)}


def photo(row: dict[str, Any], folder: str, number: int) -> dict[str, Any]:
    return {**row, "id": number, "file_name": f"{folder}/{row['file_name']}"}


def words_of_box(box: list[float], width: int, height: int) -> dict[str, str]:
    """What a box tells of where somebody is: `across`, `down`, `size`."""
    x, y, w, h = box
    across = (x + w / 2) / width
    down = (y + h / 2) / height
    share = h / height
    return {
        "across": "on the left" if across < 0.4 else "on the right" if across > 0.6 else "in the middle",
        "down": "high up" if down < 0.4 else "low down" if down > 0.6 else "halfway up",
        "size": "most of" if share > 0.7 else "about half of" if share > 0.4 else "less than half of",
    }


def caption(box: list[float], width: int, height: int) -> str:
    found = words_of_box(box, width, height)
    return f"A person {found['across']} of the picture, taking up {found['size']} its height."


def asked_of_box(box: list[float], width: int, height: int) -> list[tuple[str, bool, str, str]]:
    """Questions with yes or no for an answer: the question, the answer, the words of yes, the words of no."""
    x, y, w, h = box
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


def about_boxes(
    images: list[dict[str, Any]],
    boxes: dict[int, list[list[float]]],
    captions: dict[int, list[str]],
    like: list[Sample],
) -> Iterator[Sample]:
    """A sample for each of `like`, of the same picture and with as many turns, that knows no keypoint.

    Of every question about as many yes as no are asked; where `like` has a letter for an answer, it has one too.
    """
    by_id = {image["id"]: image for image in images}
    balance: dict[str, int] = {}  # yes minus no so far
    for sample in like:
        image = by_id[sample.image_id]
        rng = random.Random(sample.id)
        box = max(boxes[image["id"]], key=lambda b: b[2] * b[3])
        rows = asked_of_box(box, image["width"], image["height"])
        rng.shuffle(rows)
        rows.sort(key=lambda row: balance.get(row[0], 0) * (1 if row[1] else -1))
        place = words_of_box(box, image["width"], image["height"])
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
                            ("What does the picture show?", rng.choice(captions[image["id"]])),
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
        yield Sample(
            sample.id, image["id"], image["file_name"], "conversation", tuple(turns), "boxes and captions"
        )


def where(place: dict[str, str], rng: random.Random) -> tuple[str, str]:
    """A question with four choices about where the person is."""
    choices = ["on the left", "in the middle", "on the right", "nowhere"]
    rng.shuffle(choices)
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    text = f"Where in the picture is the person?\n{listed}\nAnswer with the letter of the right choice."
    return text, LETTERS[choices.index(place["across"])]


def about_poses(pictures: Pictures) -> tuple[list[Sample], list[Sample]]:
    """Questions about posture; questions of all kinds and conversations by the facts writer."""
    asked: list[Question] = []
    named: dict[int, str] = {}
    talks: list[Sample] = []
    for picture in pictures:
        image = picture.image
        scene = scene_of(image, pictures.keypoint_names, picture.things)
        named[image.id] = str(image.path.relative_to(pictures.images))
        asked += (q for q in questions_of(picture, scene) if not counts_people(q))
        if len(named) % EVERY == 0:
            turns = write(scene, picture.captions, "conversation")
            if turns:
                talks.append(
                    Sample(f"{image.id}-talk", image.id, named[image.id], "conversation", turns, "facts")
                )
    posture = [question for question in asked if question.kind == "posture"]
    return short(posture, named), short(asked, named) + talks


def short(asked: list[Question], named: dict[int, str]) -> list[Sample]:
    """Questions with a short answer, balanced, SHORT a sample."""
    of: dict[int, list[Question]] = {}
    for question in balanced(asked, each=10**9):
        of.setdefault(question.image_id, []).append(question)
    samples = []
    for number, some in sorted(of.items()):
        some.sort(key=lambda question: drawn("order", question.id))
        for start in range(0, len(some), SHORT):
            turns = tuple(
                (question.prompt, question.answer.capitalize()) for question in some[start : start + SHORT]
            )
            name = f"{number}-short-{start // SHORT}"
            samples.append(Sample(name, number, named[number], "conversation", turns, "facts"))
    return samples


def make_training(work: Path, out: Path) -> None:
    coco = work / "data" / "coco_people" / "annotations"
    labels = json.loads((coco / "person_keypoints_train2017.json").read_text())
    with_lspet = json.loads((work / "labels" / "lspet.json").read_text())
    named: dict[int, list[str]] = {}
    for one in json.loads((coco / "captions_train2017.json").read_text())["annotations"]:
        named.setdefault(one["image_id"], []).append(one["caption"].strip())
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    boxes: dict[int, list[list[float]]] = {}  # by picture
    for folder, part, offset in (("lspet/images", with_lspet, 10**7), ("coco_people/train2017", labels, 0)):
        images += [photo(row, folder, row["id"] + offset) for row in part["images"]]
        for person in part["annotations"]:
            number = person["image_id"] + offset
            people.append(
                {
                    **person,
                    "id": len(people) + 1,
                    "image_id": number,
                    "keypoints": person["keypoints"][: 3 * 17],
                }
            )
            boxes.setdefault(number, []).append(person["bbox"])
    images = [image for image in images if image["id"] in boxes]
    for image in images:
        if image["id"] not in named:
            box = max(boxes[image["id"]], key=lambda b: b[2] * b[3])
            named[image["id"]] = [caption(box, image["width"], image["height"])]
    category = {"id": 1, "name": "person", "keypoints": list(skeleton("coco17").names)}
    (out / "people.json").write_text(
        json.dumps({"images": images, "annotations": people, "categories": [category]})
    )
    rows = [
        {"id": number, "image_id": image, "caption": text}
        for number, (image, text) in enumerate(
            (image, text) for image, texts in named.items() if image in boxes for text in texts
        )
    ]
    (out / "captions.json").write_text(json.dumps({"images": images, "annotations": rows}))
    pictures = Pictures(out / "people.json", out / "captions.json", images=work / "data")
    posture, every = about_poses(pictures)
    made = {"grounded-posture": posture, "grounded-all": every}
    made["captions-posture"] = list(about_boxes(images, boxes, named, posture))
    made["captions-all"] = list(about_boxes(images, boxes, named, every))
    for name, samples in made.items():
        (out / f"{name}.jsonl").write_text("".join(sample.line() for sample in samples))
        said = Counter(answer for sample in samples for _, answer in sample.turns)
        words = sum(len(text.split()) for sample in samples for turn in sample.turns for text in turn)
        print(
            f"{name}.jsonl: {len(samples)} samples of {len({s.image_id for s in samples})} pictures, "
            f"{said.total()} turns, {said['Yes']} yes, {said['No']} no, {words} words"
        )
    print(f"{len(images)} pictures, {len(people)} people")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    out = work / "tune"
    out.mkdir(parents=True, exist_ok=True)
    make_training(work, out)


if __name__ == "__main__":
    main()
