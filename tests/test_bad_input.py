"""Whatever is wrong with what a user gives: one sentence that names it, exit code 2, no traceback."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import tomli_w
from PIL import Image
from scipy.io import savemat

from posetalk.cli import main
from posetalk.skeleton import load_skeleton

NAMES = [name.replace(" ", "_") for name in load_skeleton("coco17").names]
TRIPLES = [v for i in range(17) for v in (20 + i, 30 + i, 2)]
PERSON = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 60], "area": 1900.0, "iscrowd": 0}


@dataclass
class Desk:
    """A folder with a good photo, a good model and good labels; rows spoil what they need."""

    at: Path
    model: Path

    def file(self, name: str, content: object) -> Path:
        path = self.at / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def labels(self, **changes: Any) -> Path:
        person = PERSON | {"keypoints": TRIPLES} | changes
        return self.file(
            "labels.json",
            {
                "images": [{"id": 1, "file_name": "photo.png", "width": 120, "height": 80}],
                "annotations": [person],
                "categories": [{"id": 1, "name": "person", "keypoints": NAMES}],
            },
        )

    def toml(self, **changes: Any) -> Path:
        data = [{"annotations": str(self.labels()), "images": str(self.at)}]
        parts = {"vision_encoder": str(self.at / "no-tower"), "language_model": str(self.at / "no-text")}
        settings: dict[str, Any] = {"data": data, "model": parts, "max_steps": 1, "bf16": False} | changes
        return self.file("run.toml", tomli_w.dumps({k: v for k, v in settings.items() if v is not None}))

    def locate(self, *words: object) -> list[object]:
        return ["locate", self.at / "photo.png", "--model", self.model, *words]

    def score(self, annotations: Path, *words: object) -> list[object]:
        given = ["--annotations", annotations, "--images", self.at, "--out", self.at / "out"]
        return ["evaluate", "--model", self.model, *given, *words]

    def train(self, settings: Path, *words: object) -> list[object]:
        return ["train", settings, "--out", self.at / "run", *words]


@pytest.fixture
def desk(tmp_path: Path, tiny_model: Path) -> Desk:
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return Desk(tmp_path, tiny_model)


def huge_png(desk: Desk) -> Path:
    """A valid header of 60,000 x 60,000 px."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", crc32(header))
    data = struct.pack(">I", 4) + b"IDAT" + b"0000"
    return desk.file("huge.png", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc + data)


def cut_off(desk: Desk) -> Path:
    return desk.file("cut.png", (desk.at / "photo.png").read_bytes()[:300])


def other_model(desk: Desk) -> Path:
    desk.file("config.json", {"model_type": "llama"})
    return desk.at


def damaged_model(desk: Desk) -> Path:
    folder = desk.at / "damaged"
    folder.mkdir()
    for file in desk.model.iterdir():
        data = file.read_bytes()
        (folder / file.name).write_bytes(data[:1000] if file.suffix == ".safetensors" else data)
    return folder


def occupied(desk: Desk) -> list[object]:
    (desk.at / "out").write_text("a file where the folder should be")
    return desk.score(desk.labels())


def other_run(desk: Desk) -> list[object]:
    (desk.at / "out").mkdir()
    (desk.at / "out" / "run.toml").write_text('model = "another"\nannotations = "a"\nimages = "b"\n')
    return desk.score(desk.labels())


def mat(desk: Desk, joints: np.ndarray) -> Path:
    savemat(desk.at / "joints.mat", {"joints": joints})
    return desk.at / "joints.mat"


def detections(desk: Desk, rows: object) -> list[object]:
    return desk.score(desk.labels(), "--boxes", desk.file("boxes.json", rows))


def mpii(**changes: Any) -> list[dict[str, Any]]:
    record = {"image": "photo.png", "center": [50, 40], "scale": 0.3, "joints": [[9, 9]] * 16}
    return [record | {"joints_vis": [1] * 16} | changes]


def damaged_predictions(desk: Desk) -> list[object]:
    """A finished run whose predictions somebody edited."""
    words = desk.score(desk.labels())
    with pytest.raises(SystemExit):
        main([str(w) for w in words])
    path = desk.at / "out" / "predictions.jsonl"
    path.write_text("{not json}\n" + path.read_text())
    return words


Row = tuple[str, Callable[[Desk], list[object]], str]
BOX = {"image_id": 1, "category_id": 1, "score": 0.9}
ROWS: list[Row] = [
    # facts
    ("facts of nothing", lambda d: ["facts", d.at / "none.json"], "there is no file"),
    ("facts of text", lambda d: ["facts", d.file("l.json", "hello")], "none of the forms"),
    ("unknown image", lambda d: ["facts", d.labels(), "--image", 9], "has no image 9"),
    ("objects are labels", lambda d: ["facts", d.labels(), "--objects", d.file("o.json", [])], "no JSON object"),
    ("no photo to draw on", lambda d: ["facts", d.labels(file_name="x"), "--images", d.at / "no"], "not a folder"),
    ("facts into a folder", lambda d: ["facts", d.labels(), "--json", d.at], "cannot write"),
    ("draw into a file", lambda d: ["facts", d.labels(), "--draw", d.at / "photo.png"], "cannot write"),
    # the photo
    ("no photo", lambda d: ["locate", d.at / "none.jpg", "--model", d.model], "there is no image"),
    ("folder, no --out", lambda d: ["locate", d.at, "--model", d.model], "give --out"),
    ("empty photo", lambda d: ["locate", d.file("0.jpg", b""), "--model", d.model], "is empty"),
    ("text as photo", lambda d: ["locate", d.file("t.jpg", "hello"), "--model", d.model], "not an image"),
    ("photo cut off", lambda d: ["locate", cut_off(d), "--model", d.model], "may be damaged"),
    ("huge photo", lambda d: ["locate", huge_png(d), "--model", d.model], "million pixels"),
    ("no match", lambda d: ["locate", d.at / "*.gif", "--out", d.at / "o", "--model", d.model], "no file matches"),
    ("empty folder", lambda d: ["locate", d.model, "--out", d.at / "o", "--model", d.model], "no image in"),
    ("photo twice", lambda d: ["locate", d.at / "photo.png", d.file("sub.png", b"x").parent / "." / "photo.png",
                               "--json", d.at / "o.json", "--model", d.model], "give --out"),
    # boxes and questions
    ("box of words", lambda d: d.locate("--box", "a,b,c,d"), "not four numbers"),
    ("box of three", lambda d: d.locate("--box", "1,2,3"), "not four numbers"),
    ("box without area", lambda d: d.locate("--box", "1,2,0,5"), "no area"),
    ("box of NaN", lambda d: d.locate("--box", "nan,2,9,5"), "not finite"),
    ("box outside", lambda d: d.locate("--box", "500,500,10,10"), "outside the image"),
    ("nameless keypoint", lambda d: d.locate("--ask", ": the back of the foot"), "needs a name"),
    ("line break", lambda d: d.locate("--ask", "heel: the\nback"), "line break"),
    ("unknown skeleton", lambda d: d.locate("--skeleton", "coco18"), "no skeleton 'coco18'"),
    ("no skeleton file", lambda d: d.locate("--skeleton", d.at / "none.toml"), "cannot read the skeleton"),
    ("skeleton no TOML", lambda d: d.locate("--skeleton", d.file("s.toml", "[[")), "not valid TOML"),
    ("skeleton misspelt", lambda d: d.locate("--skeleton", d.file("s.toml", "[[keypoints]]\n")), "unknown key"),
    ("skeleton twice", lambda d: d.locate("--skeleton", d.file("s.toml", '[[keypoint]]\nname="a"\n' * 2)), "twice"),
    ("unknown decoding", lambda d: d.locate("--decoding", "beam"), "beam"),
    ("unknown option", lambda d: d.locate("--bx", "1,2,3,4"), "--bx"),
    ("picture's suffix", lambda d: d.locate("--draw", d.at / "out.xyz"), "cannot write"),
    ("box and --out", lambda d: d.locate("--box", "1,2,3,4", "--out", d.at / "o"), "single image"),
    # the model
    ("no model", lambda d: ["locate", d.at / "photo.png", "--model", d.at / "none"], "does not exist"),
    ("another model", lambda d: ["locate", d.at / "photo.png", "--model", other_model(d)], "not a PoseLLM"),
    ("damaged model", lambda d: ["locate", d.at / "photo.png", "--model", damaged_model(d)], "cannot load"),
    # labels
    ("no labels", lambda d: d.score(d.at / "none.json"), "none.json"),
    ("labels cut off", lambda d: d.score(d.file("a.json", d.labels().read_text()[:200])), "a.json"),
    ("labels of nothing", lambda d: d.score(d.file("a.json", {"images": []})), "annotations"),
    ("labels a number", lambda d: d.score(d.file("a.json", "17")), "none of the forms"),
    ("short keypoints", lambda d: d.score(d.labels(keypoints=[1, 2, 2])), "keypoints"),
    ("NaN keypoint", lambda d: d.score(d.file("a.json", d.labels().read_text().replace("20,", "NaN,", 1))), "a.json"),
    ("unknown image", lambda d: d.score(d.labels(image_id=9)), "image"),
    ("box no area", lambda d: d.score(d.labels(bbox=[1, 1, 0, 0])), "area"),
    ("no image folder", lambda d: [*d.score(d.labels())[:5], "--images", d.at / "no", "--out", d.at / "o"], "no"),
    ("wrong skeleton", lambda d: d.score(d.labels(), "--skeleton", "lsp14"), "keypoints"),
    ("heads for COCO", lambda d: d.score(d.labels(), "--heads", d.at / "h.mat"), "takes no 'heads'"),
    ("first for COCO", lambda d: d.score(d.labels(), "--first", 3), "takes no 'first'"),
    ("detections as labels", lambda d: d.score(d.file("d.json", [BOX | {"bbox": [1, 1, 9, 9]}])), "detections"),
    ("MPII short", lambda d: d.score(d.file("m.json", mpii(joints=[[1, 1]]))), "16"),
    ("MPII no heads", lambda d: d.score(d.file("m.json", mpii()), "--heads", d.at / "no.mat"), "no.mat"),
    ("LSP shape", lambda d: d.score(mat(d, np.zeros((3, 14, 5, 2)))), "joints.mat"),
    ("LSP range", lambda d: d.score(mat(d, np.ones((3, 14, 5))), "--first", 9), "9"),
    ("mat no mat", lambda d: d.score(d.file("joints.mat", b"hello")), "joints.mat"),
    # detector boxes
    ("no boxes", lambda d: d.score(d.labels(), "--boxes", d.at / "none.json"), "none.json"),
    ("boxes no list", lambda d: detections(d, {"a": 1}), "boxes.json"),
    ("boxes elsewhere", lambda d: detections(d, [BOX | {"image_id": 7, "bbox": [1, 1, 9, 9]}]), "image ids differ"),
    ("boxes no score", lambda d: detections(d, [{"image_id": 1, "bbox": [1, 1, 9, 9]}]), "score"),
    ("boxes xyxy", lambda d: detections(d, [BOX | {"bbox": [100, 60, 119, 79]}]), "xyxy"),
    # runs
    ("out is a file", occupied, "choose another folder"),
    ("out has another run", other_run, "run with other settings"),
    ("predictions damaged", damaged_predictions, "line 1 is not a prediction"),
    ("no settings", lambda d: ["train", "--out", d.at / "run"], "settings file, or --preset"),
    ("no settings file", lambda d: d.train(d.at / "none.toml"), "none.toml"),
    ("settings no TOML", lambda d: d.train(d.file("t.toml", "= 1")), "not valid TOML"),
    ("misspelt setting", lambda d: d.train(d.toml(learningrate=1)), "learningrate"),
    ("negative steps", lambda d: d.train(d.toml(), "--max-steps", -1), "steps"),
    ("no data", lambda d: d.train(d.toml(data=[])), "data"),
    ("no parts", lambda d: d.train(d.toml(model=None)), "model"),
    ("no tower", lambda d: d.train(d.toml()), "no-tower"),
    ("no start", lambda d: d.train(d.toml(start=str(d.at / "gone"))), "gone"),
    ("batch", lambda d: d.train(d.toml(start=str(d.model), batch_size=3, per_device_batch_size=2)), "multiple"),
    ("no such keypoint", lambda d: d.train(d.toml(start=str(d.model)), "--without-keypoints", "tail"), "'tail'"),
    ("nothing left",
     lambda d: d.train(d.toml(start=str(d.model), without_keypoints=list(load_skeleton("coco17").names))),
     "no person"),
    ("only labels", lambda d: d.train(d.toml(), "--annotations", d.at / "a.json"), "go together"),
    ("unknown preset", lambda d: d.train(d.toml(), "--preset", "posellm-70b"), "posellm-70b"),
    ("unknown command", lambda d: ["lokate", d.at / "photo.png"], "lokate"),
    ("unknown skeleton listed", lambda d: ["skeletons", "coco18"], "coco18"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "says"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_bad_input_is_one_sentence_and_exit_2(
    words: Callable[[Desk], list[object]], says: str, desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    given = [str(w) for w in words(desk)]
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(given)
    error = capfd.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("posetalk: ") and error.count("\n") == 1 and "Traceback" not in error
    assert says in error, error


def test_there_are_forty_kinds() -> None:
    assert len({says for _, _, says in ROWS}) >= 40 and len(ROWS) >= 40
