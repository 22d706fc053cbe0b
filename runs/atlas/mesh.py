"""Skin that follows bones, and the normals of meshes."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def skinned(vertices: np.ndarray, weights: sparse.csr_matrix, moves: np.ndarray) -> np.ndarray:
    """Linear blend skinning: (v, 3) vertices at rest, (v, b) weights, (b, 12) moves of bones -> (v, 3)."""
    mixed = weights @ moves
    x, y, z = vertices.T
    rows = [
        mixed[:, 3 * i] * x + mixed[:, 3 * i + 1] * y + mixed[:, 3 * i + 2] * z + mixed[:, 9 + i]
        for i in range(3)
    ]
    return np.stack(rows, 1).astype(np.float32)


def incidence(faces: np.ndarray, vertices: int) -> sparse.csr_matrix:
    """(v, f) sparse: 1 where a triangle meets a vertex."""
    ones = np.ones(faces.size, np.float32)
    return sparse.csr_matrix(
        (ones, (faces.ravel(), np.repeat(np.arange(len(faces)), 3))), (vertices, len(faces))
    )


def normals(vertices: np.ndarray, faces: np.ndarray, meet: sparse.csr_matrix) -> np.ndarray:
    """(v, 3) unit normals, the mean over the triangles that meet in a vertex, by area. meet: `incidence`."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    (ax, ay, az), (bx, by, bz) = (b - a).T, (c - a).T
    total = meet @ np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)
    return total / (np.sqrt((total**2).sum(1, keepdims=True)) + 1e-12)
