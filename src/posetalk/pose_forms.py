"""Poses in the forms of other programs: COCO, pandas, supervision, transformers."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from posetalk.errors import MissingPackage


class PoseForms:
    """What `Poses` can be turned into."""

    __slots__ = ()
    xy: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    names: tuple[str, ...]
    boxes: tuple[Any, ...]
    std: npt.NDArray[np.float64] | None
    visible: npt.NDArray[np.bool_] | None
    box_scores: npt.NDArray[np.float64] | None
    trained: tuple[bool, ...] | None

    def to_coco(self, image_id: int, category_id: int = 1) -> list[dict[str, Any]]:
        """Records in COCO's results format.

        Args:
            image_id: The id of the image in the labels.
            category_id: COCO's category; 1 is person.

        Returns:
            A record per person: keypoints as x, y, score; the person's score is the mean over the keypoints; bbox is
            left, top, width, height px.
        """
        rows = []
        for i, box in enumerate(self.boxes):
            triples = np.concatenate([self.xy[i], self.score[i][:, None]], axis=1)
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": category_id,
                    "keypoints": [round(float(v), 4) for v in triples.reshape(-1)],
                    "score": round(float(self.score[i].mean()), 6),
                    "bbox": [round(float(v), 2) for v in box.xywh],
                }
            )
        return rows

    def to_coco_labels(
        self, image_id: int, category_id: int = 1, *, first_id: int = 1
    ) -> list[dict[str, Any]]:
        """Records in COCO's label format, as a start for labelling or training.

        Args:
            image_id: The id of the image in the labels.
            category_id: COCO's category; 1 is person.
            first_id: The id of the first record; the others count up.

        Returns:
            A record per person: keypoints as x, y and COCO's flag, 2 for visible and 1 for hidden (2 for all where the
            model does not say); bbox is left, top, width, height px; area that of the box, px^2.
        """
        flags = np.full(self.score.shape, 2) if self.visible is None else np.where(self.visible, 2, 1)
        rows = []
        for i, box in enumerate(self.boxes):
            triples = [
                (round(float(x), 2), round(float(y), 2), int(v))
                for (x, y), v in zip(self.xy[i], flags[i], strict=True)
            ]
            rows.append(
                {
                    "id": first_id + i,
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": [round(float(v), 2) for v in box.xywh],
                    "area": round(float(box.area), 2),
                    "iscrowd": 0,
                    "num_keypoints": len(self.names),
                    "keypoints": [value for triple in triples for value in triple],
                }
            )
        return rows

    def to_pandas(self) -> Any:
        """A row for each keypoint of each person, as a pandas DataFrame.

        Returns:
            person (from 1), keypoint, x, y and std_x, std_y (px), score, visible, trained, and the person's box_x,
            box_y, box_w, box_h (px) and box_score. What the model does not say is missing (NaN or NA).

        Raises:
            MissingPackage: pandas is not installed.
        """
        pandas = _installed("pandas")
        n, k = self.score.shape
        std = np.full((n, k, 2), np.nan) if self.std is None else self.std
        box = np.array([b.xywh for b in self.boxes]).reshape(n, 4).repeat(k, axis=0)
        columns = {
            "person": np.arange(1, n + 1).repeat(k),
            "keypoint": list(self.names) * n,
            "x": self.xy[..., 0].ravel(),
            "y": self.xy[..., 1].ravel(),
            "score": self.score.ravel(),
            "std_x": std[..., 0].ravel(),
            "std_y": std[..., 1].ravel(),
            "visible": _flags(pandas, None if self.visible is None else self.visible.ravel(), n * k),
            "trained": _flags(pandas, None if self.trained is None else np.tile(self.trained, n), n * k),
            **{f"box_{name}": box[:, column] for column, name in enumerate("xywh")},
            "box_score": np.full(n * k, np.nan) if self.box_scores is None else self.box_scores.repeat(k),
        }
        return pandas.DataFrame(columns)

    def to_supervision(self) -> Any:
        """As supervision's KeyPoints, with the names in `data["keypoint_names"]`, a row for each person.

        Raises:
            MissingPackage: supervision is not installed.
        """
        supervision = _installed("supervision")
        n = len(self.boxes)
        names = np.array([self.names] * n, dtype=object).reshape(n, len(self.names))
        return supervision.KeyPoints(
            xy=self.xy.astype(np.float32),
            class_id=np.zeros(n, int),
            keypoint_confidence=self.score.astype(np.float32),
            detection_confidence=None if self.box_scores is None else self.box_scores.astype(np.float32),
            visible=self.visible,
            data={"keypoint_names": names},
        )

    def to_transformers(self) -> list[dict[str, Any]]:
        """As transformers' pose models give one image (`post_process_pose_estimation(...)[0]` of ViTPose).

        Returns:
            A dict of tensors per person: keypoints (k, 2) px, scores (k,), labels (k,), the indices into `names`, and
            bbox (4,), left, top, right, bottom px.

        Raises:
            MissingPackage: torch is not installed.
        """
        torch = _installed("torch")
        return [
            {
                "keypoints": torch.tensor(self.xy[i], dtype=torch.float32),
                "scores": torch.tensor(self.score[i], dtype=torch.float32),
                "labels": torch.arange(len(self.names)),
                "bbox": torch.tensor(box.xyxy, dtype=torch.float32),
            }
            for i, box in enumerate(self.boxes)
        ]


def _flags(pandas: ModuleType, values: npt.NDArray[np.bool_] | None, count: int) -> Any:
    return pandas.array([None] * count if values is None else values, dtype="boolean")


def _installed(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingPackage(f"this needs the package {package}: pip install {package}") from None
