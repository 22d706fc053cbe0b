"""Leeds Sports Pose (LSP) and its extended training set (LSPET): joints.mat, one person per image."""

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


def read_lsp(joints: str | Path, images: str | Path, *, first: int = 1, last: int | None = None) -> PoseSet:
    """Read the people of LSP or LSPET.

    Args:
        joints: LSPET's joints.mat, an array (14, 3, n) whose third value is 1 for a labelled joint; or LSP's,
            (3, 14, n), whose third value is 1 for a hidden joint (all are labelled).
        images: The folder of im00001.jpg (LSPET) or im0001.jpg (LSP).
        first: The number of the first image to read, from 1.
        last: The number of the last image, included; the end by default.

    Returns:
        One person per image; both have the number of the image as id. `visible` is 2 or 0 in LSPET, 2 or 1 in LSP. The
        box is that of the labelled joints with its sides x 1.2; `area` is 0.53 of it.

    Raises:
        PosetalkError: A file that cannot be read or has no such array, an empty range, no record left.
    """
    joints, images = Path(joints), Path(images)
    need_folder(images)
    points, visible = _labels(joints)
    last = len(points) if last is None else last
    if not 1 <= first <= last <= len(points):
        raise PosetalkError(f"{joints} holds images 1 to {len(points)}, not {first} to {last}")
    digits = _digits(images, first)
    skipped: list[str] = []
    pose_images = []
    for number in range(first, last + 1):
        try:
            person = _person(number, points[number - 1], visible[number - 1])
            path = image_path(images, f"im{number:0{digits}d}.jpg")
        except PosetalkError as error:
            skipped.append(f"{joints}: image {number}: {error}")
            continue
        pose_images.append(PoseImage(number, path, None, None, (person,)))
    if not pose_images:
        raise none_left(joints, skipped, "people")
    notes = check_labels(evenly_spaced(pose_images), joints, corners=False)
    names = load_skeleton("lsp14").names
    return PoseSet("lsp", joints, names, tuple(pose_images), tuple(skipped), notes=tuple(notes))


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
        array = array[..., None]  # MATLAB drops the last axis of a single image
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
    """How many digits the image names have: 5 in LSPET, 4 in LSP."""
    return 4 if (images / f"im{number:04d}.jpg").is_file() else 5
