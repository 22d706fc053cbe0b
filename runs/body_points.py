"""Label the points of the body atlas on real photos, from their joints.

    npm pack @mediapipe/pose@0.5.1675469404          # BlazePose: Google, Apache-2.0
    pip install ai-edge-litert                       # reads it
    python -m runs.body_points --labels labels --data data --atlas atlas \
        --blazepose package/pose_landmark_heavy.tflite --out labels     # from the checkout

Of lspet.json and coco.json in LABELS (`make_labels.py`) OUT gets lspet_body.json and coco_body.json, in the order
of the atlas's skeleton. Where a point of the body lies, seen its joints, is learned from the rendered people of ATLAS,
with how far off that may be: points that the joints do not tell well enough are not labelled. Heels, toes and knuckles,
which say how feet and hands lie, come from BlazePose, where its own ankle and knee, or wrist and elbow, are at the
labelled ones. Joints that people labelled stay as they are. All others are a teacher's labels.

lspet_ends.json and coco_ends.json have the joints, heels, toes and knuckles of these alone (ends.toml).

OUT also gets the skeletons people19_words.toml and coco17_words.toml: their joints with the atlas's names and
descriptions.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from runs.atlas.points import holds, read_points, skeleton_of, write_skeleton
from torch import Tensor, nn
from torch.nn import functional as F

from posetalk.images.affine import Square
from posetalk.images.opening import cut, read_image
from posetalk.skeleton import Keypoint, Skeleton, load_skeleton

HERE = Path(__file__).parent
# the landmark that BlazePose has of a point, and of the two joints that must agree with the labels
LANDMARKS = {
    "heel": (29, 27, 25),
    "big toe": (31, 27, 25),
    "index finger knuckle": (19, 15, 13),
    "little finger knuckle": (17, 15, 13),
}
AROUND = 2.5  # the side of BlazePose's square, in distances from the hips to the farthest joint
FEWEST = 6  # known points of a person whose others are told
AGREES = (0.06, 0.09)  # of the diagonal around the known points: how near those two joints have to be
SURE = 0.5  # BlazePose's visibility of the landmark
SPREAD = 0.04  # of the person's size: points that are told less exactly are not labelled
NOISE = 0.008  # of the person's size, on the joints while learning: labels by hand are so exact
Array = npt.NDArray[np.float64]


def given_points() -> tuple[str, ...]:
    """What the other points are told from: the labelled joints, and BlazePose's heels, toes and knuckles."""
    joints = load_skeleton(str(HERE / "people19.toml")).names
    return (*joints, *(f"{side} {part}" for side in ("left", "right") for part in LANDMARKS))


class BlazePose:
    """BlazePose's landmarks in a square of an image."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.network = Interpreter(str(file), num_threads=1)
        self.network.allocate_tensors()
        self.into = self.network.get_input_details()[0]["index"]
        self.out = self.network.get_output_details()[0]["index"]

    def __call__(self, image: npt.NDArray[np.uint8], square: Square) -> Array:
        """Landmarks (39, 3): x, y in px of the image, and how visible in 0..1."""
        pixels = cut(image, square).astype(np.float32) / 255
        self.network.set_tensor(self.into, pixels[None])
        self.network.invoke()
        found = self.network.get_tensor(self.out).reshape(-1, 5)
        xy = square.to_image(found[:, :2])
        return np.column_stack([xy, 1 / (1 + np.exp(-found[:, 3]))])


def upright(points: dict[str, Array], size: int = 256) -> Square | None:
    """The square that BlazePose expects: the hips in its middle, the shoulders above; None without these."""
    of = [points[name] for name in ("left hip", "right hip", "left shoulder", "right shoulder")]
    ends = [[p[:2] for p in pair if p[2]] for pair in (of[:2], of[2:])]
    if not all(ends):
        return None
    hips, shoulders = (np.mean(pair, axis=0) for pair in ends)
    known = np.array([p[:2] for p in points.values() if p[2]])
    reach = np.linalg.norm(known - hips, axis=1).max()
    dx, dy = shoulders - hips
    if np.hypot(dx, dy) < 0.1 * reach:
        return None
    turn = float(np.degrees(np.arctan2(dx, -dy)))  # 0 where the shoulders are above the hips
    return Square((float(hips[0]), float(hips[1])), float(AROUND * reach), size, rotation=turn)


def feet_and_hands(landmarks: Array, points: dict[str, Array]) -> dict[str, Array]:
    """Heels, toes and knuckles as BlazePose sees them from the labelled ankle or wrist, where it is sure, and where its
    ankle and knee, or wrist and elbow, agree with the labels."""
    found = {}
    known = np.array([p[:2] for p in points.values() if p[2]])
    size = np.linalg.norm(np.ptp(known, axis=0))
    for left, side in ((0, "left"), (1, "right")):
        for part, (landmark, near, far) in LANDMARKS.items():
            names = ("ankle", "knee") if part in ("heel", "big toe") else ("wrist", "elbow")
            label, beyond = (points[f"{side} {name}"] for name in names)
            off = [
                np.linalg.norm(landmarks[joint + left, :2] - point[:2]) / size
                for joint, point in ((near, label), (far, beyond))
            ]
            agree = label[2] and beyond[2] and off[0] < AGREES[0] and off[1] < AGREES[1]
            if agree and landmarks[landmark + left, 2] > SURE:
                xy = label[:2] + landmarks[landmark + left, :2] - landmarks[near + left, :2]
                found[f"{side} {part}"] = np.array([*xy, 2.0])
    return found


@dataclass(frozen=True, slots=True)
class Frame:
    """Where people are by their known points.

    middle: (n, 2) px; size: (n,) longer side of the bounding box, px; turn: (n, 2) cosine and sine of the turn that
    leads from people whose neck is above the hips to these.
    """

    middle: Array
    size: Array
    turn: Array

    @classmethod
    def of(cls, points: Array) -> Frame:
        """Of the given points (n, G, 3); at least one of each person has a flag above 0."""
        known = points[..., 2:] > 0
        low = np.where(known, points[..., :2], np.inf).min(1)
        high = np.where(known, points[..., :2], -np.inf).max(1)
        names = given_points()
        hips, shoulders = (
            points[:, [names.index(f"{side} {part}") for side in ("left", "right")]]
            for part in ("hip", "shoulder")
        )
        known_ends = (hips[..., 2] > 0).all(1) & (shoulders[..., 2] > 0).all(1)
        up = np.where(known_ends[:, None], (shoulders - hips)[..., :2].mean(1), (0.0, -1.0))
        length = np.linalg.norm(up, axis=1, keepdims=True)
        up = np.where(length > 1e-6, up / np.maximum(length, 1e-6), (0.0, -1.0))
        return cls(
            (low + high) / 2, np.maximum((high - low).max(1), 1e-3), np.stack([-up[:, 1], up[:, 0]], 1)
        )

    def normalise(self, xy: Array) -> Array:
        return _turned(xy - self.middle[:, None], self.turn * (1, -1)) / self.size[:, None, None]

    def denormalise(self, uv: Array) -> Array:
        return _turned(uv * self.size[:, None, None], self.turn) + self.middle[:, None]


def _turned(xy: Array, turn: Array) -> Array:
    cos, sin = turn[:, None, 0], turn[:, None, 1]
    return np.stack([cos * xy[..., 0] - sin * xy[..., 1], sin * xy[..., 0] + cos * xy[..., 1]], 2)


class Lift(nn.Module):
    """All points of a body from some of them: places, how far off they may be, and whether they can be seen.

    A point is a mean of the given ones, with weights of its own, and an offset by what all of them say.
    """

    def __init__(self, given: int, points: int, width: int = 512) -> None:
        super().__init__()
        self.points = points
        self.weights = nn.Parameter(torch.zeros(points, given))
        self.layers = nn.Sequential(
            *(nn.Linear(3 * given, width), nn.GELU(), nn.Linear(width, width), nn.GELU()),
            nn.Linear(width, 4 * points),
        )

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, G, 3): x, y as `Frame` normalises, and 1, or zeros for what is not known -> places (n, P, 2), the
        logarithm of their spread (n, P), and logits of being visible (n, P)."""
        out = self.layers(given.flatten(1)).unflatten(1, (self.points, 4))
        unknown = given[:, None, :, 2] == 0
        share = self.weights.expand(len(given), -1, -1).masked_fill(unknown, -1e4).softmax(2)
        places = share @ given[..., :2] + 0.1 * out[..., :2]
        return places, (out[..., 2] - 3).clamp(-6, 1), out[..., 3]


def lift_of(atlas: dict[str, Any], given: Sequence[int], order: Sequence[int], steps: int = 4000) -> Lift:
    """Learn from the labels of rendered people, mirrored at random, with points left out at random.

    given: places of the known points in the atlas's skeleton; order: its points as a mirror names them.
    """
    labels = np.array([p["keypoints"] for p in atlas["annotations"]], float)
    labels = labels.reshape(len(labels), -1, 3)
    enough = (labels[:, given, 2] > 0).sum(1) >= 8
    data = torch.from_numpy(labels[enough]).float()
    lift, rng = Lift(len(given), data.shape[1]), torch.Generator().manual_seed(0)
    learn = torch.optim.AdamW(
        [
            {"params": list(lift.layers.parameters())},
            {"params": [lift.weights], "lr": 0.1, "weight_decay": 0.0},
        ],
        lr=2e-3,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(learn, [2e-3, 0.1], total_steps=steps)
    groups = torch.tensor(
        [[place < 5 for place in range(len(given))]]
    )  # the face is labelled as a whole, or not
    for _ in track(range(steps), description="points from joints"):
        rows = data[torch.randint(len(data), (256,), generator=rng)]
        if torch.rand((), generator=rng) < 0.5:
            rows = rows[:, list(order)] * torch.tensor([-1.0, 1.0, 1.0])
        keep = rows[:, given, 2] > 0
        keep &= torch.rand(keep.shape, generator=rng) > torch.rand(len(keep), 1, generator=rng) * 0.4
        keep &= ~(groups & (torch.rand(len(keep), 1, generator=rng) < 0.2))
        keep[:, 19:] &= torch.rand(len(keep), 1, generator=rng) < 0.6
        keep[~keep.any(1)] = rows[~keep.any(1)][:, given, 2] > 0
        known = torch.cat([rows[:, given, :2], keep[..., None]], 2).double().numpy()
        frame = Frame.of(known)
        uv = torch.from_numpy(frame.normalise(rows[..., :2].double().numpy())).float()
        xy = (uv[:, given] + NOISE * torch.randn(uv[:, given].shape, generator=rng)) * keep[..., None]
        places, spread, seen = lift(torch.cat([xy, keep[..., None]], 2))
        there = rows[..., 2] > 0
        off = (places - uv).norm(dim=2)
        nll = off / spread.exp() + 2 * spread  # Laplace's density in the plane
        loss = nll[there].mean() + F.binary_cross_entropy_with_logits(
            seen[there], (rows[..., 2] > 1)[there].float()
        )
        learn.zero_grad()
        loss.backward()
        learn.step()
        schedule.step()
    return lift.eval()


@torch.no_grad()
def lifted(lift: Lift, known: Array) -> tuple[Array, Array, Array]:
    """Known points (n, G, 3) -> (n, P, 2) px, (n, P) spread in shares of the person's size, (n, P) visible in 0..1."""
    frame = Frame.of(known)
    flag = known[..., 2:] > 0
    uv = np.concatenate([frame.normalise(known[..., :2]) * flag, flag], 2)
    places, spread, seen = lift(torch.from_numpy(uv).float())
    return frame.denormalise(places.double().numpy()), 2 * spread.exp().numpy(), seen.sigmoid().numpy()


def landmarks_of(
    labels: dict[str, Any], folder: Path, network: BlazePose, names: Sequence[str]
) -> dict[str, Any]:
    """The id of a person as text -> BlazePose's landmarks, rows of x, y px of the image and how visible in 0..1."""
    files = {image["id"]: folder / image["file_name"] for image in labels["images"]}
    found = {}
    for person in track(labels["annotations"], description=folder.name):
        if (square := upright(points_of(person, names))) is not None:
            landmarks = network(read_image(files[person["image_id"]]), square)
            found[str(person["id"])] = landmarks.round(2).tolist()
    return found


def points_of(person: dict[str, Any], names: Sequence[str]) -> dict[str, Array]:
    return dict(zip(names, np.array(person["keypoints"], float).reshape(-1, 3), strict=True))


def with_body(
    labels: dict[str, Any], landmarks: dict[str, Any], lift: Lift, names: Sequence[str], body: Skeleton
) -> dict[str, Any]:
    """The labels in the atlas's order, with all points that are told well enough by the joints and `landmarks`.

    Whether such a point can be seen is drawn at random, as often as it can be seen in a body in this pose.
    """
    given, rng = given_points(), np.random.default_rng(0)
    people, counts = [], Counter[str]()
    for person in labels["annotations"]:
        points = points_of(person, names)
        if (seen_by_blazepose := landmarks.get(str(person["id"]))) is not None:
            points |= feet_and_hands(np.array(seen_by_blazepose), points)
        counts.update(name for name, point in points.items() if point[2])
        known = np.array([points.get(name, np.zeros(3)) for name in given])
        if (known[:, 2] > 0).sum() < FEWEST:
            continue
        xy, spread, seen = (values[0] for values in lifted(lift, known[None]))
        flags = np.where(spread < SPREAD, 1 + (rng.random(len(seen)) < seen), 0)
        rows = np.column_stack([xy * (flags > 0)[:, None], flags])
        for row, name in enumerate(body.names):
            if name in points and points[name][2]:
                rows[row] = points[name]
        rounded = [round(float(v), 1) for v in rows.reshape(-1)]
        people.append({**person, "keypoints": rounded, "num_keypoints": int((flags > 0).sum())})
    print({name: counts[name] for name in given})
    category = {"id": 1, "name": "person", "keypoints": list(body.names)}
    return {**labels, "annotations": people, "categories": [category]}


def ends_of(labels: dict[str, Any], body: Skeleton) -> tuple[dict[str, Any], Skeleton]:
    """Of labels in the atlas's order, those of joints, heels, toes and knuckles, and their skeleton."""
    names = given_points()
    columns = [body.names.index(name) for name in names]
    people = []
    for person in labels["annotations"]:
        rows = np.array(person["keypoints"]).reshape(-1, 3)[columns]
        counted = {"keypoints": rows.reshape(-1).tolist(), "num_keypoints": int((rows[:, 2] > 0).sum())}
        people.append({**person, **counted})
    category = {"id": 1, "name": "person", "keypoints": list(names)}
    ends = Skeleton("ends", tuple(body.keypoints[column] for column in columns))
    return {**labels, "annotations": people, "categories": [category]}, ends


def with_words(skeleton: Skeleton, without: Sequence[str] = ()) -> Skeleton:
    """The skeleton with the atlas's names and descriptions of its keypoints.

    without: As for `read_points`; the names of the skeleton's own keypoints stay.
    """
    atlas = {point.keypoint.name: point.keypoint for point in read_points(without)}

    def worded(keypoint: Keypoint) -> Keypoint:
        own = () if holds(keypoint.sentence, without) else (keypoint.sentence,)
        words = atlas.get(keypoint.name, Keypoint(keypoint.name))
        first, *others = (*own, *filter(None, (words.sentence, *words.paraphrases))) or ("",)
        return replace(keypoint, sentence=first, synonyms=words.synonyms, paraphrases=tuple(others))

    keypoints = tuple(map(worded, skeleton.keypoints))
    return Skeleton(f"{skeleton.name}_words", keypoints, skeleton.limbs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("labels", "data", "atlas", "blazepose", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    photos = {"lspet": given.data / "lspet" / "images", "coco": given.data / "coco_people" / "train2017"}
    skeletons = {"lspet": load_skeleton(str(HERE / "people19.toml")), "coco": load_skeleton("coco17")}
    labels = {
        file: json.loads((given.labels / f"{file}.json").read_text(encoding="utf-8")) for file in photos
    }
    network = BlazePose(given.blazepose)
    for file, folder in photos.items():
        if not (cache := given.out / f"{file}_blazepose.json").is_file():
            found = landmarks_of(labels[file], folder, network, skeletons[file].names)
            cache.write_text(json.dumps(found), encoding="utf-8")
    body = skeleton_of(read_points())
    atlas = json.loads((given.atlas / "atlas.json").read_text(encoding="utf-8"))
    lift = lift_of(atlas, [body.names.index(name) for name in given_points()], body.flip_order)
    for file, skeleton in skeletons.items():
        landmarks = json.loads((given.out / f"{file}_blazepose.json").read_text(encoding="utf-8"))
        richer = with_body(labels[file], landmarks, lift, skeleton.names, body)
        (given.out / f"{file}_body.json").write_text(json.dumps(richer), encoding="utf-8")
        labelled, ends = ends_of(richer, body)
        (given.out / f"{file}_ends.json").write_text(json.dumps(labelled), encoding="utf-8")
        write_skeleton(ends, given.out / "ends.toml")
        words = with_words(skeleton)
        write_skeleton(words, given.out / f"{words.name}.toml")
        share = np.mean([p["num_keypoints"] for p in richer["annotations"]]) / len(body)
        print(
            f"{given.out}/{file}_body.json: {len(richer['annotations'])} people, {share:.0%} of {len(body)} points"
        )


if __name__ == "__main__":
    main()
