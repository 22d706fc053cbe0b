"""What MoveNet Thunder's own head finds for labelled people, to be scored beside a model of ours.

    python runs/movenet_head.py --movenet package/models/movenet-thunder.json --annotations LABELS --images FOLDER \
        --out movenet.jsonl
    posetalk evaluate --annotations LABELS --images FOLDER --out OUT --beside movenet.jsonl

Its own decoding, read from the published graph: the person's centre, a first guess of each keypoint by regression from
there, the peak of each heat map weighed down with the distance from the guess, and a learned offset. Boxes x 1.25, no
flip, 256 px. LSP's neck and head top, which it does not know, are put at their average place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from make_parts import PICTURE, read_graph, run_graph
from rich.progress import track
from torch import Tensor

from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.images.affine import square_of
from posetalk.images.opening import cut, normalise, read_image
from posetalk.locate.jobs import labelled_jobs
from posetalk.locate.predictions import PredictionLog, predictions_of
from posetalk.skeleton import load_skeleton
from posetalk.types import Floats, Poses

HEADS = {
    "kpt_heatmap_0": 5,
    "center_0": 4,
    "kpt_regress_0": 6,
    "kpt_offset_0": 7,
}  # name: its last convolution
SIDE = 64


class Head:
    """The published graph with its decoding."""

    def __init__(self, graph: Path) -> None:
        self.nodes, self.weights = read_graph(graph)
        self.wanted = [f"StatefulPartitionedCall/{name}/conv2d_{n}/BiasAdd" for name, n in HEADS.items()]

        def constant(name: str) -> Tensor:
            return next(v for k, v in self.weights.items() if k.endswith(name))

        self.centre_weight = constant("truediv_2_recip")[
            ..., 0
        ]  # (64, 64): the middle of the picture counts more
        self.reach = float(constant("StatefulPartitionedCall/add_5/y"))
        assert PICTURE in self.nodes

    @torch.no_grad()
    def __call__(self, pixels: np.ndarray) -> tuple[Floats, Floats]:
        """(3, 256, 256) in [-1, 1] -> (17, 2) x, y in 0..1 and (17,) scores."""
        heat, centre, regress, offset = run_graph(
            self.nodes, self.weights, torch.from_numpy(pixels)[None], *self.wanted
        )
        heat, regress, offset = heat[0].sigmoid(), regress[0], offset[0]
        best = int((centre[0, 0].sigmoid() * self.centre_weight).argmax())
        row, column = divmod(best, SIDE)
        guess = regress[:, row, column].reshape(17, 2) + torch.tensor([row, column])
        grid = torch.arange(SIDE, dtype=torch.float32)
        down, across = (grid[None] - guess[:, axis, None] for axis in (0, 1))
        far = (down[:, :, None] ** 2 + across[:, None, :] ** 2).sqrt()
        peak = (heat / (far + self.reach)).flatten(1).argmax(1)
        rows, columns = peak // SIDE, peak % SIDE
        at = offset.reshape(17, 2, SIDE, SIDE)[torch.arange(17), :, rows, columns]
        yx = (torch.stack([rows, columns], 1) + at) / SIDE
        return yx.flip(1).double().numpy(), heat[torch.arange(17), rows, columns].double().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("movenet", "annotations", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int)
    given = parser.parse_args()
    head, coco = Head(given.movenet), load_skeleton("coco17").names
    truth = read_people(given.annotations, given.images, first=given.first, last=given.last)
    named = labelled_skeleton(truth)
    with PredictionLog(given.out) as log:
        for job in track(labelled_jobs(truth, 1.25), description="locating"):
            picture, boxes = read_image(job.image.path), job.boxes or ()
            xy = np.zeros((len(boxes), len(named), 2))
            score = np.zeros((len(boxes), len(named)))
            for i, box in enumerate(boxes):
                square = square_of(box, 256, 1.25)
                places, sure = head(normalise(cut(picture, square), "half"))
                found = square.denormalise(places)
                for k, point in enumerate(named.keypoints):
                    if point.name in coco:
                        xy[i, k], score[i, k] = found[coco.index(point.name)], sure[coco.index(point.name)]
                    else:
                        place = point.place or (0.5, 0.5)
                        xy[i, k] = (box.x + place[0] * box.w, box.y + place[1] * box.h)
            log.add(predictions_of(job.image, job.ids, Poses(xy, score, named.names, tuple(boxes))))
    print(given.out)


if __name__ == "__main__":
    main()
