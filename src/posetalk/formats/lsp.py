"""Leeds Sports Pose (LSP) and its extended training set (LSPET): joints.mat, one person a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.coco import AREA_OF_BOX, image_path
from posetalk.formats.files import load_mat, need_folder, none_left
from posetalk.formats.fit import check_labels, evenly_spaced
from posetalk.formats.reading import BOX_OF_POINTS
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Floats, Person, PoseImage, PoseSet, frozen_array

JOINTS = 14


def read_lsp(joints: Path, images: Path, *, first: int = 1, last: int | None = None) -> PoseSet:
    """Read pictures `first` to `last` (counted from 1, both included; to the end by default).

    joints: LSPET's joints.mat, an array (14, 3, n) whose third value is 1 for a labelled joint, or LSP's,
            (3, 14, n) whose third value is 1 for a hidden one (all are labelled).
    images: the folder of im00001.jpg (LSPET) or im0001.jpg (LSP).

    In LSPET a joint is `visible` 2 or 0, in LSP 2 or 1. The box is that of the labelled joints, each side
    x 1.2; `area` is 0.53 of it. Picture and person have the picture's number as id.
    Errors: unreadable file, no such array, an empty range, no record left.
    """
    joints, images = Path(joints), Path(images)
    need_folder(images)
    points, visible = _labels(joints)
    last = len(points) if last is None else last
    if not 1 <= first <= last <= len(points):
        raise PosetalkError(f"{joints} holds pictures 1 to {len(points)}, not {first} to {last}")
    digits = _digits(images, first)
    skipped: list[str] = []
    pictures = []
    for number in range(first, last + 1):
        try:
            person = _person(number, points[number - 1], visible[number - 1])
            path = image_path(images, f"im{number:0{digits}d}.jpg")
        except PosetalkError as error:
            skipped.append(f"{joints}: picture {number}: {error}")
            continue
        pictures.append(PoseImage(number, path, None, None, (person,)))
    if not pictures:
        raise none_left(joints, skipped, "people")
    notes = check_labels(evenly_spaced(pictures), joints, corners=False)
    names = load_skeleton("lsp14").names
    return PoseSet("lsp", joints, names, tuple(pictures), tuple(skipped), notes=tuple(notes))


def _person(number: int, points: Floats, visible: Floats) -> Person:
    labelled = visible > 0
    if not np.isfinite(visible).all() or not np.isfinite(points[labelled]).all():
        raise PosetalkError("a joint is not a number")
    if labelled.sum() < 2:
        raise PosetalkError(f"{labelled.sum()} of its joints are labelled, and a box needs two")
    box = Box.around(points[labelled], BOX_OF_POINTS)
    keypoints = frozen_array(np.where(labelled[:, None], points, 0))
    return Person(number, box, keypoints, frozen_array(visible), AREA_OF_BOX * box.area)


def _labels(path: Path) -> tuple[Floats, Floats]:
    """Points (n, 14, 2) and COCO's flags (n, 14) of either set."""
    data = load_mat(path)
    if "joints" not in data:
        raise PosetalkError(f"{path} has no array called joints; give the joints.mat of LSP or LSPET")
    array = np.asarray(data["joints"])
    if array.ndim == 2:
        array = array[..., None]  # MATLAB drops the last axis of a single picture
    if array.dtype.kind not in "biuf" or array.shape[:2] not in {(JOINTS, 3), (3, JOINTS)} or array.ndim != 3:
        raise PosetalkError(
            f"{path}: joints has the shape {array.shape}; LSPET's is (14, 3, n) and LSP's is (3, 14, n)"
        )
    array = array.astype(np.float64)
    if array.shape[0] == JOINTS:
        array = array.transpose(2, 0, 1)
        return array[..., :2], array[..., 2] * 2
    array = array.transpose(2, 1, 0)
    return array[..., :2], 2 - array[..., 2]


def _digits(images: Path, number: int) -> int:
    """How many digits the names of the pictures have: 5 in LSPET, 4 in LSP."""
    return 4 if (images / f"im{number:04d}.jpg").is_file() else 5
