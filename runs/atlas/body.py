"""People of anny: their shapes at rest, the points on them, and the skin around posed bones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anny
import numpy as np
import torch
from runs.atlas.points import AtlasPoint
from runs.atlas.rays import Surface
from scipy import sparse

from posetalk.errors import PosetalkError

SIDES = {
    "front": (0, -1, 0),
    "back": (0, 1, 0),
    "inner": (-1, 0, 0),
    "outer": (1, 0, 0),
    "up": (0, 0, 1),
    "down": (0, 0, -1),
}
FOLD = 0.015  # m: how deep a fold of the skin is
THICK = 0.35  # m; no limb is thicker
DIRECTIONS = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z])


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """n bodies at rest: vertices (n, v, 3) and the heads of bones (n, b, 3), m."""

    vertices: np.ndarray
    heads: np.ndarray


class Anatomy:
    """anny's model: what all of its bodies share.

    faces:    (f, 3) vertices of the triangles.
    bones:    The names of the b bones; parents: (b,) the index of each one's parent, -1 for none.
    rest:     The average body, on which the points are told.
    skin:     (v, b) sparse, how much each bone moves each vertex.
    surface:  The skin of the average body, for rays.
    """

    def __init__(self) -> None:
        self._model = anny.Anny().to(dtype=torch.float32)
        self.bones = tuple(self._model.bone_labels)
        self.parents = np.array(self._model.bone_parents)
        self.faces = np.asarray(self._model.get_triangular_faces(), dtype=np.int32)
        self.rest = self.shapes([dict.fromkeys(self._model.phenotype_labels, 0.5)])
        regressor = anny.KeypointsRegressor.coco(self._model)
        self.regressed = tuple(regressor.labels)
        self.regression = sparse.csr_matrix(regressor.regression_weights.numpy())
        weights, indices = self._model.vertex_bone_weights.numpy(), self._model.vertex_bone_indices.numpy()
        rows = np.repeat(np.arange(len(weights)), weights.shape[1])
        self.skin = sparse.csr_matrix(
            (weights.ravel(), (rows, indices.ravel())), (len(weights), len(self.bones))
        )
        self.surface = Surface(self.rest.vertices[0], self.faces)

    @property
    def shape_names(self) -> tuple[str, ...]:
        """What a shape is described by, 0 to 1 each: gender, age, muscle and so on."""
        return tuple(self._model.phenotype_labels)

    def shapes(self, described: Sequence[dict[str, float]]) -> Shapes:
        """The bodies at rest, one for each description."""
        names = self._model.phenotype_labels
        given = {name: torch.tensor([float(one[name]) for one in described]) for name in names}
        model = self._model
        with torch.no_grad():  # its forward would move the skin too, which takes ten times as long
            blend = model.get_phenotype_blendshape_coefficients(**given)
            vertices = model.get_rest_vertices(blend)
            heads = model.template_bone_heads + torch.einsum(
                "na,abd->nbd", blend, model.bone_heads_blendshapes
            )
        return Shapes(vertices.numpy(), heads.numpy())

    def bone(self, name: str) -> int:
        return self.bones.index(name)

    def moves(self, heads: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How each bone moves, and where its head comes to lie.

        Args:
            heads: (b, 3) m, of a body at rest.
            turns: (b, 3, 3) each bone's turn in its parent's frame, axes as at rest.

        Returns:
            (b, 12): turn (9) and shift (3) of each bone in the world, and heads (b, 3) m.
        """
        world, places = np.empty_like(turns), np.empty_like(heads)
        for b, parent in enumerate(self.parents):
            if parent < 0:
                world[b], places[b] = turns[b], heads[b]
                continue
            world[b] = world[parent] @ turns[b]
            places[b] = places[parent] + world[parent] @ (heads[b] - heads[parent])
        shifts = places - np.einsum("bij,bj->bi", world, heads)
        return np.concatenate([world.reshape(-1, 9), shifts], 1), places

    # ---- points

    def locate(self, points: Sequence[AtlasPoint]) -> PointMap:
        """Where the points lie on any body, from where they lie on the average one.

        Raises:
            PosetalkError: A place that names no bone or keypoint, or lies off the body.
        """
        v, b = len(self.rest.vertices[0]), len(self.bones)
        rows, facing, room = [], [], []
        for point in points:
            words = point.at.split()
            mirrored = words[-1] == "mirrored"
            try:
                row = self._place(words[:-1] if mirrored else words, mirrored)
            except (ValueError, KeyError, IndexError) as error:
                raise PosetalkError(
                    f"the point {point.keypoint.name!r} lies at {point.at!r}: {error}"
                ) from None
            row = row if row.shape[1] == v + b else sparse.hstack([row, sparse.csr_matrix((1, b))])
            rows.append(row)
            facing.append(not point.inside and words[0] not in ("end", "near"))
            place = (row @ np.concatenate([self.rest.vertices[0], self.rest.heads[0]]))[0]
            room.append(self._thickness(place) if point.inside else FOLD if words[0] == "near" else 0.0)
        return PointMap(sparse.csr_matrix(sparse.vstack(rows)), np.array(facing), np.array(room), v)

    def _place(self, words: Sequence[str], mirrored: bool) -> sparse.csr_matrix:
        kind, *rest = words
        sign = np.array([-1.0 if mirrored else 1.0, 1, 1])
        if mirrored:
            rest = [
                w.replace(".L", ".R").replace("left_", "right_") if ".R" not in w else w.replace(".R", ".L")
                for w in rest
            ]
        if kind == "keypoint":
            found = [self.regressed.index(word) for word in rest]
            return sparse.csr_matrix(self.regression[found].mean(0))
        if kind == "inside":
            return self._between(*rest)
        if kind == "end":
            return self._vertex(self._farthest(self.bone(rest[0])))
        if kind == "around":
            *line, to = rest
            a, b = (self.rest.heads[0][self.bone(word)] for word in line[:2])
            along = self._axis(line)
            start = a + float(line[2]) * (b - a)
            aim = self._side(to, mirrored)
            return self._exit(start, aim - along * (aim @ along))
        if kind == "point":
            return self._exit(np.array([float(w) for w in rest[:3]]) * sign, self._side(rest[3], mirrored))
        if kind == "near":
            place = np.array([float(w) for w in rest]) * sign
            return self._vertex(int(((self.rest.vertices[0] - place) ** 2).sum(1).argmin()))
        far = np.array([float(w) for w in rest])
        if kind == "side":
            return self._exit(np.array([2.0, *far]) * sign, np.array([-1.0, 0, 0]) * sign)
        if kind in ("front", "back"):
            y = {"front": -2.0, "back": 2.0}[kind]
            return self._exit(np.array([far[0], y, far[1]]) * sign, np.array([0, -np.sign(y), 0]))
        raise ValueError(f"{kind!r} is no way to say where")

    def _vertex(self, number: int) -> sparse.csr_matrix:
        return sparse.csr_matrix(([1.0], ([0], [number])), (1, len(self.rest.vertices[0])))

    def _farthest(self, bone: int) -> int:
        moved = np.flatnonzero(self.skin[:, [bone]].toarray()[:, 0] > 0.5)
        away = np.linalg.norm(self.rest.vertices[0][moved] - self.rest.heads[0][bone], axis=1)
        return int(moved[away.argmax()])

    def _axis(self, line: Sequence[str]) -> np.ndarray:
        a, b = (self.rest.heads[0][self.bone(word)] for word in line[:2])
        return (b - a) / np.linalg.norm(b - a)

    def _between(self, first: str, second: str, share: str) -> sparse.csr_matrix:
        v, t = len(self.rest.vertices[0]), float(share)
        columns = [v + self.bone(first), v + self.bone(second)]
        return sparse.csr_matrix(([1 - t, t], ([0, 0], columns)), (1, v + len(self.bones)))

    def _side(self, to: str, mirrored: bool) -> np.ndarray:
        """The direction of a side, as seen from the middle of the body or, for a hand, of the hand."""
        if to in SIDES:
            aim = np.array(SIDES[to], dtype=float)
            return aim * (-1, 1, 1) if mirrored else aim
        side = "R" if mirrored else "L"
        wrist, index, little = (
            self.rest.heads[0][self.bone(f"{name}.{side}")] for name in ("wrist", "finger2-1", "finger5-1")
        )
        dorsal = np.cross(index - wrist, little - wrist) * (-1 if mirrored else 1)
        thumb = index - little
        return {"dorsal": dorsal, "palm": -dorsal, "thumb": thumb, "little": -thumb}[to]

    def _exit(self, start: np.ndarray, aim: np.ndarray) -> sparse.csr_matrix:
        """The first place of the skin on a ray."""
        aim = aim / np.linalg.norm(aim)
        hit = self.surface.cast(start[None], aim[None])
        if hit.face[0] < 0:
            raise ValueError("the ray leaves no skin")
        columns = self.faces[hit.face[0]]
        return sparse.csr_matrix((hit.weights[0], ([0] * 3, columns)), (1, len(self.rest.vertices[0])))

    def _thickness(self, place: np.ndarray) -> float:
        """How far the skin is from a place inside, m: the median over directions."""
        aims = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
        found = self.surface.cast(place[None], aims, THICK).distance
        return float(np.median(np.minimum(found, THICK)))


@dataclass(frozen=True, slots=True, eq=False)
class PointMap:
    """Where n points lie on any body.

    weights: (n, v + b) sparse: each point is a mean of vertices and of the heads of bones.
    facing:  (n,) bool: points of the skin that show only from their own side.
    room:    (n,) m: how far points inside the body, or in a fold, are from the skin around them; 0 for others.
    skin:    v, the vertices of a body.
    """

    weights: sparse.csr_matrix
    facing: np.ndarray
    room: np.ndarray
    skin: int

    def places(self, vertices: np.ndarray, heads: np.ndarray) -> np.ndarray:
        """(n, 3) m on a posed body; vertices of clothes may follow those of the body."""
        return self.weights @ np.concatenate([vertices[: self.skin], heads])

    def directions(self, normals: np.ndarray) -> np.ndarray:
        """(n, 3) normals of the skin at the points, not of unit length; 0 for points on bones."""
        return self.weights[:, : self.skin] @ normals[: self.skin]
