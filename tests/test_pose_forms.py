"""Poses in the forms of other programs, read back by these programs where they are installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from posetalk.errors import MissingPackage
from posetalk.types import Box, Poses

NAMES = ("nose", "left heel")


def poses(n: int = 2, **more: object) -> Poses:
    given: dict[str, object] = {
        "xy": np.arange(n * 4, dtype=float).reshape(n, 2, 2) * 10 + 1.25,
        "score": np.linspace(0.3, 0.9, n * 2).reshape(n, 2),
        "names": NAMES,
        "boxes": tuple(Box(10 * i, 5, 40, 80) for i in range(n)),
        "std": np.full((n, 2, 2), 1.5),
        "visible": np.array([[True, False]] * n).reshape(n, 2),
        "box_scores": np.linspace(0.5, 0.9, n),
        "trained": (True, False),
    }
    return Poses(**given | more)  # type: ignore[arg-type]


BARE = poses(std=None, visible=None, box_scores=None, trained=None)


def test_a_data_frame_has_a_row_for_each_keypoint() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = poses().to_pandas()
    assert list(frame["person"]) == [1, 1, 2, 2] and list(frame["keypoint"]) == [*NAMES, *NAMES]
    row = frame.iloc[3]
    assert (row.x, row.y, row.score, row.std_x) == (61.25, 71.25, 0.9, 1.5)
    assert (row.box_x, row.box_y, row.box_w, row.box_h, row.box_score) == (10, 5, 40, 80, 0.9)
    assert row.visible == np.False_ and row.trained == np.False_
    bare = BARE.to_pandas()
    assert bare[["std_x", "visible", "trained", "box_score"]].isna().all().all()
    assert list(bare.columns) == list(frame.columns) and list(bare.dtypes) == list(frame.dtypes)
    assert len(poses(0).to_pandas()) == 0
    # the recipe of the guide: where do the visible keypoints of all people lie?
    mean = frame[frame["visible"]].groupby("keypoint")[["x", "y"]].mean()
    assert isinstance(mean, pandas.DataFrame) and list(mean.index) == ["nose"]


def test_supervision_takes_key_points() -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    points = poses().to_supervision()
    assert isinstance(points, supervision.KeyPoints) and len(points) == 2
    np.testing.assert_allclose(points.xy, poses().xy)
    np.testing.assert_allclose(points.keypoint_confidence, poses().score)
    np.testing.assert_allclose(points.detection_confidence, [0.5, 0.9])
    assert points.visible.tolist() == [[True, False]] * 2
    assert points.data["keypoint_names"][1].tolist() == list(NAMES)
    scene = np.zeros((100, 100, 3), np.uint8)
    drawn = supervision.VertexAnnotator(radius=3).annotate(scene.copy(), points)
    assert (drawn != scene).any()
    assert len(poses(0).to_supervision()) == 0 and BARE.to_supervision().visible is None


def test_transformers_gives_the_same_form() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    processing = pytest.importorskip(
        "transformers.models.vitpose.image_processing_pil_vitpose", reason="an older transformers"
    )
    output = type("Output", (), {"heatmaps": torch.rand(2, 2, 64, 48)})()
    processor = processing.VitPoseImageProcessorPil()
    boxes = [[box.xywh for box in poses().boxes]]
    (theirs,) = processor.post_process_pose_estimation(output, boxes=np.array(boxes))
    ours = poses().to_transformers()
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert {key: (value.dtype, value.shape) for key, value in one.items()} == {
            key: (value.dtype, value.shape) for key, value in other.items()
        }
    assert ours[1]["bbox"].tolist() == [10, 5, 50, 85] and ours[1]["keypoints"][1].tolist() == [61.25, 71.25]


def test_coco_labels_are_read_by_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    labels = poses().to_coco_labels(7, first_id=3)
    assert [row["id"] for row in labels] == [3, 4] and labels[0]["keypoints"] == [
        1.25,
        11.25,
        2,
        21.25,
        31.25,
        1,
    ]
    assert BARE.to_coco_labels(7)[0]["keypoints"][2::3] == [2, 2]
    file = tmp_path / "labels.json"
    category = {"id": 1, "name": "person", "keypoints": list(NAMES), "skeleton": []}
    images = [{"id": 7, "file_name": "7.jpg", "width": 100, "height": 100}]
    file.write_text(json.dumps({"images": images, "annotations": labels, "categories": [category]}))
    truth = coco.COCO(str(file))
    assert truth.getAnnIds(imgIds=7) == [3, 4]
    found = truth.loadRes(poses().to_coco(7))
    first = found.anns[1]
    assert first["bbox"] == [0, 5, 40, 80] and first["keypoints"] == [1.25, 11.25, 0.3, 21.25, 31.25, 0.5]


@pytest.mark.parametrize(
    ("package", "form"),
    [("pandas", "to_pandas"), ("supervision", "to_supervision"), ("torch", "to_transformers")],
)
def test_a_missing_package_is_one_sentence(package: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=f"needs the package {package}: pip install {package}"):
        getattr(poses(), form)()
