"""One picture: who stands where, what the camera sees, and which points show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from runs.atlas.body import PointMap
from runs.atlas.people import STATURE, Dressed, People
from runs.atlas.rays import Camera, Hits, Surface
from runs.atlas.settings import AtlasSettings

SKIN_SLACK = 0.012  # m: how far in front of a point of the skin its own skin may be
FACING = 0.05  # cosine: a point of the skin turned farther away is hidden
FEWEST_PIXELS = 500  # of a labelled person
FEWEST_IN_VIEW = 0.12  # share of its points
FOCUS = {
    "upper": ("head top", "left hip", "right hip", "left elbow", "right elbow"),
    "head": ("head top", "left shoulder", "right shoulder", "breastbone"),
    "legs": ("left hip", "right hip", "left ankle", "right ankle", "left big toe", "right big toe"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People before a camera and the surface of all of them; of each pixel what it hits, and the person's number, -1
    for none; and the number of each person's first triangle."""

    people: tuple[Dressed, ...]
    camera: Camera
    surface: Surface
    hits: Hits
    owner: np.ndarray
    first: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One person's labels: box (x, y, w, h) px of the pixels that show it; points (n, 3): x, y px and COCO's flag."""

    box: tuple[float, float, float, float]
    points: np.ndarray


class Studio:
    """Draws scenes; what they share is made once."""

    def __init__(
        self, people: People, points: PointMap, focus: dict[str, PointMap], settings: AtlasSettings
    ) -> None:
        self.people, self.points, self.focus, self.settings = people, points, focus, settings

    # ---- the scene

    def scene(self, rng: np.random.Generator, photos: list[np.ndarray]) -> Scene:
        count = 1 + int(rng.choice(3, p=self.settings.others))
        people = [self.people.draw(rng, photos)]
        for _ in range(count - 1):
            aside = rng.choice([-1, 1]) * rng.uniform(0.12, 0.6)
            move = np.array([aside, rng.uniform(-0.45, 0.8), rng.normal() * 0.06]) * people[0].stature
            people.append(self.people.draw(rng, photos).moved(move))
        camera = self._camera(rng, people[0])
        starts = np.cumsum([0, *(len(one.vertices) for one in people)])
        faces = np.concatenate([one.faces + start for one, start in zip(people, starts[:-1], strict=True)])
        surface = Surface(np.concatenate([one.vertices for one in people]), faces)
        hits = surface.see(camera)
        ends = np.cumsum([len(one.faces) for one in people])
        owner = np.where(hits.face < 0, -1, np.searchsorted(ends, hits.face, "right"))
        return Scene(tuple(people), camera, surface, hits, owner, ends - [len(one.faces) for one in people])

    def _camera(self, rng: np.random.Generator, person: Dressed) -> Camera:
        size = self.settings.size
        what = rng.choice(["whole", "upper", "head", "legs"], p=self.settings.crops)
        shown = person.vertices if what == "whole" else self.focus[what].places(person.vertices, person.heads)
        centre = (shown.min(0) + shown.max(0)) / 2
        steep = rng.random() < 0.15
        pitch = np.deg2rad(rng.uniform(-55, 55) if steep else rng.normal() * 11)
        roll = np.deg2rad(rng.normal() * 5)
        ahead = np.array([0, np.cos(pitch), -np.sin(pitch)])
        down = np.array([0, -np.sin(pitch), -np.cos(pitch)])
        right = np.array([1.0, 0, 0])
        right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
        axes = np.stack([right, down, ahead])
        distance = person.stature * np.exp(rng.uniform(np.log(1.5), np.log(6))) + 0.5
        eye = centre - distance * ahead
        seen = (shown - eye) @ axes.T
        flat = seen[:, :2] / np.maximum(seen[:, 2:], 0.2)
        low, high = flat.min(0), flat.max(0)
        fill = rng.uniform(0.66, 0.9) if what == "whole" else rng.uniform(0.7, 1.0)
        focal = fill * size / max((high - low).max(), 0.05)
        slack = max(0.0, 1 - fill) * size / focal
        aim = (low + high) / 2 + rng.uniform(-0.5, 0.5, 2) * slack * (0.8 if what == "whole" else 1.2)
        # turn toward `aim`, so that it lies in the middle of the picture
        ahead = axes.T @ np.array([*aim, 1.0])
        ahead /= np.linalg.norm(ahead)
        right = axes[0] - ahead * (axes[0] @ ahead)
        right /= np.linalg.norm(right)
        return Camera(eye, np.stack([right, np.cross(ahead, right), ahead]), float(focal), size)

    # ---- labels

    def labels(self, scene: Scene, covered: np.ndarray) -> list[tuple[int, Labels]]:
        """The people that show well enough, by number. covered: (size, size) bool, pixels with a thing in front."""
        owner = np.where(covered, -1, scene.owner.reshape(covered.shape))
        found = []
        for number, person in enumerate(scene.people):
            ys, xs = np.nonzero(owner == number)
            if len(xs) < FEWEST_PIXELS:
                continue
            points = self._points(scene, person, covered)
            if (points[:, 2] > 1).mean() < FEWEST_IN_VIEW:
                continue
            low, high = (xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)
            box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
            found.append((number, Labels(box, points)))
        return found

    def _points(self, scene: Scene, person: Dressed, covered: np.ndarray) -> np.ndarray:
        camera = scene.camera
        places = self.points.places(person.vertices, person.heads)
        xy, depth = camera.project(places)
        rays = (places - camera.eye) / depth[:, None]
        hit = scene.surface.cast(camera.eye[None], rays)
        scale = person.stature / STATURE
        slack = np.where(self.points.room > 0, 1.25 * self.points.room * scale + 0.015, SKIN_SLACK)
        shows = hit.distance >= depth - slack
        normals = self.points.directions(person.normals)
        shows &= ~self.points.facing | ((normals * rays).sum(1) < -FACING)
        inside = ((xy >= 0) & (xy < camera.size)).all(1) & ((places - camera.eye) @ camera.axes[2] > 0)
        columns, rows = np.clip(xy, 0, camera.size - 1).astype(int).T
        shows &= ~covered[rows, columns]
        return np.concatenate([xy, np.where(inside, 1 + shows, 0)[:, None]], 1) * inside[:, None]
