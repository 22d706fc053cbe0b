"""Small good files of every form that posetalk reads, made here; fuzzing starts from them."""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from scipy.io import savemat

from posetalk.inputs import Content
from posetalk.llm.answer import Completion
from posetalk.llm.ledger import Ledger
from posetalk.locate.predictions import Prediction, PredictionLog
from posetalk.skeleton import load_skeleton
from posetalk.types import Box

WIDTH, HEIGHT = 400, 500
# nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles of somebody who stands, one arm held out to the side
POINTS = [(200, 60), (210, 50), (190, 50), (220, 55), (180, 55), (240, 120), (160, 120), (290, 120), (155, 190),
          (335, 122), (152, 255), (225, 270), (175, 270), (228, 370), (172, 370), (230, 470), (170, 470)]  # fmt: skip
TRIPLES = [value for x, y in POINTS for value in (x, y, 2)]
NAMES = [name.replace(" ", "_") for name in load_skeleton("coco17").names]
PEOPLE = [
    {"id": 5, "image_id": 1, "category_id": 1, "bbox": [140, 20, 210, 460], "area": 30000.0, "iscrowd": 0,
     "num_keypoints": 17, "keypoints": TRIPLES, "segmentation": [[140, 20, 350, 20, 350, 480]]},
    {"id": 6, "image_id": 2, "category_id": 1, "bbox": [0, 0, 30.5, 40], "area": 600.0, "iscrowd": 1,
     "num_keypoints": 0, "keypoints": [0] * 51, "segmentation": {"counts": [1, 2], "size": [500, 400]}},
]  # fmt: skip
IMAGES = [{"id": number, "file_name": f"{number}.jpg", "width": WIDTH, "height": HEIGHT} for number in (1, 2)]
CATEGORY = {"id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[1, 2]]}


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _lines(rows: Iterable[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


COCO = _json({"images": IMAGES, "annotations": PEOPLE, "categories": [CATEGORY]})
DESCRIBED = _json(
    {
        "people": [
            {"image": "a.jpg", "bbox": [140, 20, 210, 460], "annotation_id": 5, "points": [
                {"name": "navel", "x": 200, "y": 240.5, "visible": 2}, {"name": "left heel", "x": 230, "y": 470}
            ]}
        ]
    }
)  # fmt: skip
CAPTIONS = _json(
    {"images": IMAGES, "annotations": [{"id": n, "image_id": n, "caption": f"A person {n}."} for n in (1, 2)]}
)
INSTANCES = _json(
    {
        "images": IMAGES,
        "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 40], "area": 9.0}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bench"}],
    }
)
MPII = _json(
    [
        {
            "image": f"{n}.jpg",
            "center": [50.0, 40.0],
            "scale": 0.3,
            "joints": [[9.0, 9.0]] * 16,
            "joints_vis": [1] * 16,
        }
        for n in (1, 2)
    ]
)
DETECTIONS = _json(
    [{"image_id": n, "category_id": 1, "bbox": [10, 10, 60, 60.5], "score": 0.9} for n in (1, 2)]
)
SKELETON = [
    b'name = "two"\nsource = "here"\nlimbs = [["left eye", "right eye"]]\n\n'
    b'[[keypoint]]\nname = "left eye"\nsentence = "the pupil"\nsigma = 0.025\nplace = [0.5, 0.2]\n\n'
    b'[[keypoint]]\nname = "right eye"\nmirror = "left eye"\n'
]
TRAIN = [
    b'max_steps = 5\nseed = 1\nbf16 = false\nwithout_keypoints = ["nose"]\n\n'
    b'[[data]]\nannotations = "a.json"\nimages = "photos"\n\n[model]\nvision_encoder = "v"\nlanguage_model = "t"\n'
]
WRITER = [
    b'model = "m"\nbase_url = "http://127.0.0.1:9/v1"\nconcurrency = 4\nmax_cost_usd = 2.5\nmax_retries = 3\n'
]
TUNE = [
    b'model = "m"\nmax_steps = 3\nseed = 1\nmethod = "lora"\n\n[[data]]\nfile = "a.json"\nimages = "photos"\n'
]
WORDING = [
    b'keypoint = "Point: {sentence}"\nquestion = "Where is the {name}?"\nanswer = "Here:"\n\n[sentences]\nnose = "it"\n'
]
PRICES = [b'[models]\n"m" = { in = 2.5, out = 10.0 }\n"other" = { in = 1, out = 0 }\n']
TURNS = [
    ["Is the left arm raised?", "Yes, the left arm is raised."],
    ["Who stands?", "The person on the left."],
]
SAMPLES = [
    _lines(
        {"id": f"{n}-{kind}", "image_id": n, "image": f"{n}.jpg", "kind": kind, "writer": "facts",
         "turns": TURNS if kind == "conversation" else TURNS[:1]}
        for n, kind in ((1, "conversation"), (2, "detail"), (3, "reasoning"))
    )
]  # fmt: skip
_SAID = [{"from": "human", "value": "<image>\nWhat is she doing?"}, {"from": "gpt", "value": "She stands."}]
PUBLISHED = _json(
    [{"id": "000000000001", "image": "000000000001.jpg", "conversations": _SAID * 2}],
    [
        {
            "image_id": 1,
            "conversation": "User: Is he standing?\nAssistant: He is.\nUser: Where?\nAssistant: Here.\n",
        }
    ],
    [{"image_id": "1", "user_message": "Describe the person.", "completion": "A man stands."}],
    [{"image_id": 1, "completion": "Question: Why?\n===\nAnswer: To see."}],
)
CLOSED = [
    _lines(
        {"question_id": f"{n}-arm", "image": f"{n}.jpg", "text": "Is it raised?\nAnswer yes or no.", "category": "arms",
         "image_id": n, "form": "f", "question": "Is it raised?", "choices": [], "answer": "yes", "evidence": []}
        for n in (1, 2)
    )
]  # fmt: skip
BLIND = [_lines({"question_id": f"{n}-arm", "solved": 0.5} for n in (1, 2))]
OPEN = [_lines([{"question_id": "1-detail", "image": "1.jpg", "text": "Describe it.", "category": "detail"}])]
REFERENCES = [
    _lines([{"question_id": "1-detail", "text": "It is so.", "category": "detail", "answer_id": "r"}])
]
CONTEXT = [
    _lines(
        [{"id": 0, "image": "1.jpg", "captions": ["One."],
          "instances": [{"category": "person", "bbox": [0.1, 0.2, 0.3, 0.4]}], "facts": "so: x"}]
    )
]  # fmt: skip
ANSWERS = [
    _lines(
        {"question_id": f"{n}-arm", "prompt": "Is it?", "text": "yes", "answer_id": f"a{n}", "model_id": "m",
         "metadata": {"n": 1}}
        for n in (1, 2)
    )
]  # fmt: skip
REVIEWS = [
    _lines(
        {"review_id": n, "question_id": f"{n}", "answer1_id": "r", "answer2_id": "a", "reviewer_id": "j",
         "metadata": {}, "content": "8 9", "tuple": [8.0, 9.0], "category": "detail", "first": "candidate"}
        for n in (1, 2)
    )
]  # fmt: skip
_CHOICE = {"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop", "index": 0}
BATCH = [
    _lines(
        {"id": "b", "custom_id": "key", "error": None, "response": {"status_code": 200, "body":
         {"choices": [_CHOICE], "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model": "m"}}}
        for _ in (1, 2)
    )
]  # fmt: skip


def inputs() -> list[bytes]:
    """inputs.json of two files."""
    files = {name: Content(9, (1, 2), 64 * "a") for name in ("annotations", "model/config.json")}
    return [msgspec.json.encode(files)]


def picture_log() -> list[bytes]:
    """pictures.jsonl of two pictures."""
    rows = [{"image_id": number, "content": Content(9, (1, 2), 64 * "a")} for number in (1, 2)]
    return [msgspec.json.Encoder().encode_lines(rows)]


@cache
def predictions() -> list[bytes]:
    """predictions.jsonl of two people."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.jsonl"
        points = np.array([[1.5, 2.5, 0.5], [3, 4, 0.25]])
        found = [
            Prediction(1, 5, "1.jpg", Box(10, 10, 60, 60), "ground truth", ("nose", "chin"), points),
            Prediction(
                2, 6, "2.jpg", Box(0, 0, 9, 9.5), "d.json", ("nose", "chin"), points, points[:, :2], 0.5
            ),
        ]
        with PredictionLog(path) as log:
            log.add(found)
        return [path.read_bytes()]


@cache
def pictures(form: str) -> list[bytes]:
    """A small picture in colour, one in grey, and where the form has them one with a palette or several frames."""
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    colour, found = Image.fromarray(noise), []
    exif = colour.getexif()
    exif[0x0112] = 6
    more: dict[str, Any] = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    for picture in (colour, colour.convert("L")):
        file = io.BytesIO()
        picture.save(file, form, **more)
        found.append(file.getvalue())
    if form in ("GIF", "PNG", "TIFF", "WEBP"):
        file = io.BytesIO()
        frames = [colour.convert("P"), colour.rotate(90).convert("P")] if form != "WEBP" else [colour, colour]
        frames[0].save(file, form, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    return found


def _mat(compressed: bool = False, **arrays: Any) -> bytes:
    """A MATLAB file without the time at which it was made."""
    file = io.BytesIO()
    savemat(file, arrays, do_compression=compressed)
    return b"MATLAB 5.0 MAT-file".ljust(116) + file.getvalue()[116:]


@cache
def lsp() -> list[bytes]:
    """joints.mat of three pictures."""
    joints = np.abs(np.random.default_rng(0).normal(50, 20, (3, 14, 3)))
    joints[2] = 1  # labelled
    return [_mat(joints=joints), _mat(True, joints=joints)]


@cache
def heads() -> list[bytes]:
    """gt_valid.mat for the records of MPII."""
    boxes, joints = np.ones((2, 2, 2)) * np.array([[[1]], [[9]]]), np.full((16, 2, 2), 10.0)
    return [_mat(headboxes_src=boxes, jnt_missing=np.zeros((16, 2)), pos_gt_src=joints)]


@cache
def ledger() -> list[bytes]:
    """ledger.sqlite with an answer and a request that waits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with Ledger(path) as made:
            made.set_state([("key", "1-detail"), ("other", "2-detail")], "waiting")
            made.answer([("key", "1-detail", Completion("yes", "whole", 3, 4, True), 0.5)])
        sql = sqlite3.connect(path)
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sql.close()
        return [path.read_bytes()]
