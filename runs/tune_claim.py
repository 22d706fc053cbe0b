"""LLaVA-Pose's claim at the size that two cores allow: does text made from keypoints teach a model about bodies?

    python runs/tune_data.py WORK
    python runs/tune_claim.py WORK --seeds 1,2,3 --steps 900

WORK is the folder of tune_data.py. A small LLaVA (--preset) is tuned not at all, on text that knows boxes and captions
alone (captions-KIND.jsonl) and on text made from keypoints (grounded-KIND.jsonl), with equal budgets. KIND (--kind) is
posture: short questions of one kind; short: of every kind; all: these and conversations. Each model answers the
judge-free questions of every kind about photos that it was never shown: LSPET 8,501 to 9,000, and COCO's sample of
val2017; with --try, to choose --steps by, LSPET 8,301 to 8,500 alone. What is done is not done again; two of these with
other --arms or --seeds may run beside each other, once the first has begun to tune. Prints a table of the seeds that
all arms have: accuracy by kind, a mean over seeds, and the 95 % interval (bootstrap over pictures of what the seeds'
answers have in the mean) of each and of paired differences; chance is what guessing gives.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posetalk.bench.answers.review import read_answers
from posetalk.bench.questions.build import read_closed
from posetalk.bench.report.report import correctness
from posetalk.score.bootstrap import interval, resample
from posetalk.write.questions.questions import Question

ARMS = ("captions", "grounded")
NONE = "not tuned"
_BEGUN = re.compile(r"(Yes|No)(?=(Yes|No)+$)")
UNTUNED = {"bundled": "small", "tiny": "tiny"}  # by preset
EACH = "40"  # questions of the same words and the same right answer, at most
LSPET = ("data/lspet/images", "data/lspet/joints.mat")
TRIAL = {"try": (LSPET[0], [LSPET[1], "--first", "8301", "--last", "8500"])}
BENCHES = {
    "lspet": (LSPET[0], [LSPET[1], "--first", "8501", "--last", "9000"]),
    "coco": (
        "data/coco_people/val2017",
        [
            "data/coco_people/annotations/person_keypoints_val2017.json",
            "--objects",
            "data/coco_people/annotations/instances_val2017.json",
        ],
    ),
}


def home(bench: str) -> str:
    """The folder of a benchmark in WORK."""
    return f"tune/bench{EACH}-{bench}"


def command(words: list[str], work: Path, log: Path) -> None:
    print("posetalk", " ".join(words), flush=True)
    with log.open("a") as file:
        done = subprocess.run(
            [sys.executable, "-m", "posetalk", *words], cwd=work, stdout=file, stderr=file, check=False
        )
    if done.returncode:
        raise SystemExit(f"{log} ends with: {log.read_text().strip().splitlines()[-1]}")


def rights(folder: Path, name: str, questions: list[Question]) -> np.ndarray:
    """1 where the model was right, (questions,). "NoNoNo" is read as "No"."""
    answers = {
        key: replace(answer, text=begun.group()) if (begun := _BEGUN.match(answer.text)) else answer
        for key, answer in read_answers(folder / "answers" / f"{name}.jsonl").items()
    }
    found = correctness(answers, questions)
    return np.array([float(found[question.id] == "right") for question in questions])


def over_pictures(values: np.ndarray, pictures: list[int]) -> str:
    """The mean of (questions,) values and its interval, as text."""
    rows = {picture: i for i, picture in enumerate(dict.fromkeys(pictures))}
    top, bottom = np.zeros((len(rows), 1)), np.zeros((len(rows), 1))
    for value, picture in zip(values, pictures, strict=True):
        top[rows[picture]] += value
        bottom[rows[picture]] += 1
    low, high = interval(resample(top, bottom)[:, 0]) or (np.nan, np.nan)
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def table(benches: Sequence[str], work: Path, about: str, seeds: list[int], untuned: str) -> list[str]:
    lines = [
        "| data | about | n | chance | not tuned | captions | grounded | grounded - not tuned | grounded - captions |"
    ]
    lines.append("|---" * 9 + "|")
    for bench in benches:
        folder = work / home(bench)
        every = list(read_closed(folder).questions)
        right = {NONE: rights(folder, untuned, every)} | {
            arm: np.mean([rights(folder, f"{arm}-{about}-{seed}", every) for seed in seeds], 0)
            for arm in ARMS
        }
        for kind in [*dict.fromkeys(question.kind for question in every), "all"]:
            some = np.array([kind in (question.kind, "all") for question in every])
            pictures = [question.image_id for question, taken in zip(every, some, strict=True) if taken]
            chance = np.mean([question.chance for question, taken in zip(every, some, strict=True) if taken])
            cells = [over_pictures(right[arm][some], pictures) for arm in (NONE, *ARMS)]
            gaps = [
                over_pictures((right["grounded"] - right[arm])[some], pictures) for arm in (NONE, "captions")
            ]
            lines.append(
                f"| {bench} | {kind} | {some.sum()} | {chance:.3f} | " + " | ".join(cells + gaps) + " |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--kind", default="posture", choices=["posture", "short", "all"])
    parser.add_argument("--steps", type=int, default=900, help="gradient steps of every run")
    parser.add_argument("--preset", default="tiny", choices=list(UNTUNED))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--try", action="store_true", dest="trying")
    given = parser.parse_args()
    work, seeds = given.work.resolve(), [int(seed) for seed in given.seeds.split(",")]
    log = work / "tune" / f"log-{given.arms}.txt"
    benches, about = TRIAL if given.trying else BENCHES, f"{given.preset}-{given.kind}-{given.steps}"

    def answer(bench: str, model: str) -> None:
        folder, images = home(bench), benches[bench][0]
        command(
            ["bench", "answer", folder, "--images", images, "--only", "closed", "--model", model], work, log
        )

    for bench, (images, labels) in benches.items():
        folder = home(bench)
        if not (work / folder / "closed.jsonl").exists():
            training = [word for arm in ARMS for word in ("--training", f"tune/{arm}-all.jsonl")]
            out = ["--images", images, "--out", folder, "--each", EACH]
            command(["bench", "build", *labels, *out, *training], work, log)
        answer(bench, UNTUNED[given.preset])
    for seed in seeds:  # seed by seed: stopped early, both arms have as many
        for arm in given.arms.split(","):
            run = f"tune/{arm}-{about}-{seed}"
            if not (work / run / "card.md").exists():
                data = [f"tune/{arm}-{given.kind}.jsonl", "--images", "data", "--out", run]
                budget = ["--preset", given.preset, "--steps", str(given.steps), "--seed", str(seed)]
                command(["tune", *data, *budget, "--features", "tune/features"], work, log)
            for bench in benches:
                answer(bench, run)
        done = [one for one in seeds if all(_answered(benches, work, f"{arm}-{about}-{one}") for arm in ARMS)]
        if done:
            print(f"seeds {done}")
            print("\n".join(table(list(benches), work, about, done, UNTUNED[given.preset])), flush=True)


def _answered(benches: Iterable[str], work: Path, name: str) -> bool:
    folders = [work / home(bench) for bench in benches]
    return all(
        (file := folder / "answers" / f"{name}.jsonl").exists()
        and len(file.read_text().splitlines()) >= len(read_closed(folder).questions)
        for folder in folders
    )


if __name__ == "__main__":
    main()
