"""The records every stage shares. Coordinates are xy in pixels of the full image, origin top left."""

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

Floats = npt.NDArray[np.float64]


class NoSuchKeypoint(PosetalkError, KeyError):
    """A name that is not among the keypoints: a KeyError for `try`, a sentence for the reader."""

    @classmethod
    def among(cls, known: Sequence[str], name: object, where: str) -> Self:
        candidates = " or ".join(map(repr, get_close_matches(str(name), known)))
        hint = f"did you mean {candidates}? there are" if candidates else "there are"
        return cls(f"no keypoint {name!r} {where}; {hint}: {', '.join(known)}")

    def __str__(self) -> str:  # KeyError's own would put the sentence in quotes
        return str(self.args[0])


def frozen_array(values: Any, shape: tuple[int, ...] | None = None) -> Floats:
    """A read-only float64 copy of `values`, so that no stage can edit another's input."""
    array = np.array(values, dtype=np.float64)
    if shape is not None:
        array = array.reshape(shape)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels: left, top, width, height (COCO's order). Width and height are positive and finite."""

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
        return (self.x, self.y, self.w, self.h)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x, self.y, self.x + self.w, self.y + self.h)

    @property
    def center(self) -> tuple[float, float]:
        return (self.x + self.w / 2, self.y + self.h / 2)

    @property
    def area(self) -> float:
        return self.w * self.h

    @classmethod
    def from_xyxy(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        return cls(x1, y1, x2 - x1, y2 - y1)

    @classmethod
    def around(cls, xy: npt.ArrayLike, padding: float = 1.0) -> Box:
        """The box around points (k, 2), each side times `padding`; at least one pixel wide and high."""
        points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        low, high = points.min(0), points.max(0)
        size = np.maximum(high - low, 1.0) * padding
        left, top = (low + high) / 2 - size / 2
        return cls(float(left), float(top), float(size[0]), float(size[1]))

    def scaled(self, factor: float) -> Box:
        """The box about the same centre with its sides times `factor`."""
        x, y = self.center
        return Box(x - self.w * factor / 2, y - self.h * factor / 2, self.w * factor, self.h * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One labelled person.

    keypoints: (k, 2) px, in the order of the data set's skeleton; unlabelled ones are 0.
    visible:   (k,) 0 not labelled, 1 labelled but hidden, 2 labelled and visible (COCO's flags).
    area:      px^2, the OKS scale; `head_size`: px, MPII's PCKh reference length, where known.
    """

    id: int
    box: Box
    keypoints: Floats
    visible: Floats
    area: float
    is_crowd: bool = False
    head_size: float | None = None

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.visible > 0)


@dataclass(frozen=True, slots=True, eq=False)
class PoseImage:
    """An image and the people labelled in it. `width` and `height` are None where the labels do not say.

    file_name: what the labels call it, relative to the folder of the images; None where they name no file.
    """

    id: int
    path: Path
    width: int | None
    height: int | None
    people: tuple[Person, ...]
    file_name: str | None = None

    @property
    def name(self) -> str:
        """Its name in the labels, or without its folder where they have none."""
        return self.file_name or self.path.name


@dataclass(frozen=True, slots=True, eq=False)
class PoseSet:
    """A data set: its images, the names of its keypoints, and one sentence for each record left out.

    notes: a sentence for whatever should be known of the whole: boxes that were made, labels that look wrong.
    padding: how much larger than the person its boxes already are (MPII's: 1.25); `cropped` takes it back.
    """

    name: str
    source: Path
    keypoint_names: tuple[str, ...]
    images: tuple[PoseImage, ...]
    skipped: tuple[str, ...] = ()
    padding: float = 1.0
    notes: tuple[str, ...] = ()

    def cropped(self, box: Box, padding: float) -> Box:
        """The box for a model that pads by `padding` itself, so that nothing is padded twice."""
        return box.scaled(1 / min(self.padding, padding))

    def people(self) -> Iterator[tuple[PoseImage, Person]]:
        for image in self.images:
            for person in image.people:
                yield image, person


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Found poses of n people: what `Localizer.locate` returns.

    xy:      (n, k, 2) px of the full image, origin top left.
    score:   (n, k) in 0..1, how sure the answer is.
    names:   the k keypoint names, in order.
    boxes:   the n boxes the people were cut from.
    std:     (n, k, 2) px, the spread of the answer along x and y; None for greedy decoding.
    visible: (n, k) bool; None where the model gives no such answer.
    box_scores: (n,) in 0..1 where no boxes were given and the model found each person itself: the mean keypoint score
             of its look at the whole image. Not the certainty that somebody is there. None for boxes that were given.
    """

    xy: Floats
    score: Floats
    names: tuple[str, ...]
    boxes: tuple[Box, ...]
    std: Floats | None = None
    visible: npt.NDArray[np.bool_] | None = None
    box_scores: Floats | None = None

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

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, name: str) -> Floats:
        """The place of the keypoint called `name` in every person: (n, 2) px. Errors: NoSuchKeypoint."""
        if name not in self.names:
            raise NoSuchKeypoint.among(self.names, name, "was asked for")
        return np.asarray(self.xy[:, self.names.index(name)])

    def people(self, start: int, end: int) -> Poses:
        """The people start, ..., end - 1, as they are in `boxes`."""
        rows = slice(start, end)
        return replace(
            self,
            xy=self.xy[rows],
            score=self.score[rows],
            boxes=self.boxes[rows],
            std=None if self.std is None else self.std[rows],
            visible=None if self.visible is None else self.visible[rows],
            box_scores=None if self.box_scores is None else self.box_scores[rows],
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """One plain dict a person (JSON-ready), coordinates rounded to 1/100 px.

        A box that the model found itself has its `box_score` beside it.
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
                points.append(point)
            person: dict[str, Any] = {"box": [round(float(v), 2) for v in box.xywh]}
            if self.box_scores is not None:
                person["box_score"] = round(float(self.box_scores[i]), 4)
            people.append(person | {"keypoints": points})
        return people

    def to_coco(self, image_id: int, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO results records: keypoints as x, y, score; a person's score is the mean over keypoints."""
        rows = []
        for i in range(len(self)):
            triples = np.concatenate([self.xy[i], self.score[i][:, None]], axis=1)
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": category_id,
                    "keypoints": [round(float(v), 4) for v in triples.reshape(-1)],
                    "score": round(float(self.score[i].mean()), 6),
                }
            )
        return rows

    @classmethod
    def concat(cls, parts: Sequence[Poses]) -> Poses:
        """The people of all parts, which must share their names."""
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
        )
