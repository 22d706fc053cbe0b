"""The records that all parts share. Coordinates are xy in pixels of the full image, origin top left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.pose_forms import PoseForms

Floats = npt.NDArray[np.float64]


class NoSuchKeypoint(PosetalkError, KeyError):
    """A name that is not among the keypoints. It is a KeyError too."""

    @classmethod
    def among(cls, known: Sequence[str], name: object, where: str) -> Self:
        """The error for `name`, with the known names most like it."""
        candidates = " or ".join(map(repr, get_close_matches(str(name), known)))
        hint = f"did you mean {candidates}? there are" if candidates else "there are"
        return cls(f"no keypoint {name!r} {where}; {hint}: {', '.join(known)}")

    def __str__(self) -> str:  # KeyError would put the sentence in quotes
        return str(self.args[0])


def frozen_array(values: Any, shape: tuple[int, ...] | None = None) -> Floats:
    """A read-only float64 copy of `values`, reshaped to `shape`."""
    array = np.array(values, dtype=np.float64)
    if shape is not None:
        array = array.reshape(shape)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels of the full image, in COCO's order.

    Args:
        x: Left edge.
        y: Top edge.
        w: Width, above 0.
        h: Height, above 0.

    Raises:
        PosetalkError: A number that is not finite, or a side of 0 or less.
    """

    x: float
    y: float
    w: float
    h: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.x, self.y, self.w, self.h)):
            raise PosetalkError(
                f"the box {self.xywh} holds a number that is not finite; give x,y,width,height"
            )
        if self.w <= 0 or self.h <= 0:
            raise PosetalkError(f"the box {self.xywh} has no area; give x,y,width,height in pixels")

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height."""
        return (self.x, self.y, self.w, self.h)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.x, self.y, self.x + self.w, self.y + self.h)

    @property
    def center(self) -> tuple[float, float]:
        """The middle, x and y."""
        return (self.x + self.w / 2, self.y + self.h / 2)

    @property
    def area(self) -> float:
        """Width times height, px^2."""
        return self.w * self.h

    @classmethod
    def from_xyxy(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """The box of left, top, right, bottom px."""
        return cls(x1, y1, x2 - x1, y2 - y1)

    @classmethod
    def around(cls, xy: npt.ArrayLike, padding: float = 1.0) -> Box:
        """The bounding box of points (k, 2) px, its sides times `padding`; at least one pixel wide and high."""
        points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        low, high = points.min(0), points.max(0)
        size = np.maximum(high - low, 1.0) * padding
        left, top = (low + high) / 2 - size / 2
        return cls(float(left), float(top), float(size[0]), float(size[1]))

    def scaled(self, factor: float) -> Box:
        """The box of the same centre with its sides times `factor`."""
        x, y = self.center
        return Box(x - self.w * factor / 2, y - self.h * factor / 2, self.w * factor, self.h * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One labelled person.

    id:        The annotation's id.
    box:       The person's box as labelled.
    keypoints: (k, 2) px of the full image, in the order of the data set's skeleton; 0 where not labelled.
    visible:   (k,) COCO's flags: 0 not labelled, 1 labelled but hidden, 2 labelled and visible.
    area:      px^2, the scale of OKS.
    is_crowd:  Whether this is a crowd (COCO's iscrowd).
    head_size: px, MPII's reference length of PCKh; None where it is not known.
    scores:    (k,) the confidence of each keypoint, of people whom a model found; None for people's labels.
    score:     The confidence of the person, likewise.
    track_id:  The person's id in all frames of a video; None where there is none.
    std:       (k, 2) px, the standard deviation of each keypoint along x and y, of people whom a model found.
    """

    id: int
    box: Box
    keypoints: Floats
    visible: Floats
    area: float
    is_crowd: bool = False
    head_size: float | None = None
    scores: Floats | None = None
    score: float | None = None
    track_id: int | None = None
    std: Floats | None = None

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(k,) bool: which keypoints are labelled."""
        return np.asarray(self.visible > 0)


@dataclass(frozen=True, slots=True, eq=False)
class PoseImage:
    """An image and the people labelled in it.

    id:            The image's id in the labels.
    path:          Where the file is expected; it need not exist.
    width, height: px, as the labels say; None where they do not.
    people:        The labelled people.
    file_name:     The name in the labels, relative to the folder of the images; None where they have none.
    crowd_index:   CrowdPose's measure of how crowded the image is, 0 to 1; None where the labels have none.
    """

    id: int
    path: Path
    width: int | None
    height: int | None
    people: tuple[Person, ...]
    file_name: str | None = None
    crowd_index: float | None = None

    @property
    def name(self) -> str:
        """The name in the labels, or else the file's name without its folder."""
        return self.file_name or self.path.name


@dataclass(frozen=True, slots=True, eq=False)
class PoseSet:
    """A labelled data set.

    name:           `coco`, `mpii` or `lsp`.
    source:         The annotation file.
    keypoint_names: The names of the k keypoints, in order.
    images:         The images with their people.
    skipped:        A sentence for each record that was left out.
    padding:        How much larger than the person its boxes already are (MPII: 1.25); `cropped` takes this back.
    notes:          Sentences about the whole set: boxes made from keypoints, labels that look wrong.
    """

    name: str
    source: Path
    keypoint_names: tuple[str, ...]
    images: tuple[PoseImage, ...]
    skipped: tuple[str, ...] = ()
    padding: float = 1.0
    notes: tuple[str, ...] = ()

    def cropped(self, box: Box, padding: float) -> Box:
        """The box for a model that pads by `padding` itself, so that no box is padded twice."""
        return box.scaled(1 / min(self.padding, padding))

    def people(self) -> Iterator[tuple[PoseImage, Person]]:
        """Each person with its image."""
        for image in self.images:
            for person in image.people:
                yield image, person


@dataclass(frozen=True, slots=True, eq=False)
class Poses(PoseForms):
    """Predicted poses of n people, as `Localizer.locate` returns them.

    xy:         (n, k, 2) px of the full image, origin top left.
    score:      (n, k) in 0..1, the confidence of each keypoint.
    names:      The k keypoint names, in order.
    boxes:      The n boxes that the people were cropped by.
    std:        (n, k, 2) px, the standard deviation along x and y; None for greedy decoding.
    visible:    (n, k) bool; None where the model does not predict visibility.
    box_scores: (n,) in 0..1. For a detector's boxes its scores. For boxes that the model found itself the mean keypoint
                score of its prediction on the whole image, which is not the probability that there is a person. None
                for boxes that were given.
    trained:    For each name whether the model was trained on it; None where that is not known.

    Raises:
        PosetalkError: Shapes that do not agree.
    """

    xy: Floats
    score: Floats
    names: tuple[str, ...]
    boxes: tuple[Box, ...]
    std: Floats | None = None
    visible: npt.NDArray[np.bool_] | None = None
    box_scores: Floats | None = None
    trained: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        n, k = len(self.boxes), len(self.names)
        expected = {"xy": (n, k, 2), "score": (n, k)}
        if self.std is not None:
            expected["std"] = (n, k, 2)
        if self.visible is not None:
            expected["visible"] = (n, k)
        if self.box_scores is not None:
            expected["box_scores"] = (n,)
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise PosetalkError(f"Poses.{name} has shape {getattr(self, name).shape}, expected {shape}")
        if self.trained is not None and len(self.trained) != k:
            raise PosetalkError(f"Poses.trained has {len(self.trained)} values, expected {k}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, name: str) -> Floats:
        """One keypoint of every person: (n, 2) px.

        Raises:
            NoSuchKeypoint: A name that is not in `names`.
        """
        if name not in self.names:
            raise NoSuchKeypoint.among(self.names, name, "was asked for")
        return np.asarray(self.xy[:, self.names.index(name)])

    def people(self, start: int, end: int) -> Self:
        """The people start, ..., end - 1, in the order of `boxes`."""
        return self.some(range(len(self))[start:end])

    def some(self, indices: Sequence[int]) -> Self:
        """The people with these indices, in their order."""
        rows = np.asarray(indices, np.intp)
        return replace(
            self,
            xy=self.xy[rows],
            score=self.score[rows],
            boxes=tuple(self.boxes[index] for index in indices),
            std=None if self.std is None else self.std[rows],
            visible=None if self.visible is None else self.visible[rows],
            box_scores=None if self.box_scores is None else self.box_scores[rows],
        )

    def keypoints(self, count: int) -> Self:
        """The first `count` keypoints of everybody."""
        if count == len(self.names):
            return self
        return replace(
            self,
            xy=self.xy[:, :count],
            score=self.score[:, :count],
            names=self.names[:count],
            std=None if self.std is None else self.std[:, :count],
            visible=None if self.visible is None else self.visible[:, :count],
            trained=None if self.trained is None else self.trained[:count],
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """One JSON-ready dict per person, with coordinates rounded to 1/100 px.

        Returns:
            Each with `box` (left, top, width, height px), `box_score` if the model found the box itself, and
            `keypoints`: a list of `name`, `x`, `y`, `score`, and `std`, `visible` and `trained` if there are any.
        """
        people: list[dict[str, Any]] = []
        for i, box in enumerate(self.boxes):
            points = []
            for j, name in enumerate(self.names):
                point: dict[str, Any] = {
                    "name": name,
                    "x": round(float(self.xy[i, j, 0]), 2),
                    "y": round(float(self.xy[i, j, 1]), 2),
                    "score": round(float(self.score[i, j]), 4),
                }
                if self.std is not None:
                    point["std"] = [round(float(v), 2) for v in self.std[i, j]]
                if self.visible is not None:
                    point["visible"] = bool(self.visible[i, j])
                if self.trained is not None:
                    point["trained"] = bool(self.trained[j])
                points.append(point)
            person: dict[str, Any] = {"box": [round(float(v), 2) for v in box.xywh]}
            if self.box_scores is not None:
                person["box_score"] = round(float(self.box_scores[i]), 4)
            people.append(person | {"keypoints": points})
        return people

    @classmethod
    def concat(cls, parts: Sequence[Poses]) -> Poses:
        """The people of all parts as one.

        Raises:
            PosetalkError: Parts with different keypoint names.
        """
        first = parts[0]
        if any(p.names != first.names for p in parts):
            raise PosetalkError("cannot join Poses with different keypoint names")
        return cls(
            xy=np.concatenate([p.xy for p in parts]),
            score=np.concatenate([p.score for p in parts]),
            names=first.names,
            boxes=tuple(b for p in parts for b in p.boxes),
            std=None if first.std is None else np.concatenate([p.std for p in parts if p.std is not None]),
            visible=None
            if first.visible is None
            else np.concatenate([p.visible for p in parts if p.visible is not None]),
            box_scores=None
            if any(p.box_scores is None for p in parts)
            else np.concatenate([p.box_scores for p in parts if p.box_scores is not None]),
            trained=first.trained,
        )
