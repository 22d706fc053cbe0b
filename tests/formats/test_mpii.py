"""MPII: HRNet's square, pixels from 0, and the head sizes PCKh is measured in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from posetalk.errors import PosetalkError
from posetalk.formats.mpii import read_mpii
from posetalk.skeleton import load_skeleton

Make = Callable[..., Any]


def head_file(path: Path, records: list[dict[str, Any]], **changes: Any) -> Path:
    """gt_valid.mat as HRNet hands it out: column n belongs to record n; head n is (30 + n) x 40 px."""
    n = len(records)
    joints = np.stack([np.array(r["joints"]) for r in records], axis=2)
    heads = np.zeros((2, 2, n))
    heads[0] = 100
    heads[1, 0] = 130 + np.arange(n)
    heads[1, 1] = 140
    missing = 1 - np.stack([np.array(r["joints_vis"]) for r in records], axis=1)
    arrays = {"headboxes_src": heads, "pos_gt_src": joints, "jnt_missing": missing, **changes}
    savemat(path, {k: v for k, v in arrays.items() if v is not ...})
    return path


def test_the_box_is_hrnets_square(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    """By hand: centre (500, 350 + 15 * 2) - 1, side 200 * 2 * 1.25."""
    people = read_mpii(write([mpii_person()]), tmp_path)
    assert people.name == "mpii"
    assert people.keypoint_names == load_skeleton("mpii16").names
    [(image, person)] = people.people()
    assert person.box.center == (499, 379)
    assert (person.box.w, person.box.h) == (500, 500)
    assert (image.id, image.path, image.width) == (7, tmp_path / "000000007.jpg", None)
    assert person.head_size is None


def test_joints_count_from_zero_and_missing_ones_are_zero(
    write: Make, mpii_person: Make, tmp_path: Path
) -> None:
    [(_, person)] = read_mpii(write([mpii_person()]), tmp_path).people()
    assert person.keypoints[0].tolist() == [0, 0]
    assert person.keypoints[1].tolist() == [409, 304]
    assert person.visible.tolist() == [0] + [2] * 15
    assert person.area == pytest.approx(0.53 * 140 * 70)


def test_people_of_one_picture_stand_together(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    records = [mpii_person(), mpii_person(image="000000009.jpg"), mpii_person()]
    people = read_mpii(write(records), tmp_path)
    assert [(i.id, [p.id for p in i.people]) for i in people.images] == [(7, [1, 3]), (9, [2])]
    named = read_mpii(write([mpii_person(image="b.jpg"), mpii_person(image="a.jpg")]), tmp_path)
    assert [i.id for i in named.images] == [1, 2]


def test_head_sizes(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    """0.6 of the diagonal of 30 x 40, then of 32 x 40: the bad record in between keeps its column."""
    records = [mpii_person(), mpii_person(), mpii_person()]
    heads = head_file(tmp_path / "gt_valid.mat", records)
    records[1]["scale"] = 0
    people = read_mpii(write(records), tmp_path, heads=heads)
    sizes = [p.head_size for _, p in people.people()]
    assert sizes == pytest.approx([0.6 * 50, 0.6 * np.hypot(32, 40)])
    assert len(people.skipped) == 1


def test_the_head_file_says_which_joints_are_scored(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    records = [mpii_person()]
    missing = np.zeros((16, 1))
    missing[[0, 5]] = 1
    heads = head_file(tmp_path / "gt_valid.mat", records, jnt_missing=missing)
    [(_, person)] = read_mpii(write(records), tmp_path, heads=heads).people()
    assert np.flatnonzero(person.visible == 0).tolist() == [0, 5]
    assert person.keypoints[5].tolist() == [0, 0]


def test_heads_of_other_people_are_found_out(write: Make, mpii_person: Make, tmp_path: Path) -> None:
    records = [mpii_person(), mpii_person(), mpii_person()]
    records[1]["joints"] = [[x + 50, y] for x, y in records[1]["joints"]]
    heads = head_file(tmp_path / "gt_valid.mat", records)
    people = read_mpii(write([records[0], records[2], records[2]]), tmp_path, heads=heads)
    assert [p.id for _, p in people.people()] == [1, 3]
    assert "record number 2: its joints are up to 50 px from those" in people.skipped[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"headboxes_src": ...}, "has no headboxes_src"),
        ({"headboxes_src": np.zeros((2, 2, 5))}, "do not belong together"),
        ({"jnt_missing": np.array([["a"]])}, "do not belong together"),
        ({"headboxes_src": np.zeros((2, 2, 2))}, "its head box has the size 0.0"),
        ({"headboxes_src": np.full((2, 2, 2), np.nan)}, "its head box has the size nan"),
        ({"pos_gt_src": np.full((16, 2, 2), np.nan)}, "not a number"),
    ],
)
def test_bad_head_files(
    changes: dict[str, Any], says: str, write: Make, mpii_person: Make, tmp_path: Path
) -> None:
    records = [mpii_person(), mpii_person()]
    heads = head_file(tmp_path / "gt_valid.mat", records, **changes)
    with pytest.raises(PosetalkError, match=says):
        read_mpii(write(records), tmp_path, heads=heads)
