"""The papers' claims at the size that two cores allow: arms that differ in one thing, equal budgets, several seeds.

    python runs/claims.py WORK --arms mlp,linear --seeds 1,2,3

WORK is the folder of bundled.sh, with parts, labels and data. Each run is `posetalk train` and two `posetalk evaluate`
in WORK/claims/ARM-SEED; what is done is not done again. Prints a table: the mean over seeds, and the 95 % interval of
the paired difference to the arm it is compared with (Student's t over seeds).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from scipy.stats import t as student

from posetalk.skeleton import BODIES, load_skeleton

HERE = Path(__file__).parent
KNEES = ("left knee", "right knee")
# Knees left out: runs three times as long as claims.toml's, with a tower that has seen knees and with one that has not.
MOVENET = {"max_steps": 400, "save_steps": 400}
EFFICIENTNET = {"model": {"vision_encoder": "parts/efficientnet"}, **MOVENET}
# From nothing, or from 200 steps of pointing, digits learn nothing in so few steps (mean OKS 0.09). So these arms go on
# from the bundled model, which writes digits already; seeds change the views and their order, not where they start.
# Answers are long: eight keypoints a view, drawn at random; `chain` takes five. `more` is pointing alone.
MORE = {"start": "bundled", "learning_rate": 5e-4, "max_steps": 75, "save_steps": 75}
DIGITS = {**MORE, "learn_digits": True, "attention_loss_weight": 1.0, "digit_sigma": 0.02}
DIGITS |= {"keypoints_per_view": 8}
NAMES = {"name_only_share": 1.0, "model": {"wording": "claims/names.toml"}}
NO_KNEES = {"without_keypoints": KNEES}
BETWEEN = {**NO_KNEES, "interpolated_keypoints": 3}
# arm: what differs from claims.toml, and the arm it is compared with
ARMS: dict[str, tuple[dict[str, Any], str | None]] = {
    "mlp": ({}, None),
    "linear": ({"model": {"connector": "linear"}}, "mlp"),
    "names": (NAMES, "mlp"),
    "noknees": (NO_KNEES, "mlp"),
    "noknees-between": (BETWEEN, "mlp"),
    "movenet": (MOVENET, None),
    "movenet-noknees": ({**MOVENET, **NO_KNEES}, "movenet"),
    "movenet-noknees-between": ({**MOVENET, **BETWEEN}, "movenet"),
    "efficientnet": (EFFICIENTNET, None),
    "efficientnet-noknees": ({**EFFICIENTNET, **NO_KNEES}, "efficientnet"),
    "efficientnet-noknees-between": ({**EFFICIENTNET, **BETWEEN}, "efficientnet"),
    "more": (MORE, None),
    "digits": (DIGITS, "more"),
    "chain": ({**DIGITS, "packing": "chain"}, "digits"),
}
COCO = ("coco_people/annotations/person_keypoints_val2017.json", "coco_people/val2017", ())
LSPET = ("lspet/joints.mat", "lspet/images", ("--first", "8501", "--last", "8700"))
NUMBERS = {"coco": ("mean_oks_large", "mean_oks"), "lspet": ("PCK@0.2_12",)}


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    out = deepcopy(base)
    for key, value in change.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) else value
    return out


def run(work: Path, arm: str, seed: int, steps: int | None) -> dict[str, float]:
    """Train and evaluate one run; its numbers by name."""
    folder = work / "claims" / f"{arm}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = merged(tomllib.loads((HERE / "claims.toml").read_text()), {**ARMS[arm][0], "seed": seed})
    if steps:
        settings |= {"max_steps": steps, "save_steps": steps}
    (folder / "settings.toml").write_text(tomli_w.dumps(settings))
    call = [sys.executable, "-m", "posetalk"]
    model = folder / "run"
    if not (model / "model.safetensors").exists():
        command([*call, "train", f"{folder}/settings.toml", "--out", str(model)], work, folder / "train.log")
    found: dict[str, float] = {}
    for name, (labels, images, more) in {"coco": COCO, "lspet": LSPET}.items():
        report = folder / name / "report.json"
        if not report.exists():
            more = (*more, "--readout", "digits") if settings.get("learn_digits") else more
            words = ["--model", str(model), "--annotations", f"data/{labels}", "--images", f"data/{images}"]
            command(
                [*call, "evaluate", *words, "--out", str(report.parent), *more], work, folder / f"{name}.log"
            )
        data = json.loads(report.read_text())
        found |= {number: data[number] for number in NUMBERS[name]}
        rows = {row["name"]: row for row in data["per_keypoint"]}
        for side in KNEES:
            found[f"{name} {side}"] = rows[side]["near"]
    return found


def write_names(path: Path) -> None:
    """The wording without any description, in training and when it is asked."""
    wording = tomllib.loads((HERE / "bundled_wording.toml").read_text())
    known = {name for built_in in BODIES for name in load_skeleton(built_in).names}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomli_w.dumps(wording | {"sentences": dict.fromkeys(sorted(known), "")}))


def command(words: list[str], work: Path, log: Path) -> None:
    print(" ".join(words[1:]), flush=True)
    with log.open("w") as file:
        done = subprocess.run(words, cwd=work, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise SystemExit(f"{log} ends with: {log.read_text().strip().splitlines()[-1]}")


def table(found: dict[str, dict[int, dict[str, float]]]) -> list[str]:
    """A row an arm: means over seeds; differences to its partner over the seeds both have."""
    names = list(next(iter(next(iter(found.values())).values())))
    lines = ["| arm | seeds | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for arm, seeds in found.items():
        values = np.array([[numbers[n] for n in names] for numbers in seeds.values()])
        lines.append(f"| {arm} | {len(seeds)} | " + " | ".join(f"{v:.3f}" for v in values.mean(0)) + " |")
        partner = ARMS[arm][1]
        both = sorted(set(seeds) & set(found.get(partner or "", {})))
        if partner and len(both) > 1:
            gaps = np.array([[seeds[s][n] - found[partner][s][n] for n in names] for s in both])
            half = student.ppf(0.975, len(both) - 1) * gaps.std(0, ddof=1) / len(both) ** 0.5
            cells = [f"{m - h:+.3f} to {m + h:+.3f}" for m, h in zip(gaps.mean(0), half, strict=True)]
            lines.append(f"| over {partner} | {len(both)} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--arms", default=",".join(ARMS), help=", ".join(ARMS))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, help="gradient steps of every run, in place of claims.toml's")
    given = parser.parse_args()
    write_names(given.work / "claims" / "names.toml")
    found: dict[str, dict[int, dict[str, float]]] = {}
    for seed in map(int, given.seeds.split(",")):  # seed by seed: stopped early, every arm has as many
        for arm in given.arms.split(","):
            found.setdefault(arm, {})[seed] = run(given.work.resolve(), arm, seed, given.steps)
            print("\n".join(table(found)), flush=True)


if __name__ == "__main__":
    main()
