"""Every command and every public name of posetalk, without its extras: it works, or says which extra it needs.

    python tests/wheel.py

under the Python of a venv that holds nothing but the wheel; `make wheel` does so, outside the checkout. Needs no other
file of the tests. Exit code 1 where something does neither.

    python tests/wheel.py EXTRA

under one that holds an extra as well: what the extra is for works; `make extra EXTRA=model`.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

Run = Callable[[list[str]], tuple[int, str]]

# Words of a command -> the extra it needs ("" where it needs none). A row may read what an earlier one wrote.
FIRST = {
    "write people.json --captions captions.json --out written --images photos": "",
    "bench build people.json --captions captions.json --images photos --out asked": "",
    "export written llava": "",
}
THEN = {
    "--help": "",
    "--version": "",
    "skeletons": "",
    "skeletons coco17": "",
    "push --help": "",
    "facts people.json": "",
    "facts people.json --images photos --json facts.jsonl --draw drawn": "",
    "write people.json --captions captions.json --out batched --writer batch --model m": "",
    "write people.json --captions captions.json --out counted --writer openai --model m --dry-run": "",
    "write people.json --captions captions.json --out served --writer openai --model m"
    " --base-url http://127.0.0.1:9/v1": "write",
    "screen llava/train.json screened --annotations people.json": "",
    "export written llama --format llama-factory": "",
    "export written swift --format swift --images photos": "",
    "export written parquet --format parquet --images photos": "export",
    "export written vision --format finevision --images photos": "export",
    "bench report asked": "",
    "bench report asked --images photos": "",
    "bench export asked lmms --images photos": "",
    "bench export asked table.tsv --images photos --format vlmevalkit": "",
    "bench answer asked --images photos --model tiny --limit 1": "model",
    "bench answer asked --images photos --model n --limit 1 --base-url http://127.0.0.1:9/v1": "write",
    "bench judge priced --model m --dry-run": "",
    "bench judge asked --model m --base-url http://127.0.0.1:9/v1": "write",
    "bench run people.json --images photos --model tiny --out ran --limit 1": "model",
    "locate photos/1.jpg": "",
    "locate photos/1.jpg --box 55,20,290,470 --ask left_heel:the_back_of_the_left_foot --json pose.json": "",
    "locate photos --out found": "",
    "label photos --out labelled": "",
    "formats": "",
    "convert-labels people.json yolo --to yolo --images photos": "",
    "bench review asked --images photos": "",
    "locate photos/1.jpg --readout digits": "model",
    "evaluate --annotations people.json --images photos --out scored": "",
    "calibrate bundled calibrated --annotations people.json --images photos": "model",
    "convert . converted": "model",
    "export-onnx --out pose.onnx": "onnx",
    "plan --preset posellm-7b": "tune",
    "train --preset posellm-7b --annotations people.json --images photos --out trained": "train",
    "tune written --out tuned --images photos --preset tiny": "tune",
    "chat photos/1.jpg hello --model tiny": "model",
    "serve --port 0": "serve",
}
# Extra -> commands that it makes work, in turn.
WITH = {
    "model": [
        "locate photos/1.jpg --readout digits --json pose.json --draw pose.png",
        "evaluate --annotations people.json --images photos --out scored --readout digits",
        "calibrate bundled calibrated --annotations people.json --images photos",
    ],
    "onnx": ["export-onnx --out pose.onnx --precision int8"],
    "train": ["train settings.toml --out trained", "locate photos/1.jpg --model trained"],
    "quantize": ["train quantized.toml --out trained", "locate photos/1.jpg --model trained"],
    "tune": [
        "tune written --out talk --images photos --preset tiny --max-steps 1",
        "chat photos/1.jpg hello --model talk",
        "bench run people.json --images photos --model talk --out ran --limit 1",
    ],
    # nobody is there to answer: the package asks, and says so
    "write": ["write people.json --captions captions.json --out served --writer openai --model m"
              " --base-url http://127.0.0.1:9/v1"],
    # it loads, and there is no such address to listen on
    "serve": ["serve --host no.such.host.invalid"],
    "export": [
        "export written parquet --format parquet --images photos",
        "export written vision --format finevision --images photos",
    ],
}  # fmt: skip
SETTINGS = """
start = "bundled"
max_steps = 1
batch_size = 2
per_device_batch_size = 2
num_workers = 0
[[data]]
annotations = "people.json"
images = "photos"
"""
NAMES = {
    **dict.fromkeys(("CalibrationResult", "calibrate", "convert"), "model"),
    **dict.fromkeys(("Chat", "JobPlan", "MemoryPlan", "RunPlan", "plan_run"), "tune"),
    "export_onnx": "onnx",
    "train_model": "train",
    "tune_model": "tune",
}  # of the public names, those that need an extra


def prepare(folder: Path) -> None:
    """Photos of a person each, COCO's files of them, and captions."""
    from PIL import Image

    (folder / "photos").mkdir()
    images, people, captions = [], [], []
    for number in range(1, 13):
        Image.new("RGB", (900, 500), (90, 20 * number, 120)).save(folder / "photos" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 900, "height": 500})
        for place in range(1 + (number % 3 == 0)):
            # who stands, arms hanging down or held up: the left one, the right one, both, none
            left = [(266, 75), (268, 22)] if (number + place) & 1 else [(245, 190), (248, 255)]
            right = [(134, 75), (132, 22)] if (number + place) & 2 else [(155, 190), (152, 255)]
            arms = [point for pair in zip(left, right, strict=True) for point in pair]
            points = [(200, 60), (210, 50), (190, 50), (220, 55), (180, 55), (240, 120), (160, 120), *arms,
                      (225, 270), (175, 270), (228, 370), (172, 370), (230, 470), (170, 470)]  # fmt: skip
            keypoints = [value for x, y in points for value in (x + 450 * place, y, 2)]
            box = {"bbox": [55 + 450 * place, 20, 290, 470], "area": 30000.0, "iscrowd": 0, "category_id": 1}
            people.append({"id": len(people) + 1, "image_id": number, "keypoints": keypoints, **box})
        said = ("A person waits.", "Somebody in a park.", "People near a tree.")
        captions += [{"image_id": number, "caption": text} for text in said]
    labels = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (folder / "people.json").write_text(json.dumps(labels))
    (folder / "captions.json").write_text(json.dumps({"annotations": captions}))


def answer(folder: Path) -> None:
    """As a model would: what it says of the questions of a benchmark."""
    rows = []
    for file in ("closed.jsonl", "questions.jsonl"):
        for line in (folder / file).read_text().splitlines():
            name = json.loads(line)["question_id"]
            rows.append({"question_id": name, "text": "yes", "model_id": "m", "answer_id": name})
    (folder / "answers").mkdir(exist_ok=True)
    (folder / "answers" / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def check(run: Run, folder: Path, at_once: int = 1) -> list[str]:
    """What is wrong, a sentence each. run: a command in `folder` -> its exit code, and all that it printed."""
    prepare(folder)
    rows = list(FIRST.items())
    found = [_judge(words, extra, *run(words.split())) for words, extra in rows]
    if any(found):
        return [fault for fault in found if fault]
    answer(folder / "asked")
    shutil.copytree(folder / "asked", folder / "priced")  # two judges at once would be in each other's way
    with ThreadPoolExecutor(at_once) as pool:
        done = pool.map(lambda row: _judge(row[0], row[1], *run(row[0].split())), THEN.items())
        return [fault for fault in done if fault] + names()


def check_extra(run: Run, folder: Path, extra: str) -> list[str]:
    """What does not work with an extra, a sentence each; as `check`."""
    prepare(folder)
    (folder / "settings.toml").write_text(SETTINGS)
    (folder / "quantized.toml").write_text(f'quantization = "4bit"\n{SETTINGS}')
    faults = []
    for words in [*FIRST, *WITH[extra]]:
        code, said = run(words.split())
        asked = (
            extra in ("write", "serve") and words in WITH[extra] and code == 2 and "pip install" not in said
        )
        if (code and not asked) or "Traceback" in said:
            faults.append(
                f"posetalk {words}\n  is to work with the extra {extra}, and ends with {code}:\n{said}"
            )
    return faults


def names() -> list[str]:
    """The public names that neither are there nor say what is missing."""
    import posetalk

    faults = []
    for name in posetalk.__all__:
        extra = NAMES.get(name)
        try:
            getattr(posetalk, name)
            said = ""
        except posetalk.PosetalkError as error:
            said = str(error)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        if said if extra is None else f"posetalk[{extra}]" not in said:
            faults.append(f"posetalk.{name}: {said or 'is there, and was to need an extra'}")
    return faults


def _judge(words: str, extra: str, code: int, said: str) -> str:
    told = code == 2 and f"pip install 'posetalk[{extra}]'" in said
    if (told if extra else code == 0) and "Traceback" not in said:
        return ""
    return f"posetalk {words}\n  is to {f'name the extra {extra}' if extra else 'work'}, and ends with {code}:\n{said}"


def here(words: list[str]) -> tuple[int, str]:
    """Run a command in this process, whose folder is the one to run in."""
    from posetalk.cli import main

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(words)
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
        except BaseException:
            return 1, said.getvalue() + traceback.format_exc()
    raise AssertionError("a command ends with SystemExit")


def program() -> None:
    import posetalk

    with tempfile.TemporaryDirectory() as name:

        def apart(words: list[str]) -> tuple[int, str]:
            start = [sys.executable, "-m", "posetalk"]
            done = subprocess.run([*start, *words], cwd=name, capture_output=True, text=True, timeout=120)
            return done.returncode, done.stdout + done.stderr

        if sys.argv[1:]:
            faults = check_extra(apart, Path(name), sys.argv[1])
            print("\n".join(faults) or f"the extra {sys.argv[1]} works with {posetalk.__file__}")
            sys.exit(1 if faults else 0)
        faults = check(apart, Path(name), at_once=2)
    for fault in faults:
        print(fault)
    count = f"{len(FIRST) + len(THEN)} commands and {len(posetalk.__all__)} names of {posetalk.__file__}"
    print(f"{count}: {len(faults)} neither work nor say which extra they need")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    program()
