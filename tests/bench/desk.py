"""A small benchmark in a folder, and answers and judges to it whose scores are known, for the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image
from tests.bench.people import pictures, question
from tests.llm.server import Act, Body, said

from posetalk.bench.answers.answer import AskedQuestion, answer_here, asked_questions, file_of
from posetalk.bench.folder import read_benchmark
from posetalk.bench.questions.build import ClosedSet
from posetalk.bench.questions.openset import CATEGORIES, ImageContext, OpenQuestion, OpenSet
from posetalk.llm.client import ServerSettings

PICTURES = 8


def bench(folder: Path) -> Path:
    """Eight photos with three closed and three open questions each: folder/photos and folder/bench."""
    photos, out = folder / "photos", folder / "bench"
    photos.mkdir(parents=True)
    closed, opened, contexts = [], [], {}
    for number in range(PICTURES):
        name = f"{number}.jpg"
        Image.new("RGB", (60 + number, 40), (20 * number, 90, 120)).save(photos / name)
        for i in range(3):
            text = f"Is arm {i} of {number} raised?"
            closed.append(question(f"{number}-{i}", "yes" if i % 2 else "no", text, image=name))
        for category in CATEGORIES.values():
            named = f"{number}-{category}"
            opened.append(OpenQuestion(named, name, f"What of {named}?", category, f"reference of {named}"))
        contexts[name] = ImageContext(
            name, (f"A caption of {number}.",), (("person", (0.1, 0.2, 0.3, 0.4)),), "so: x"
        )
    ClosedSet(tuple(closed), {q.id: 0.5 for q in closed}, ()).save(out)
    OpenSet(tuple(opened), contexts).save(out)
    return folder


def coco(folder: Path, many: int = 40) -> list[str]:
    """COCO's files of random bodies and their photos; the words of a command that name them."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    images, people, captions = [], [], []
    for picture in pictures(0, many):
        image = picture.image
        Image.new("RGB", (50, 35), (image.id % 251, 99, 140)).save(photos / image.path.name)
        size = {"width": image.width, "height": image.height}
        images.append({"id": image.id, "file_name": image.path.name} | size)
        captions += [{"image_id": image.id, "caption": text} for text in picture.captions]
        for person in image.people:
            points = np.column_stack([person.keypoints, person.visible]).ravel().tolist()
            box = {"bbox": list(person.box.xywh), "area": 1e5, "iscrowd": 0, "category_id": 1}
            people.append({"id": len(people) + 1, "image_id": image.id, "keypoints": points} | box)
    labels = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (folder / "people.json").write_text(json.dumps(labels))
    (folder / "captions.json").write_text(json.dumps({"annotations": captions}))
    return [f"{folder}/people.json", "--captions", f"{folder}/captions.json"]


def asked_in(folder: Path) -> list[AskedQuestion]:
    """All questions of `bench`."""
    found = read_benchmark(folder / "bench")
    return asked_questions(found.closed.questions, found.open_set, folder / "photos")[0]


def spoken(folder: Path, text: str = "m says of {}") -> None:
    """Have a model m say the same of every question, {} being the question."""
    answer_here(
        asked_in(folder), lambda some, words: [text.format(prompt) for _, prompt in some],
        file_of(folder / "bench", "m"), "m",
    )  # fmt: skip


def marks(body: Body) -> tuple[str, str]:
    """The question's id and which answer the judge sees first."""
    text = body["messages"][1]["content"]
    name = re.search(r"What of (\S+)\?", text)
    assert name is not None
    place = {
        who: text.index(f"> {words}")
        for who, words in (("reference", "reference of"), ("candidate", "m says"))
    }
    return name[1], min(place, key=lambda who: place[who])


def scored(body: Body, reference: float, candidate: float, bonus: float = 0) -> Act:
    """A judge that gives fixed scores, and some points more to whoever is first."""
    _, first = marks(body)
    one, two = (reference, candidate) if first == "reference" else (candidate, reference)
    return said(json.dumps({"why": f"{first} first", "first": int(one + bonus), "second": int(two)}))


def settings(url: str, **more: object) -> ServerSettings:
    return ServerSettings.check({"model": "judge", "base_url": url, "retry_delay": 0.01, **more}, "the test")
