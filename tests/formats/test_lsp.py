"""LSP and LSPET: two layouts, two meanings of the third value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from posetalk.formats.lsp import read_lsp
from posetalk.skeleton import load_skeleton


def lspet(path: Path, n: int = 4) -> Path:
    """Joint j of image i (from 1) at (10 i + j, 20 i + 2 j); joint 0 is not labelled and lies far away."""
    j, i = np.arange(14)[:, None], np.arange(1, n + 1)[None]
    joints = np.stack([10 * i + j, 20 * i + 2 * j, np.ones((14, n))], axis=1)
    joints[0] = np.array([-300, -300, 0])[:, None]
    savemat(path, {"joints": joints})
    return path


def test_lspet(tmp_path: Path) -> None:
    people = read_lsp(lspet(tmp_path / "joints.mat"), tmp_path)
    assert people.name == "lsp"
    assert people.keypoint_names == load_skeleton("lsp14").names
    assert [image.id for image in people.images] == [1, 2, 3, 4]
    image, person = list(people.people())[2]
    assert (image.id, person.id, image.path) == (3, 3, tmp_path / "im00003.jpg")
    assert person.visible.tolist() == [0] + [2] * 13
    assert person.keypoints[0].tolist() == [0, 0]
    assert person.keypoints[5].tolist() == [35, 70]
    # joints 1..13 reach from (31, 62) to (43, 86): 12 x 24, each side x 1.2
    assert person.box.center == pytest.approx((37, 74))
    assert (person.box.w, person.box.h) == pytest.approx((14.4, 28.8))
    assert person.area == pytest.approx(0.53 * 14.4 * 28.8)


@pytest.mark.parametrize(
    ("first", "last", "ids"), [(1, None, [1, 2, 3, 4]), (2, 3, [2, 3]), (4, 4, [4]), (3, None, [3, 4])]
)
def test_the_range_counts_from_one_and_holds_both_ends(
    first: int, last: int | None, ids: list[int], tmp_path: Path
) -> None:
    people = read_lsp(lspet(tmp_path / "joints.mat"), tmp_path, first=first, last=last)
    assert [image.id for image in people.images] == ids
    assert [person.keypoints[5][0] for _, person in people.people()] == [10 * i + 5 for i in ids]


def test_in_lsp_the_third_value_means_hidden(tmp_path: Path) -> None:
    joints = np.zeros((3, 14, 2))
    joints[0], joints[1] = 5 + np.arange(14)[:, None], 7 + np.arange(14)[:, None]
    joints[2, 4] = 1
    savemat(tmp_path / "joints.mat", {"joints": joints})
    (tmp_path / "im0001.jpg").touch()
    people = read_lsp(tmp_path / "joints.mat", tmp_path)
    assert [image.path.name for image in people.images] == ["im0001.jpg", "im0002.jpg"]
    _, person = next(people.people())
    assert person.visible.tolist() == [2] * 4 + [1] + [2] * 9
    assert person.keypoints[4].tolist() == [9, 11]


def test_bad_images_are_skipped_and_said(tmp_path: Path) -> None:
    joints = np.ones((14, 3, 3))
    joints[:, :2] = np.arange(28).reshape(14, 2)[..., None]
    joints[3, 0, 0] = np.nan
    joints[1:, 2, 2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    people = read_lsp(tmp_path / "joints.mat", tmp_path)
    assert [image.id for image in people.images] == [2]
    assert "image 1: a joint is not a number" in people.skipped[0]
    assert "image 3: 1 of its joints are labelled" in people.skipped[1]
