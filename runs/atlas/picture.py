"""From what rays hit to a photo: light, colour, what stands in front, and the faults of a camera."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from runs.atlas.backdrop import Backdrops
from runs.atlas.dress import Places, colours
from runs.atlas.scene import Scene

SHADOWED = 0.6  # share of pictures in which people throw shadows on themselves and on each other


def cover(
    rng: np.random.Generator, backdrops: Backdrops, size: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Things in front: their colours (size, size, 3) and which pixels they take (size, size)."""
    mask = Image.new("1", (size, size))
    if rng.random() >= share:
        return np.zeros((size, size, 3)), np.asarray(mask)
    draw = ImageDraw.Draw(mask)
    for _ in range(rng.integers(1, 3)):
        w, h = rng.uniform(0.08, 0.5, 2) * size
        if rng.random() < 0.3:
            w, h = (size * 2, h * 0.5) if rng.random() < 0.5 else (w * 0.4, size * 2)  # a rail, a post
        x, y = rng.uniform(0, size, 2)
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        if rng.random() < 0.4:
            draw.ellipse(box, fill=1)
        else:
            turn = rng.normal() * 0.3
            c, s = np.cos(turn), np.sin(turn)
            corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2 @ np.array([[c, s], [-s, c]]) + (
                x,
                y,
            )
            draw.polygon([tuple(corner) for corner in corners], fill=1)
    return backdrops.patch(rng, size, size), np.asarray(mask)


def lit(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours (size, size, 3) of the people, and which pixels they take (size, size)."""
    size = scene.camera.size
    shown = np.flatnonzero(scene.hits.face >= 0)
    colour = np.zeros((size * size, 3), np.float32)
    places = np.empty((len(shown), 3), np.float32)
    normals, base = np.empty_like(places), np.empty_like(places)
    for number, person in enumerate(scene.people):
        mine = scene.owner[shown] == number
        pixels = shown[mine]
        weights = scene.hits.weights[pixels]
        corners = person.faces[scene.hits.face[pixels] - scene.first[number]]
        places[mine], normals[mine] = (_mix(weights, v, corners) for v in (person.vertices, person.normals))
        along, scalp = (_mix(weights, v[:, None], corners)[:, 0] for v in (person.at.along, person.at.scalp))
        at = Places(person.at.part[corners[:, 0]], along, scalp, _mix(weights, person.at.rest, corners))
        base[mine] = colours(person.look, at)
    # cloth has two sides: the one that is seen looks at the camera
    normals *= np.where((normals * (places - scene.camera.eye)).sum(1, keepdims=True) > 0, -1, 1)
    normals /= np.sqrt((normals**2).sum(1, keepdims=True)) + 1e-9
    colour[shown] = base * _light(scene, places, normals, rng)
    return colour.reshape(size, size, 3), (scene.hits.face >= 0).reshape(size, size)


def _mix(weights: np.ndarray, values: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Values of vertices (v, k) at places in triangles, (n, k)."""
    return sum(weights[:, [k]] * values[corners[:, k]] for k in range(3))


def _light(scene: Scene, places: np.ndarray, normals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sky, a sun and a little shine: (n, 3) factors."""
    sun = rng.normal(size=3) * (1, 0.8, 0.6) + (0, -0.6, 0.7)
    sun /= np.linalg.norm(sun)
    falling = np.clip(normals @ sun, 0, 1)
    if rng.random() < SHADOWED:
        towards = np.flatnonzero(falling > 0)
        starts = places[towards] + 0.006 * normals[towards]
        blocked = scene.surface.cast(starts, np.tile(sun, (len(towards), 1)), 4.0).face >= 0
        falling[towards[blocked]] *= rng.uniform(0.1, 0.5)
    sky = rng.uniform(0.35, 0.65) * (0.75 + 0.25 * normals[:, 2])
    shine = np.clip(normals @ (sun - scene.camera.axes[2]) / 1.9, 0, 1) ** 12 * rng.uniform(0, 0.25)
    warm = 1 + rng.normal(size=3) * 0.06
    strength = rng.uniform(0.35, 0.75)
    return sky[:, None] * (1 + rng.normal(size=3) * 0.04) + (strength * falling + shine)[:, None] * warm


def photo(colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Colour cast, exposure, blur and noise."""
    cast = 1 + rng.normal(size=3) * 0.05
    image = colour * cast * np.exp(rng.normal() * 0.15)
    if rng.random() < 0.3:
        image = (image - 128) * rng.uniform(0.6, 1.2) + 128
    if rng.random() < 0.05:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    shot = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    shot = shot.filter(
        ImageFilter.GaussianBlur(
            float(rng.choice([rng.uniform(0.4, 0.8), rng.uniform(0.8, 2.0)], p=[0.75, 0.25]))
        )
    )
    noise = rng.uniform(0, 9) if rng.random() < 0.7 else 0
    noisy = np.asarray(shot, np.float32) + rng.standard_normal(colour.shape, np.float32) * noise
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
