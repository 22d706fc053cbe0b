"""The form of a file is recognised by what is in it, not by what it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.skeleton import load_skeleton

Make = Callable[..., Any]


@pytest.fixture
def files(write: Make, coco: Make, coco_person: Make, mpii_person: Make, tmp_path: Path) -> dict[str, Path]:
    joints = np.ones((14, 3, 5))
    joints[:, :2] = np.arange(28).reshape(14, 2)[..., None]
    savemat(tmp_path / "joints.mat", {"joints": joints})
    return {
        "coco": write(coco([coco_person()]), "a.json"),
        "mpii": write([mpii_person()], "b.json"),
        "lsp": tmp_path / "joints.mat",
        "detections": write([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "c.json"),
        "list": write([1, 2, 3], "d.json"),
        "text": write(b"Leeds Sports Pose", "e.txt"),
    }


def test_each_form_finds_its_reader(files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("coco", "mpii", "lsp"):
        assert read_people(files[name], tmp_path).name == name
    renamed = files["lsp"].rename(tmp_path / "joints.bin")
    assert read_people(renamed, tmp_path, first=2, last=3).images[0].id == 2


def test_blanks_and_a_byte_order_mark_do_no_harm(files: dict[str, Path], write: Make, tmp_path: Path) -> None:
    text = files["coco"].read_bytes()
    assert read_people(write(b"\xef\xbb\xbf" + text), tmp_path).name == "coco"
    assert read_people(write(b" \n\t" + text + b"\n"), tmp_path).name == "coco"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("detections", "holds detections, not labels"),
        ("list", "none of the forms"),
        ("text", "none of the forms"),
    ],
)
def test_other_files_are_refused(name: str, says: str, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match=says) as caught:
        read_people(files[name], tmp_path)
    assert str(files[name]) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("coco", {"last": 5}),
        ("coco", {"first": 2}),
        ("coco", {"heads": Path("gt_valid.mat")}),
        ("mpii", {"first": 2}),
        ("mpii", {"skeleton": load_skeleton("mpii16")}),
        ("lsp", {"skeleton": load_skeleton("lsp14")}),
        ("lsp", {"heads": Path("gt_valid.mat")}),
    ],
)
def test_what_a_form_does_not_take_is_said(
    name: str, given: dict[str, Any], files: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(PosetalkError, match=f"takes no '{next(iter(given))}'"):
        read_people(files[name], tmp_path, **given)
