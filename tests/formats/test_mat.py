"""A MATLAB file with a damaged tag is refused before scipy, which it would kill, sees it; every good one passes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from posetalk.errors import PosetalkError
from posetalk.formats.files import load_mat
from posetalk.formats.mat import check_mat


def mat(compressed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays, do_compression=compressed)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        np.ones((3, 14, 2)),
        np.ones((14, 3, 1), dtype=np.uint8),
        np.array([1 + 2j]),
        np.zeros((0, 3)),
        np.array([True, False]),
        "text",
        {"a": np.ones(3), "b": {"c": "漢"}},
        np.array([np.ones(2), "cell", np.zeros((0, 0))], dtype=object),
        csc_matrix(np.eye(3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_good_file_passes(value: Any, compressed: bool) -> None:
    check_mat(mat(compressed, first=value, second=np.ones(2)))


@pytest.mark.parametrize("kind", [0, 8, 10, 19, 64, 1 << 15])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_element_of_no_known_type_is_refused(kind: int, compressed: bool, tmp_path: Path) -> None:
    data = mat(joints=np.ones((14, 3, 2)))
    # the flags, the dimensions, the name ("joints" has 6 letters), the numbers
    places = [136, 152, 176, 192]
    assert [struct.unpack_from("<I", data, at)[0] for at in places] == [6, 5, 1, 9]
    for at in places:
        damaged = bytearray(data)
        struct.pack_into("<I", damaged, at, kind)
        if compressed:
            packed = zlib.compress(bytes(damaged[128:]))
            damaged[128:] = struct.pack("<II", 15, len(packed)) + packed
        (tmp_path / "joints.mat").write_bytes(damaged)
        with pytest.raises(PosetalkError, match=f"the type {kind}, which MATLAB does not know"):
            load_mat(tmp_path / "joints.mat")
