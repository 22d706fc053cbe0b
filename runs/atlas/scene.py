"""One picture: who stands where, what the camera sees, and which points show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from runs.atlas.body import Anatomy, PointMap
from runs.atlas.dress import Look, Places, draw_look, standoff
from runs.atlas.fit import root_turn
from runs.atlas.poses import HIGHEST, LOWEST, NAMES, SPREAD, Joints, PoseBank
from runs.atlas.rays import Camera, Hits, Surface
from runs.atlas.regions import Regions
from runs.atlas.settings import AtlasSettings

SKIN_SLACK = 0.012  # m: how far in front of a point of the skin its own skin may be
FACING = 0.05  # cosine: a point of the skin turned farther away is hidden
FEWEST_PIXELS = 500  # of a labelled person
FEWEST_IN_VIEW = 0.06  # share of its points
FOCUS = {
    "upper": ("head top", "left hip", "right hip", "left elbow", "right elbow"),
    "head": ("head top", "left shoulder", "right shoulder", "breastbone"),
    "legs": ("left hip", "right hip", "left ankle", "right ankle", "left big toe", "right big toe"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """A person in a scene: vertices (v, 3) with clothes and their normals, heads of bones (b, 3), m, and the look."""

    vertices: np.ndarray
    normals: np.ndarray
    heads: np.ndarray
    look: Look
    stature: float  # m, of the body at rest


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People before a camera, what each pixel hits, and the surface itself, for shadows."""

    people: tuple[Dressed, ...]
    camera: Camera
    surface: Surface
    hits: Hits


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One person's labels: box (x, y, w, h) px of the pixels that show it; points (n, 3): x, y px and COCO's flag."""

    box: tuple[float, float, float, float]
    points: np.ndarray


class Studio:
    """Draws scenes; what they share is made once."""

    def __init__(
        self,
        anatomy: Anatomy,
        points: PointMap,
        focus: dict[str, PointMap],
        bank: PoseBank,
        settings: AtlasSettings,
    ) -> None:
        self.anatomy, self.points, self.focus, self.bank, self.settings = (
            anatomy,
            points,
            focus,
            bank,
            settings,
        )
        self.regions = Regions.of(anatomy)
        self.joints = Joints(anatomy)
        r = self.regions
        self._everywhere = Places(r.part, r.along, r.scalp, anatomy.rest.vertices[0].astype(float))

    # ---- people

    def _shape(self, rng: np.random.Generator) -> dict[str, float]:
        """Two thirds grown-ups, others from three years on; most of average weight."""
        age = rng.uniform(0.62, 1.0) if rng.random() < 0.7 else rng.uniform(0.13, 0.62)
        shape = {name: float(np.clip(rng.normal(0.5, 0.22), 0, 1)) for name in self.anatomy.shape_names}
        return shape | {"age": float(age), "gender": float(rng.beta(0.5, 0.5))}

    def _pose(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Angles (p,) and the root's turn (3, 3)."""
        if rng.random() < self.settings.free_share:
            usual = (SPREAD * torch.from_numpy(rng.normal(size=len(NAMES))).float()).numpy()
            angles = np.clip(usual, LOWEST.numpy(), HIGHEST.numpy())
            view = rng.normal(size=3) * (0.25, 0.25, 0) + (0, 0, rng.uniform(-np.pi, np.pi))
            return angles, self._root(*view)
        row = rng.integers(len(self.bank.angles))
        angles = self.bank.angles[row] + rng.normal(size=len(NAMES)) * 0.08
        angles = np.clip(angles, LOWEST.numpy(), HIGHEST.numpy())
        turned = rng.random() < self.settings.turned_share
        yaw = rng.uniform(-np.pi, np.pi) if turned else rng.normal() * 0.25
        tilt, roll = rng.normal(size=2) * 0.12
        if rng.random() < 0.08:
            roll = rng.uniform(-np.pi, np.pi)  # lying, falling, upside down
        return angles, self._root(tilt, roll, yaw) @ self.bank.roots[row]

    @staticmethod
    def _root(tilt: float, roll: float, yaw: float) -> np.ndarray:
        return root_turn(torch.tensor([[tilt, roll, yaw]], dtype=torch.float32))[0].numpy()

    def person(self, rng: np.random.Generator, photos: list[np.ndarray]) -> Dressed:
        """Someone around the origin of the world."""
        shape = self._shape(rng)
        body = self.anatomy.shapes([shape])
        angles, root = self._pose(rng)
        curl = torch.from_numpy(rng.beta(1, 2, (1, 2))).float()
        turns = np.tile(np.eye(3, dtype=np.float32), (len(self.anatomy.bones), 1, 1))
        for name, turn in self.joints.turns(torch.from_numpy(angles).float()[None], curl).items():
            turns[self.anatomy.bone(name)] = turn[0].numpy()
        turns[0] = root
        vertices, heads = self.anatomy.posed(body.vertices[0], body.heads[0], turns)
        look = draw_look(rng, photos, 1 - shape["gender"] if shape["age"] > 0.6 else 0.0)
        stature = float(np.ptp(body.vertices[0][:, 2]))
        off = standoff(look, self._everywhere) * (stature / 1.63)
        vertices = (vertices + off[:, None] * self.anatomy.normals(vertices) - heads[0]).astype(np.float32)
        return Dressed(vertices, self.anatomy.normals(vertices), heads - heads[0], look, stature)

    # ---- the scene

    def scene(self, rng: np.random.Generator, photos: list[np.ndarray]) -> Scene:
        count = 1 + int(rng.choice(3, p=self.settings.others))
        people = [self.person(rng, photos)]
        for _ in range(count - 1):
            other = self.person(rng, photos)
            aside = rng.choice([-1, 1]) * rng.uniform(0.12, 0.6)
            move = np.array([aside, rng.uniform(-0.45, 0.8), rng.normal() * 0.06]) * people[0].stature
            people.append(
                replace(other, vertices=(other.vertices + move).astype(np.float32), heads=other.heads + move)
            )
        camera = self._camera(rng, people[0])
        faces = np.concatenate([self.anatomy.faces + i * len(people[0].vertices) for i in range(len(people))])
        vertices = np.concatenate([one.vertices for one in people])
        surface = Surface(vertices, faces)
        return Scene(tuple(people), camera, surface, surface.see(camera))

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
        size, faces = scene.camera.size, len(self.anatomy.faces)
        owner = np.where(scene.hits.face < 0, -1, scene.hits.face // faces).reshape(size, size)
        owner = np.where(covered, -1, owner)
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
        scale = person.stature / 1.63
        slack = np.where(self.points.room > 0, 1.5 * self.points.room * scale + 0.02, SKIN_SLACK)
        shows = hit.distance >= depth - slack
        normals = self.points.weights[:, : len(person.vertices)] @ person.normals
        shows &= ~self.points.facing | ((normals * rays).sum(1) < -FACING)
        inside = ((xy >= 0) & (xy < camera.size)).all(1) & ((places - camera.eye) @ camera.axes[2] > 0)
        columns, rows = np.clip(xy, 0, camera.size - 1).astype(int).T
        shows &= ~covered[rows, columns]
        return np.concatenate([xy, np.where(inside, 1 + shows, 0)[:, None]], 1) * inside[:, None]
