"""Predictions: one JSON line for each person, in a file that an interrupted run continues."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.types import Box, Floats, Person, PoseImage, Poses, PoseSet, frozen_array

GROUND_TRUTH = "ground truth"  # boxes of the labels
MODEL = "model"  # boxes that the model found itself, from the whole image


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The keypoints found for one person.

    Attributes:
        image_id: The id of the image.
        person_id: The label's id; for a detector's box its number among the image's boxes, from 1; 1 for a box of
            `MODEL`.
        file_name: The image's name in the labels; for images without labels, see `ImageFile.key`.
        box: The person's box in pixels of the full image, origin top left.
        box_source: Where the box is from: `GROUND_TRUTH`, `MODEL`, or the name of the detections.
        names: The k keypoints' names.
        keypoints: (k, 3) x and y in pixels of the full image, and a score in 0..1, in the order of `names`.
        std: (k, 2) standard deviations in pixels, or None for greedy digits.
        box_score: The detector's score of the box; 1 for a labelled box; for a box of `MODEL` the mean score of the
            keypoints found in the whole image, which does not tell whether there is a person.
        visible: (k,) whether each keypoint is visible, or None where the model does not say.
        time: For a frame of a video, seconds from its beginning; image_id is then the frame's index and person_id the
            person's id in all frames.
        double: Whether the box is of a person who was found twice, and the other one stays.
        raw_xy: For a frame of a video whose places are smoothed, (k, 2) the places before.

    Raises:
        PosetalkError: shapes do not fit, or a number is not finite.
    """

    image_id: int
    person_id: int
    file_name: str
    box: Box
    box_source: str
    names: tuple[str, ...]
    keypoints: Floats
    std: Floats | None = None
    box_score: float = 1.0
    visible: tuple[bool, ...] | None = None
    double: bool = False
    time: float | None = None
    raw_xy: Floats | None = None

    def __post_init__(self) -> None:
        k = len(self.names)
        where = f"the prediction for person {self.person_id} of image {self.image_id}"
        if not k or self.keypoints.shape != (k, 3):
            raise PosetalkError(f"{where} has keypoints of shape {self.keypoints.shape}, not {(k, 3)}")
        if self.std is not None and self.std.shape != (k, 2):
            raise PosetalkError(f"{where} has std of shape {self.std.shape}, not {(k, 2)}")
        if self.visible is not None and len(self.visible) != k:
            raise PosetalkError(f"{where} has {len(self.visible)} values of visible, not {k}")
        numbers = [self.keypoints.ravel(), () if self.std is None else self.std.ravel(), [self.box_score]]
        if not np.isfinite(np.concatenate(numbers)).all():
            raise PosetalkError(f"{where} holds a number that is not finite")

    @property
    def key(self) -> tuple[int, int]:
        """Image id and person id."""
        return (self.image_id, self.person_id)

    @property
    def score(self) -> float:
        """The score that ranks the person in AP: the box's score times the mean score of the keypoints."""
        return round(self.box_score * float(self.keypoints[:, 2].mean()), 6)

    def to_keypoints(self) -> Poses:
        """The same as `Poses` of one person."""
        return Poses(
            xy=self.keypoints[None, :, :2],
            score=self.keypoints[None, :, 2],
            names=self.names,
            boxes=(self.box,),
            std=None if self.std is None else self.std[None],
            visible=None if self.visible is None else np.array([self.visible]),
        )

    def to_coco(self, category_id: int = 1) -> dict[str, Any]:
        """A COCO results record."""
        return {
            "image_id": self.image_id,
            "category_id": category_id,
            "keypoints": self.keypoints.reshape(-1).tolist(),
            "score": self.score,
        }


def predictions_of(
    image: PoseImage,
    person_ids: Sequence[int],
    poses: Poses,
    box_source: str = GROUND_TRUTH,
    box_scores: Sequence[float] | None = None,
) -> list[Prediction]:
    """Turn the poses of one image into predictions.

    Coordinates are rounded to 1/100 px, so that a prediction and its line in a file are the same.

    Args:
        image: The image.
        person_ids: One for each pose.
        poses: What `Localizer.locate` returned.
        box_source: Where the boxes are from. If `Localizer.locate` found them itself, it is `MODEL`, and the scores
            are the model's.
        box_scores: A detector's scores of the boxes.

    Raises:
        PosetalkError: the numbers of ids or scores and of poses differ.
    """
    if len(person_ids) != len(poses) or (box_scores is not None and len(box_scores) != len(poses)):
        raise PosetalkError(f"image {image.id}: {len(poses)} people found, {len(person_ids)} ids given")
    if poses.box_scores is not None:
        box_source, box_scores = MODEL, poses.box_scores.round(6).tolist()
    poses = rounded(poses)
    rows = np.concatenate([poses.xy, poses.score[..., None]], axis=2)
    return [
        Prediction(
            image_id=image.id,
            person_id=person_id,
            file_name=readable(image.name),
            box=poses.boxes[i],
            box_source=box_source,
            names=poses.names,
            keypoints=frozen_array(rows[i]),
            std=None if poses.std is None else frozen_array(poses.std[i]),
            visible=None if poses.visible is None else tuple(poses.visible[i].tolist()),
            box_score=1.0 if box_scores is None else float(box_scores[i]),
        )
        for i, person_id in enumerate(person_ids)
    ]


def rounded(poses: Poses) -> Poses:
    """Places and spreads to 1/100 px, scores to six digits: what a file holds is what there is."""
    return replace(
        poses,
        xy=poses.xy.round(2),
        score=poses.score.round(6),
        std=None if poses.std is None else poses.std.round(2),
    )


def readable(text: str) -> str:
    """The text on one line, with lone surrogates (bytes of file names) as escape sequences."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().splitlines())


def scored_people(truth: PoseSet) -> list[tuple[PoseImage, Person]]:
    """The people of a data set that are scored: those that are no crowd and have a labelled keypoint."""
    return [
        (image, person) for image, person in truth.people() if not person.is_crowd and person.labelled.any()
    ]


class _PredictionLine(msgspec.Struct, forbid_unknown_fields=True):
    image_id: int
    person_id: int
    file_name: str
    box: tuple[float, float, float, float]
    box_source: str
    names: list[str]
    keypoints: list[tuple[float, float, float]]
    std: list[tuple[float, float]] | None
    box_score: float
    score: float  # for people who read the file; it follows from the rest
    visible: list[bool] | None = None
    time: float | msgspec.UnsetType = msgspec.UNSET
    raw_xy: list[tuple[float, float]] | msgspec.UnsetType = msgspec.UNSET
    double: bool | msgspec.UnsetType = msgspec.UNSET


def _encode(p: Prediction) -> bytes:
    line = _PredictionLine(
        p.image_id,
        p.person_id,
        p.file_name,
        p.box.xywh,
        p.box_source,
        list(p.names),
        p.keypoints.tolist(),
        None if p.std is None else p.std.tolist(),
        p.box_score,
        p.score,
        None if p.visible is None else list(p.visible),
        msgspec.UNSET if p.time is None else p.time,
        msgspec.UNSET if p.raw_xy is None else p.raw_xy.tolist(),
        p.double or msgspec.UNSET,
    )
    return msgspec.json.encode(line) + b"\n"


def _decode(raw: bytes, decoder: msgspec.json.Decoder[_PredictionLine]) -> Prediction:
    line = decoder.decode(raw)
    return Prediction(
        image_id=line.image_id,
        person_id=line.person_id,
        file_name=line.file_name,
        box=Box(*line.box),
        box_source=line.box_source,
        names=tuple(line.names),
        keypoints=frozen_array(line.keypoints, (len(line.keypoints), 3)),
        std=None if line.std is None else frozen_array(line.std, (len(line.std), 2)),
        visible=None if line.visible is None else tuple(line.visible),
        box_score=line.box_score,
        double=line.double is True,
        time=None if line.time is msgspec.UNSET else line.time,
        raw_xy=None if line.raw_xy is msgspec.UNSET else frozen_array(line.raw_xy, (len(line.keypoints), 2)),
    )


def _read(path: Path) -> tuple[list[Prediction], str | None, int]:
    """The predictions, a note if the last line was cut off, and the length of the complete lines in bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PosetalkError(f"cannot read the predictions {path}: {error.strerror}") from None
    *lines, tail = data.split(b"\n")
    decoder = msgspec.json.Decoder(_PredictionLine)
    predictions = []
    for number, raw in enumerate(lines, 1):
        try:
            predictions.append(_decode(raw, decoder))
        except (msgspec.MsgspecError, PosetalkError, UnicodeDecodeError) as error:
            raise PosetalkError(f"{path}, line {number} is not a prediction: {error}") from None
    note = f"{path}: the last line was cut off and is left out" if tail else None
    return predictions, note, len(data) - len(tail)


def read_predictions(path: str | Path) -> tuple[list[Prediction], str | None]:
    """Read predictions.jsonl.

    Args:
        path: The file.

    Returns:
        The predictions; and a note if the last line was cut off (it has no line break) and left out, else None.

    Raises:
        PosetalkError: the file cannot be read; a line is no prediction, whose number is named.
    """
    predictions, note, _ = _read(Path(path))
    return predictions, note


def each_prediction(path: Path) -> Iterator[Prediction]:
    """The predictions of a file that was written in full, one at a time."""
    decoder = msgspec.json.Decoder(_PredictionLine)
    with path.open("rb") as lines:
        for line in lines:
            yield _decode(line, decoder)


class PredictionLog:
    """Appends to predictions.jsonl line by line, so that a killed run loses at most the line it was writing.

    Attributes:
        before: The predictions that the file held already.
        note: A sentence if the file's last line was cut off (it is removed), else None.

    Raises:
        PosetalkError: the file cannot be read or written; a line is no prediction.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path = Path(path)
        self.before: list[Prediction] = []
        self.note: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise PosetalkError(f"cannot write the predictions {path}: {error.strerror}") from None
        try:
            self.before, self.note, complete = _read(path)
        except PosetalkError:
            self._file.close()
            raise
        self._file.truncate(complete)

    def _write_error(self, error: OSError) -> PosetalkError:
        return PosetalkError(
            f"cannot write the predictions {self._path}: {error.strerror}; what was written before is kept"
        )

    @property
    def done(self) -> frozenset[tuple[int, int]]:
        """(image_id, person_id) of the people that the file held already."""
        return frozenset(p.key for p in self.before)

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Append predictions."""
        try:
            self._file.write(b"".join(_encode(p) for p in predictions))
            self._file.flush()
        except OSError as error:
            raise self._write_error(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def write_results(predictions: Sequence[Prediction], path: Path) -> None:
    """Write predictions as COCO results.

    Args:
        predictions: One for each person.
        path: The JSON file: a list of records with image_id, category_id, keypoints (x, y in pixels of the full image,
            score), score and file_name. An earlier file stays if writing fails.

    Raises:
        PosetalkError: the file cannot be written.
    """
    rows = [{**p.to_coco(), "file_name": p.file_name} for p in predictions]
    write_text(path, json.dumps(rows) + "\n", "choose another folder")
