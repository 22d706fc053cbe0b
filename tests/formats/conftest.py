"""Small label files, written as their makers write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COCO_NAMES = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
]


def _coco_person(**changes: Any) -> dict[str, Any]:
    """A COCO annotation: keypoint j at (100 + j, 200 + j), the last one not labelled."""
    keypoints: list[float] = []
    for j in range(17):
        keypoints += [100 + j, 200 + j, 1 + j % 2] if j < 16 else [0, 0, 0]
    record = {
        "id": 11,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [90.0, 190.0, 40.0, 60.0],
        "area": 900.0,
        "num_keypoints": 16,
        "keypoints": keypoints,
        "segmentation": [[90, 190, 130, 190, 130, 250]],
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


def _coco(annotations: list[Any], **changes: Any) -> dict[str, Any]:
    """A COCO file with the images 1 (640 x 480) and 2 (no size)."""
    file = {
        "info": {},
        "images": [
            {"id": 1, "file_name": "one.jpg", "width": 640, "height": 480, "license": None},
            {"id": 2, "file_name": "two.jpg"},
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": COCO_NAMES, "skeleton": [[1, 2]]}],
    }
    return {key: value for key, value in {**file, **changes}.items() if value is not ...}


def _mpii_person(**changes: Any) -> dict[str, Any]:
    """A record of HRNet's MPII JSON: joint j at (400 + 10 j, 300 + 5 j) of MATLAB's pixels, none at 0."""
    record = {
        "image": "000000007.jpg",
        "center": [500.0, 350.0],
        "scale": 2.0,
        "joints": [[-1.0, -1.0], *([400.0 + 10 * j, 300.0 + 5 * j] for j in range(1, 16))],
        "joints_vis": [0] + [1] * 15,
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


@pytest.fixture(scope="session")
def coco_person() -> Callable[..., dict[str, Any]]:
    return _coco_person


@pytest.fixture(scope="session")
def coco() -> Callable[..., dict[str, Any]]:
    return _coco


@pytest.fixture(scope="session")
def mpii_person() -> Callable[..., dict[str, Any]]:
    return _mpii_person


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write(anything, name="labels.json"): as JSON (Python's, which knows NaN), or as it is if bytes."""

    def _write(data: Any, name: str = "labels.json") -> Path:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        return path

    return _write
