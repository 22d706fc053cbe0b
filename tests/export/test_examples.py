"""The examples that use an exported network without posetalk: Python, and JavaScript where Node is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from tests.export.crops import BOXES, PHOTO, crops_of, run

from posetalk.locate.localizer import Localizer
from posetalk.settings import CropSettings
from posetalk.types import Poses

EXAMPLES = Path(__file__).parents[2] / "examples"
PEOPLE = BOXES[:3]
# Px of the crop. Pillow and JavaScript round pixels otherwise than OpenCV; a cell of the heat map is 4 px.
MEDIAN, MOST = 0.25, 2.5
ALONE = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
known = {"torch", "posetalk", "transformers", "cv2", "onnx"} & set(sys.modules)
assert not known, known
"""


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    Image.fromarray(PHOTO).save(path, quality=95, subsampling=0)  # colours that every decoder reads alike
    return path


@pytest.fixture(scope="module")
def poses(photo: Path) -> Poses:
    return Localizer.from_pretrained("bundled").set_image(photo).locate(PEOPLE, "coco17")


def close(xy: Any, score: Any, poses: Poses) -> None:
    """Places of three people (3, 17, 2) px of the photo, and scores."""
    sides = np.array([max(box.w, box.h) * 1.25 for box in PEOPLE])
    away = np.linalg.norm(np.reshape(xy, (3, 17, 2)) - poses.xy, axis=-1) * 256 / sides[:, None]
    sure = poses.score > 0.5  # where the photo does not show a point, there may be two places for it
    assert sure.mean() > 0.3 and np.median(away[sure]) < MEDIAN and away[sure].max() < MOST
    np.testing.assert_allclose(np.reshape(score, (3, 17)).astype(float)[sure], poses.score[sure], atol=0.05)


def boxes() -> list[str]:
    return [",".join(map(str, box.xywh)) for box in PEOPLE]


def test_python_needs_neither_torch_nor_posetalk(coco17: Path, photo: Path, poses: Poses) -> None:
    example = EXAMPLES / "pose.py"
    words = [str(example), str(coco17), str(photo), *boxes()]
    done = subprocess.run([sys.executable, "-c", ALONE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = np.array([line.split("\t") for line in done.stdout.splitlines()])
    assert rows[:, 0].tolist() == list(poses.names) * 3
    close(rows[:, 1:3].astype(float), [text.split()[1] for text in rows[:, 3]], poses)
    assert len([line for line in example.read_text().splitlines() if line.strip()]) < 35


@pytest.fixture(scope="module")
def node(pytestconfig: pytest.Config) -> Path:
    """A folder with the examples and their packages from npm, which stay in pytest's cache."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node is not installed")
    folder = Path(pytestconfig.cache.mkdir("node"))  # type: ignore[union-attr]
    for file in (*EXAMPLES.iterdir(), Path(__file__).with_name("raw.mjs")):
        shutil.copy(file, folder)
    lock = (EXAMPLES / "package-lock.json").read_bytes()
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_bytes() != lock:
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm cannot install the packages of examples/: {done.stderr[-300:]}")
        installed.write_bytes(lock)
    return folder


def javascript(folder: Path, *words: object) -> Any:
    done = subprocess.run(["node", *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_node_computes_the_same(feet: Path, node: Path, tmp_path: Path) -> None:
    _, crops, sizes = crops_of(PHOTO, PEOPLE, CropSettings(size=256, padding=1.25))
    (tmp_path / "crops").write_bytes(crops.tobytes())
    (tmp_path / "boxes").write_bytes(sizes.tobytes())
    networks = [feet / "fp32.onnx", feet / "int8.onnx"]
    answers = javascript(node, "raw.mjs", tmp_path / "crops", tmp_path / "boxes", *networks)
    for network, found in zip(networks, answers, strict=True):
        about = {entry.key: entry.value for entry in onnx.load(network).metadata_props}
        assert found.pop("about") == about
        known = run(network, crops, sizes)
        assert found.keys() == known.keys()
        for name, values in known.items():
            np.testing.assert_allclose(np.reshape(found[name], values.shape), values, atol=1e-3, err_msg=name)


def test_node_locates_in_a_photo(coco17: Path, photo: Path, poses: Poses, node: Path) -> None:
    people = javascript(node, "pose_node.mjs", coco17, photo, *boxes())
    assert [point["name"] for point in people[0]] == list(poses.names)
    points = [point for person in people for point in person]
    close([(p["x"], p["y"]) for p in points], [p["score"] for p in points], poses)
