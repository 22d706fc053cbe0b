"""How far predicted labels can be trusted, by the lowest score of a keypoint that is labelled.

    posetalk label val2017 --out labelled --min-keypoint-score 0
    python runs/label_scores.py labelled/labels.json person_keypoints_val2017.json

People of both files are matched by their boxes (the best intersection over union, at least 0.5). `precision` is the
share of predicted keypoints that people labelled too, `recall` the share of theirs that is predicted, `right` the share
of predicted keypoints with an OKS above 0.5 to a label. The threshold is chosen on images with even ids and reported on
the others. The last lines say where the misplaced keypoints (an OKS below 0.5 to a label) are in the order of doubt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from posetalk.exchange.forms import read_labels_of
from posetalk.exchange.matching import by_doubt
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person

THRESHOLDS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    (left, top, right, bottom), (x, y, w, h) = a.xyxy, b.xyxy
    both = max(0.0, min(right, w) - max(left, x)) * max(0.0, min(bottom, h) - max(top, y))
    return both / (a.area + b.area - both)


def rows(predicted: Path, labels: Path) -> tuple[np.ndarray, int, int]:
    """For each keypoint of each matched person: even id, score, flag predicted, flag labelled, OKS, image id; and how
    many people were matched, of how many."""
    found = {
        image.id: image.people for image in read_labels_of(predicted, images=predicted.parent).data.images
    }
    sigmas = np.array(load_skeleton("coco17").sigmas)
    parts, count = [], 0
    for image, person in read_labels_of(labels, images=labels.parent).data.people():
        if person.is_crowd or not person.labelled.any():
            continue
        count += 1
        best: Person | None = max(
            found.get(image.id, ()), key=lambda p: overlap(p.box, person.box), default=None
        )
        if best is None or best.scores is None or overlap(best.box, person.box) < 0.5:
            continue
        squared = ((best.keypoints - person.keypoints) ** 2).sum(axis=1)
        oks = np.exp(-squared / (2 * person.area * (2 * sigmas) ** 2))
        even = np.full(len(oks), image.id % 2 == 0)
        ids = np.full(len(oks), image.id)
        parts.append(np.stack([even, best.scores, best.visible, person.visible, oks, ids], axis=1))
    return np.concatenate(parts), len(parts), count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predicted", type=Path)
    parser.add_argument("labels", type=Path)
    given = parser.parse_args()
    table, matched, people = rows(given.predicted, given.labels)
    print(f"{matched} of {people} labelled people matched")
    for even, name in ((1, "chosen on even ids"), (0, "reported on odd ids")):
        half = table[table[:, 0] == even]
        print(
            f"{name}: {len(half) // 17} people\n| threshold | precision | recall | F1 | right |\n|---|---|---|---|---|"
        )
        for threshold in THRESHOLDS:
            kept = half[(half[:, 1] >= threshold) & (half[:, 2] > 0)]
            both, labelled = (kept[:, 3] > 0).sum(), (half[:, 3] > 0).sum()
            right = ((kept[:, 3] > 0) & (kept[:, 4] > 0.5)).sum()
            f1 = 2 * both / (len(kept) + labelled)
            print(
                f"| {threshold} | {both / len(kept):.3f} | {both / labelled:.3f} | {f1:.3f} | {right / len(kept):.3f} |"
            )
    shown = table[(table[:, 2] > 0) & (table[:, 3] > 0)]
    same, visible = (shown[:, 2] == shown[:, 3]).mean(), (shown[:, 3] == 2).mean()
    print(f"visible or hidden as labelled: {same:.3f}; always visible: {visible:.3f}")
    ordered = by_doubt(read_labels_of(given.predicted, images=given.predicted.parent)).data.images
    labelled = table[table[:, 3] > 0]
    wrong = labelled[labelled[:, 4] < 0.5]
    for share in (0.25, 0.5):
        first = [image.id for image in ordered[: round(share * len(ordered))]]
        of_wrong, of_all = (np.isin(part[:, 5], first).mean() for part in (wrong, labelled))
        print(
            f"the first {share:.0%} of the images: {of_wrong:.0%} of what is misplaced, {of_all:.0%} of all"
        )


if __name__ == "__main__":
    main()
