"""The same pictures written by one model with both recipes: how often each leaks, and how often the facts deny it.

    python runs/recipes.py --annotations person_keypoints_val2017.json --captions captions_val2017.json \
        --objects instances_val2017.json --base-url http://127.0.0.1:8123/v1 --model NAME --pictures 60 --out asked

Pictures with at most --most people, drawn by their ids; each is written of one kind, in turn, so that both recipes have
the same pictures of the same kinds. Each is asked once: what is counted are first replies. Run again it goes on.
--count: count what is there, screened with the rules and facts of now.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from posetalk.bench.report.stats import wilson
from posetalk.facts.scene import scene_facts
from posetalk.formats.annotated import AnnotatedImages
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.request import ChatRequest
from posetalk.write.from_model.recipe import RECIPES, Recipe, given_facts, jobs
from posetalk.write.from_model.reply import parse
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Sample
from posetalk.write.screening.screen import faults_of

REASONS = (
    "leak",
    "contradicted",
    "guess",
    "mismatch",
    "length",
    "turns",
    "duplicate",
    "unreadable",
    "failed",
)


def chosen(annotations: Path, pictures: int, most: int) -> dict[str, list[int]]:
    """The pictures of each kind."""
    file = json.loads(annotations.read_text())
    people = Counter(row["image_id"] for row in file["annotations"] if row["category_id"] == 1)
    fit = [image_id for image_id in people if people[image_id] <= most]
    drawn = sorted(fit, key=lambda image_id: sha256(str(image_id).encode()).digest())[:pictures]
    return {kind: drawn[number :: len(MODEL_KINDS)] for number, kind in enumerate(MODEL_KINDS)}


def cut(annotations: Path, ids: list[int], to: Path) -> None:
    """The annotation file with these pictures alone."""
    file = json.loads(annotations.read_text())
    file["images"] = [row for row in file["images"] if row["id"] in ids]
    file["annotations"] = [row for row in file["annotations"] if row["image_id"] in ids]
    to.write_text(json.dumps(file))


def ask(given: argparse.Namespace) -> None:
    given.out.mkdir(parents=True, exist_ok=True)
    settings = given.out / "settings.toml"
    settings.write_text(
        f'model = "{given.model}"\nbase_url = "{given.base_url}"\n'
        "temperature = 0.0\nconcurrency = 3\nagain = 0\ntimeout = 900\n"
    )
    for kind, ids in chosen(given.annotations, given.pictures, given.most).items():
        cut(given.annotations, ids, given.out / f"{kind}.json")
        for recipe in RECIPES:
            command = [sys.executable, "-m", "posetalk", "write", given.out / f"{kind}.json"]
            command += ["--captions", given.captions, "--objects", given.objects, "--kinds", kind]
            command += ["--out", given.out / f"{recipe}_{kind}", "--writer", "openai", "--recipe", recipe]
            subprocess.run([*map(str, command), "--settings", str(settings)], check=True)


def count(given: argparse.Namespace) -> None:
    pictures = AnnotatedImages(given.annotations, given.captions, given.objects)
    for recipe in RECIPES:
        found: dict[Kind, list[set[str]]] = {}
        for kind in MODEL_KINDS:
            folder = given.out / f"{recipe}_{kind}"
            here = AnnotatedImages(given.out / f"{kind}.json", given.captions, given.objects)
            found[kind] = [
                _reasons(row, job, recipe, pictures, given.show)
                for job in jobs(here, (kind,), recipe)
                if (row := _rows(folder).get(job.id))
            ]
        for name, some in [*found.items(), ("all", [one for rows in found.values() for one in rows])]:
            print(f"{recipe}, {name}: {len(some)} replies")
            counts = Counter(reason for reasons in some for reason in reasons or {"usable"})
            for reason in ("usable", *REASONS):
                if counts[reason] or reason in REASONS[:2]:
                    between = wilson(counts[reason], len(some)) or (0, 1)
                    print(f"  {reason:13} {counts[reason]:3}  ({between[0]:.2f} to {between[1]:.2f})")


def _rows(folder: Path) -> dict[str, dict[str, Any]]:
    """What was written, by the sample's id."""
    files = [folder / name for name in ("samples.jsonl", "rejected.jsonl")]
    lines = [
        line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return {row["id"]: row for row in map(json.loads, lines)}


def _reasons(
    row: dict[str, Any], job: ChatRequest, recipe: Recipe, pictures: AnnotatedImages, show: bool
) -> set[str]:
    """What is wrong with a reply; what was cut off or never came is as it was judged then."""
    before = [
        fault
        for fault in row.get("faults", ())
        if fault["reason"] == "failed" or "cut off after" in fault["words"]
    ]
    faults = tuple(Fault(**fault) for fault in before)
    if not faults:
        picture = pictures.get(job.image_id)
        assert picture is not None
        scene = scene_facts(picture.image, pictures.keypoint_names, picture.things)
        try:
            turns = parse(job, row["reply"]) if row.get("reply") else Sample.of(row).turns
            sample = Sample(job.id, job.image_id, job.image, job.kind, turns, row["writer"])
            faults = faults_of(sample, scene, given_facts(recipe, job.kind), picture.captions)
        except Rejected as rejected:
            faults = rejected.faults
    if show and faults:
        print(f"  {recipe} {job.id}: {'; '.join(fault.words for fault in faults)}")
    return {fault.reason for fault in faults}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("annotations", "captions", "objects", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--base-url", default="http://127.0.0.1:8123/v1")
    parser.add_argument("--model", default="model")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--most", type=int, default=4)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--show", action="store_true", help="with --count: say what is wrong with each")
    given = parser.parse_args()
    if not given.count:
        ask(given)
    count(given)


if __name__ == "__main__":
    main()
