"""`locate` and `evaluate` killed with SIGKILL and started again end with the files of a run that was left alone.

    python -m tests.locate.test_kill_locate FOLDER MODEL

is what runs and kills them: it loads what they need once, then forks and kills the children.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from posetalk.cli import main
from posetalk.locate import run as locate  # noqa: F401  (what the commands import late)
from posetalk.locate.predictions import PredictionLog
from posetalk.model.files import load
from posetalk.score import run as score  # noqa: F401

NAMES = ["nose", "chin"]  # few and short: a letter is a token of the tiny model
PHOTOS = 18  # in groups of eight: two whole ones and a part
AFTER = (1, 2, 8)  # pictures written by each run that is killed: 1, 3 and 11 are then done


def made(folder: Path) -> list[list[str]]:
    """Photos and labels, and the two commands but for model and folder."""
    images, people = [], []
    for n in range(PHOTOS):
        file = f"{'ab'[n % 2]}/{n}.png"
        noise = np.random.default_rng(n).integers(0, 255, (60 + n, 90, 3), dtype=np.uint8)
        (folder / "photos" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(folder / "photos" / file)
        images.append({"id": n + 1, "file_name": file, "width": 90, "height": 60 + n})
        for person in range(n % 3 + 1):
            people.append(
                {"id": len(people) + 1, "image_id": n + 1, "category_id": 1, "iscrowd": 0, "area": 900.0,
                 "bbox": [5 + 9 * person, 4, 40, 50], "num_keypoints": 2,
                 "keypoints": [20, 10, 2, 25, 30, 1]}
            )  # fmt: skip
    (folder / "photos" / "a" / "no.jpg").write_bytes(b"damaged")
    categories = [{"id": 1, "name": "person", "keypoints": NAMES}]
    labels = folder / "labels.json"
    labels.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    points = folder / "points.toml"
    points.write_text("".join(f'[[keypoint]]\nname = "{name}"\n' for name in NAMES))
    return [
        ["locate", str(folder / "photos"), "--whole-image", "--ask", "heel: of the foot"],
        [
            "evaluate",
            "--annotations",
            str(labels),
            "--images",
            str(folder / "photos"),
            "--skeleton",
            str(points),
        ],
    ]


def run(command: list[str], stop_after: int | None) -> int:
    """The status of the command in a process of its own, killed when it has written so many pictures."""
    told, tell = os.pipe()
    if (process := os.fork()) == 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
        real, count = PredictionLog.add, 0

        def add(log: PredictionLog, found: object) -> None:
            nonlocal count
            real(log, found)  # type: ignore[arg-type]
            count += 1
            if count == stop_after:
                os.write(tell, b".")
                signal.pause()  # until it is killed

        PredictionLog.add = add  # type: ignore[method-assign, assignment]
        try:
            main(command)
        except SystemExit as stop:
            os._exit(int(stop.code or 0))
        os._exit(0)
    os.close(tell)
    if os.read(told, 1):
        os.kill(process, signal.SIGKILL)
    os.close(told)
    return os.waitpid(process, 0)[1]


def killed(folder: Path, model: str) -> None:
    """Print, as JSON, how each run of each command ended, and how many lines it had written then."""
    torch.set_num_threads(1)
    load(model)  # no network runs here: what has threads cannot be forked
    ended = {}
    for command in made(folder):
        command += ["--model", model, "--out"]
        alone, again = folder / command[0] / "left alone", folder / command[0] / "killed"
        rounds = [(run([*command, str(alone)], None), written(alone))]
        for stop in (*AFTER, None):
            rounds.append((run([*command, str(again)], stop), written(again)))
        ended[command[0]] = rounds
    print(json.dumps(ended))


def written(out: Path) -> int:
    return (out / "predictions.jsonl").read_bytes().count(b"\n")


def test_killed_and_gone_on_with(tmp_path: Path, tiny_model: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"keypoints": NAMES}))
    command = [sys.executable, "-m", "tests.locate.test_kill_locate", str(tmp_path), str(model)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    ended = json.loads(done.stdout)
    for name, lines in (("locate", PHOTOS), ("evaluate", sum(n % 3 + 1 for n in range(PHOTOS)))):
        (alone, *stopped, last), counts = [status for status, _ in ended[name]], [n for _, n in ended[name]]
        assert (alone, stopped, last) == (0, [signal.SIGKILL] * len(AFTER), 0)
        assert counts[0] == counts[-1] == lines and 0 < counts[1] < counts[2] < counts[-2] < lines
        files = [
            "predictions.jsonl",
            *(["keypoints.json"] if name == "locate" else ["report.json", "report.md"]),
        ]
        for file in files:
            one, other = ((tmp_path / name / which / file).read_bytes() for which in ("left alone", "killed"))
            assert one == other, (name, file)
    rows = json.loads((tmp_path / "locate" / "killed" / "keypoints.json").read_text())
    assert [row["file_name"] for row in rows] == sorted(
        (f"{'ab'[n % 2]}/{n}.png" for n in range(PHOTOS)), key=lambda name: name.split("/")
    )


if __name__ == "__main__":
    killed(Path(sys.argv[1]), sys.argv[2])
