"""Pinhole cameras, and what their rays hit (NVIDIA Warp on the CPU)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

wp.config.quiet = True
FAR = 1e3  # m; the distance of a ray that hits nothing


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A pinhole camera.

    eye:   (3,) m, in the world: x to the right, y away from the viewer, z up.
    axes:  (3, 3), the picture's right, its down, and straight ahead, as unit vectors of the world.
    focal: px.
    size:  Side of the square picture, px.
    """

    eye: np.ndarray
    axes: np.ndarray
    focal: float
    size: int

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) m -> (n, 2) px, origin top left, and (n,) distances from the eye, m."""
        seen = (points - self.eye) @ self.axes.T
        xy = self.size / 2 + self.focal * seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
        return xy, np.linalg.norm(seen, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What the rays of n pixels or pairs of points hit.

    face:     (n,) index of the triangle, -1 for none.
    weights:  (n, 3) barycentric weights of its corners.
    distance: (n,) m.
    """

    face: np.ndarray
    weights: np.ndarray
    distance: np.ndarray


@wp.kernel
def _cast(
    mesh: wp.uint64,
    start: wp.array(dtype=wp.vec3),
    direction: wp.array(dtype=wp.vec3),
    reach: float,
    face: wp.array(dtype=int),
    found: wp.array(dtype=wp.vec3),
):
    i = wp.tid()
    hit = wp.mesh_query_ray(mesh, start[wp.min(i, start.shape[0] - 1)], direction[i], reach)
    face[i] = -1
    if hit.result:
        face[i] = hit.face
        found[i] = wp.vec3(hit.u, hit.v, hit.t)


class Surface:
    """A triangle mesh that rays can hit.

    Args:
        vertices: (v, 3) m.
        faces: (f, 3) indices of vertices.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._mesh = wp.Mesh(
            points=wp.array(np.ascontiguousarray(vertices, np.float32), dtype=wp.vec3, device="cpu"),
            indices=wp.array(np.ascontiguousarray(faces, np.int32).reshape(-1), dtype=int, device="cpu"),
        )

    def cast(self, starts: np.ndarray, directions: np.ndarray, reach: float = FAR) -> Hits:
        """Rays of unit `directions` (n, 3) from `starts` (n, 3), or from one point (1, 3), no longer than `reach`."""
        n = len(directions)
        face = wp.zeros(n, dtype=int, device="cpu")
        found = wp.zeros(n, dtype=wp.vec3, device="cpu")
        inputs = [
            self._mesh.id,
            wp.array(np.ascontiguousarray(starts, np.float32), dtype=wp.vec3, device="cpu"),
            wp.array(np.ascontiguousarray(directions, np.float32), dtype=wp.vec3, device="cpu"),
            float(reach),
            face,
            found,
        ]
        wp.launch(_cast, n, inputs=inputs, device="cpu")
        numbers, uvt = face.numpy(), found.numpy()
        weights = np.stack([uvt[:, 0], uvt[:, 1], 1 - uvt[:, 0] - uvt[:, 1]], 1)
        return Hits(numbers, weights, np.where(numbers < 0, FAR, uvt[:, 2]))

    def see(self, camera: Camera) -> Hits:
        """A ray for each pixel of the camera, row by row."""
        axis = (np.arange(camera.size, dtype=np.float32) + 0.5 - camera.size / 2) / camera.focal
        x, y = np.meshgrid(axis, axis)
        rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size, np.float32)], 1) @ camera.axes.astype(
            np.float32
        )
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return self.cast(camera.eye[None], rays)
