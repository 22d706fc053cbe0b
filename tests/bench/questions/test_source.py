"""What is told of labels and photos that a benchmark is built from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from posetalk.bench.questions.source import BuildSettings, annotated_images


def lsp(at: Path, scale: float) -> Path:
    joints = np.zeros((3, 14, 4))
    joints[0], joints[1] = np.linspace(60, 97, 14)[:, None] * scale, np.linspace(5, 78, 14)[:, None] * scale
    savemat(at / "joints.mat", {"joints": joints})
    return at / "joints.mat"


def mpii(at: Path, scale: float) -> Path:
    joints = np.linspace((60, 5), (97, 78), 16) * scale
    rows = [
        {
            "image": f"im000{i + 1}.jpg",
            "joints": joints.tolist(),
            "joints_vis": [1] * 16,
            "center": [78 * scale, 40 * scale],
            "scale": 0.4 * scale,
        }
        for i in range(4)
    ]
    (at / "mpii.json").write_text(json.dumps(rows))
    return at / "mpii.json"


@pytest.mark.parametrize("form", [lsp, mpii])
@pytest.mark.parametrize(
    ("scale", "turn", "says"),
    [
        (1, 1, None),
        (2, 1, "lie outside the upright images; made for larger ones?"),
        (0.5, 1, "of the upright images; made for smaller ones?"),
        (1, 3, "4 of 4 images are turned or mirrored by EXIF"),
    ],
)
def test_labels_without_sizes_are_held_against_the_photos(
    form: object, scale: float, turn: int, says: str | None, tmp_path: Path
) -> None:
    assert callable(form)
    exif = Image.Exif()
    exif[0x0112] = turn
    for i in range(4):
        Image.new("RGB", (100, 80)).save(tmp_path / f"im000{i + 1}.jpg", exif=exif)
    path = form(tmp_path, scale)
    for images in (str(tmp_path), None):
        _, _, told = annotated_images(BuildSettings(annotations=str(path), images=images))
        found = told()
        if images is None or says is None:
            assert not found
        else:
            assert len(found) == 1 and says in found[0]
