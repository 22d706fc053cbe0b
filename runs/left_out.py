"""Are joints found that no text of the training names? Runs with and without the body atlas, several seeds.

    python -m runs.left_out WORK --words knee --seeds 1,2,3       # from the checkout

WORK is the folder of bundled.sh, with parts, labels, data and the atlas. The arms are small runs of the bundled model's
recipe, from a fresh language model and MoveNet's features, which are frozen:

- photos: the joints of the photos, under all names and descriptions that the atlas has for them
- atlas: the same number of steps, with the rendered people and the points of the atlas on the photos

Each arm is trained with all words, and once for each of `--words` without the keypoints and texts that hold a word with
that beginning (FOOT stands for all words of feet). What is done in WORK/left_out is not done again. The table has the
share within 0.1 of the box's longer side on coco_people val2017 (knees, elbows) and on the described points (feet).
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from runs.atlas.leave_out import labels_without
from runs.atlas.points import holds, read_points, skeleton_of, write_skeleton
from runs.atlas.shards import write_json
from runs.body_points import with_words
from runs.claims import COCO, HERE, command, merged
from scipy.stats import t as student

from posetalk.skeleton import load_skeleton

FOOT = ("foot", "feet", "heel", "toe", "sole", "instep", "shoe", "sock", "achilles", "sandal", "lace")
JOINTS = {"knee": ("left knee", "right knee"), "elbow": ("left elbow", "right elbow")}
FEET = ("heel", "big toe")
RECIPE = {
    "max_steps": 400,
    "save_steps": 400,
    "keypoints_per_view": 12,
    "interpolated_keypoints": 2,
    "name_only_share": 0.4,
    "text_noise_share": 0.08,
    "bf16": True,
    "model": {"question_encoder": "parts/question"},
}
ALL = "all"


def words_of(left_out: str) -> tuple[str, ...]:
    return () if left_out == ALL else FOOT if left_out == "foot" else (left_out,)


def write_data(work: Path, left_out: str) -> Path:
    """Labels and skeletons without the words, in WORK/left_out/without-WORD; their folder, as seen from WORK."""
    folder, without = work / "left_out" / f"without-{left_out}", words_of(left_out)
    if (folder / "done").exists():
        return folder.relative_to(work)
    folder.mkdir(parents=True, exist_ok=True)
    points = read_points(without)
    names = [point.keypoint.name for point in points]
    for source in ("atlas/atlas.json", "labels/lspet_body.json", "labels/coco_body.json"):
        labels = json.loads((work / source).read_text(encoding="utf-8"))
        write_json(folder / Path(source).name, labels_without(labels, names))
    write_skeleton(skeleton_of(points), folder / "atlas.toml")
    for name in (str(HERE / "people19.toml"), "coco17"):
        words = with_words(load_skeleton(name), without)
        write_skeleton(words, folder / f"{words.name}.toml")
    (folder / "done").touch()
    return folder.relative_to(work)


def data_of(folder: Path, arm: str) -> list[dict[str, Any]]:
    """The `[[data]]` of an arm."""
    photos = {"lspet": ("data/lspet/images", "people19"), "coco": ("data/coco_people/train2017", "coco17")}
    rows = [
        {
            "annotations": f"labels/{name}.json",
            "images": images,
            "skeleton": f"{folder}/{skeleton}_words.toml",
            "repeat": 1 if name == "lspet" else 8,
        }
        for name, (images, skeleton) in photos.items()
    ]
    if arm == "atlas":
        body = {"skeleton": f"{folder}/atlas.toml"}
        rows += [
            {"annotations": f"{folder}/lspet_body.json", "images": photos["lspet"][0], **body},
            {"annotations": f"{folder}/coco_body.json", "images": photos["coco"][0], "repeat": 4, **body},
            {"annotations": f"{folder}/atlas.json", "images": "atlas/images", **body},
        ]
    return rows


def run(work: Path, arm: str, left_out: str, seed: int) -> dict[str, float]:
    """Train and evaluate one run; its shares by what was asked."""
    folder = work / "left_out" / f"{arm}-{left_out}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    base = tomllib.loads((HERE / "claims.toml").read_text())
    del base["feature_cache"]
    settings = merged(base, {**RECIPE, "seed": seed, "data": data_of(write_data(work, left_out), arm)})
    if left_out != ALL:
        known = load_skeleton(str(HERE / "people19.toml")).names
        settings["without_keypoints"] = [name for name in known if holds(name, words_of(left_out))]
    (folder / "settings.toml").write_text(tomli_w.dumps(settings))
    call = [sys.executable, "-m", "posetalk"]
    model = folder / "run"
    if not (model / "model.safetensors").exists():
        command([*call, "train", f"{folder}/settings.toml", "--out", str(model)], work, folder / "train.log")
    given = ["--model", str(model), "--annotations", f"data/{COCO[0]}", "--images", f"data/{COCO[1]}"]
    if not (folder / "coco" / "report.json").exists():
        command([*call, "evaluate", *given, "--out", str(folder / "coco")], work, folder / "coco.log")
    report = json.loads((folder / "coco" / "report.json").read_text())
    near = {row["name"]: (row["near"], row["n"]) for row in report["per_keypoint"]}
    found = {"mean OKS, large": report["mean_oks_large"]}
    for joint, sides in JOINTS.items():
        found[joint] = sum(near[s][0] * near[s][1] for s in sides) / sum(near[s][1] for s in sides)
    described = folder / "described" / "described.json"
    if not described.exists():
        words = ["--points", "data/described_points/described_points.json", "--images", f"data/{COCO[1]}"]
        words += ["--own", "data/described_points/score_described.py", "--out", str(described.parent)]
        script = [sys.executable, str(HERE / "described_points.py"), str(model), *words]
        command(script, work, folder / "described.log")
    answers = json.loads(described.read_text())["Described points"]["answers"]["run: own"]
    for part in FEET:
        errors = [row["error"] for row in answers if row["name"].endswith(part)]
        found[part] = float(np.mean([error <= 0.1 for error in errors]))
    return found


def table(found: dict[tuple[str, str], list[dict[str, float]]]) -> list[str]:
    """A row for each arm and word: means over the seeds, with 95 % intervals (Student's t) where there are several."""
    names = list(next(iter(found.values()))[0])
    lines = ["| arm | left out | seeds | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
    for (arm, left_out), rows in found.items():
        values = np.array([[row[name] for name in names] for row in rows])
        mean, n = values.mean(0), len(values)
        cells = [f"{m:.3f}" for m in mean]
        if n > 1:
            half = student.ppf(0.975, n - 1) * values.std(0, ddof=1) / n**0.5
            cells = [f"{m:.3f} ({m - h:.3f} to {m + h:.3f})" for m, h in zip(mean, half, strict=True)]
        lines.append(f"| {arm} | {left_out} | {n} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--words", default="knee,elbow,foot")
    parser.add_argument("--arms", default="photos,atlas")
    parser.add_argument("--seeds", default="1,2,3")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in map(int, given.seeds.split(",")):
        for left_out in (ALL, *given.words.split(",")):
            for arm in given.arms.split(","):
                found.setdefault((arm, left_out), []).append(run(given.work.resolve(), arm, left_out, seed))
                print("\n".join(table(found)), flush=True)


if __name__ == "__main__":
    main()
