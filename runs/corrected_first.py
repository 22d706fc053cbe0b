"""What correcting doubtful labels first gains: a short fine-tune on predicted labels of which some are corrected.

    posetalk label held --out labelled          # im08301.jpg to im08500.jpg of LSPET
    python -m runs.corrected_first labelled/labels.json lspet/joints.mat --images lspet/images --steps 100 --seeds 3 \\
        --out corrected

The bundled model was not trained on these photos. Of the people whom model and labels both have (boxes that overlap by
half), images are corrected as a whole, in the order of doubt or at random, until --people of them have their labels in
place of the predicted ones; the others keep what was predicted. From each such set the bundled model is trained further
for --steps, and scored on LSPET's images 8,501 to 9,000 (PCK@0.2 of 12 joints). `none` and `all` are corrected for
comparison; `start` is the model before.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from runs.label_scores import overlap

from posetalk.exchange.forms import read_labels_of, write_labels
from posetalk.exchange.labels import LabelSet
from posetalk.exchange.matching import by_doubt
from posetalk.formats.lsp import read_lsp
from posetalk.score.run import evaluate_model
from posetalk.settings import EvaluateSettings, TrainSettings
from posetalk.train.run import train_model
from posetalk.types import Person, PoseImage

FIRST, LAST, MEASURE = 8501, 9000, "PCK@0.2_12"


def shared(predicted: LabelSet, joints: Path, images: Path) -> tuple[LabelSet, LabelSet]:
    """LSPET's labels of the predicted images, and what was predicted of the joints that LSPET has, as one skeleton."""
    by_name = {image.name: image for image in predicted.data.images}
    numbers = sorted(int(Path(name).stem.removeprefix("im")) for name in by_name)
    read = read_lsp(joints, images, first=numbers[0], last=numbers[-1])
    names = predicted.skeleton.names
    known = np.array([name in read.keypoint_names for name in names])
    order = [read.keypoint_names.index(name) if name in read.keypoint_names else 0 for name in names]

    def own(person: Person) -> Person:
        return replace(
            person, keypoints=person.keypoints[order] * known[:, None], visible=person.visible[order] * known
        )

    labelled = tuple(
        replace(by_name[image.name], people=tuple(map(own, image.people)))
        for image in read.images
        if image.name in by_name
    )
    found = tuple(
        replace(image, people=tuple(replace(p, visible=p.visible * known) for p in image.people))
        for image in predicted.data.images
    )
    return (
        replace(predicted, data=replace(predicted.data, images=labelled)),
        replace(predicted, data=replace(predicted.data, images=found)),
    )


def pairs(labels: LabelSet, predicted: LabelSet) -> dict[int, list[tuple[Person, Person]]]:
    """By image id: people of the labels with who was predicted for them."""
    found = {image.id: image.people for image in predicted.data.images}
    matched: dict[int, list[tuple[Person, Person]]] = {}
    for image, person in labels.data.people():
        if person.is_crowd or not person.labelled.any():
            continue
        best = max(found.get(image.id, ()), key=lambda p: overlap(p.box, person.box), default=None)
        if best is not None and best.labelled.any() and overlap(best.box, person.box) >= 0.5:
            matched.setdefault(image.id, []).append((person, best))
    return matched


def corrected(
    labels: LabelSet, matched: dict[int, list[tuple[Person, Person]]], order: Sequence[int], people: int
) -> tuple[LabelSet, int]:
    """The labels with the people's own in the first images of an order, and predicted ones in the others; and how many
    people were corrected."""
    done: set[int] = set()
    count = 0
    for image_id in order:
        if count >= people:
            break
        done.add(image_id)
        count += len(matched[image_id])

    def of(image: PoseImage) -> PoseImage:
        chosen = [
            own
            if image.id in done
            else replace(own, keypoints=found.keypoints, visible=found.visible, box=found.box)
            for own, found in matched[image.id]
        ]
        return replace(image, people=tuple(chosen))

    images = tuple(of(image) for image in labels.data.images if image.id in matched)
    return replace(labels, data=replace(labels.data, images=images)), count


def score(model: str | Path, given: argparse.Namespace, out: Path) -> float:
    settings = EvaluateSettings(
        model=str(model), annotations=str(given.joints), images=str(given.images), first=FIRST, last=LAST
    )
    return float(evaluate_model(settings, out).numbers[MEASURE] or 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("predicted", type=Path)
    parser.add_argument("joints", type=Path)
    for name in ("images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-4)
    given = parser.parse_args()
    predicted = read_labels_of(given.predicted, images=given.images)
    labels, predicted = shared(predicted, given.joints, given.images)
    matched = pairs(labels, predicted)
    doubtful = [image.id for image in by_doubt(predicted).data.images if image.id in matched]
    everybody = sum(map(len, matched.values()))
    print(f"{everybody} people of {len(matched)} images are in both")
    rows = {"start": [score("bundled", given, given.out / "start")]}
    for seed in range(given.seeds):
        shuffled = random.Random(seed).sample(sorted(matched), len(matched))
        ways = {"none": (doubtful, 0), "doubt": (doubtful, given.people), "random": (shuffled, given.people)}
        for name, (order, many) in (ways | {"all": (doubtful, everybody)}).items():
            folder = given.out / f"{name}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            made, count = corrected(labels, matched, order, many)
            file = folder / "labels.json"
            file.unlink(missing_ok=True)
            write_labels(made, file, "coco")
            settings = TrainSettings.check(
                {
                    "start": "bundled",
                    "data": [{"annotations": str(file), "images": str(given.images)}],
                    "max_steps": given.steps,
                    "batch_size": 8,
                    "per_device_batch_size": 8,
                    "learning_rate": given.rate,
                    "vision_lr_scale": 0.06,
                    "num_workers": 0,
                    "seed": seed,
                },
                "the settings",
            )
            model = train_model(settings, folder / "model")
            rows.setdefault(name, []).append(score(model, given, folder / "report"))
            print(
                f"seed {seed}, {name}: {count} people corrected, {MEASURE} {rows[name][-1]:.4f}", flush=True
            )
    (given.out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
    for name, values in rows.items():
        print(f"{name}: {sum(values) / len(values):.4f} of {len(values)}")


if __name__ == "__main__":
    main()
