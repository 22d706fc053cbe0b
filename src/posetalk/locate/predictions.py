"""Predictions of a run, one JSON line a person, in a file that an interrupted run can go on with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from posetalk.errors import PosetalkError
from posetalk.types import Box, Floats, Person, PoseImage, Poses, PoseSet, frozen_array

GROUND_TRUTH = "ground truth"  # boxes of the labels
MODEL = "model"  # boxes that the model found itself, from the whole picture


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The keypoints found for one person.

    person_id:  the label's id; for a detector's box, its number among its image's boxes; 1 for a box of `MODEL`.
    file_name:  what the labels call the picture; for photos without labels, see `Photo.key`.
    box_source: where the box is from: `GROUND_TRUTH`, `MODEL`, or the name of the detections.
    keypoints:  (k, 3) x, y in px of the full image and a score in 0..1, in the order of `names`.
    std:        (k, 2) px, or None for greedy digits.
    box_score:  the detector's score of the box; 1 for a labelled box; for a box of `MODEL` the mean keypoint score of
                its look at the whole picture, which does not say that somebody is there.
    visible:    (k,) whether each can be seen, or None where the model does not say.
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
        return (self.image_id, self.person_id)

    @property
    def score(self) -> float:
        """What ranks the person in AP: the box's score times the mean over keypoints."""
        return round(self.box_score * float(self.keypoints[:, 2].mean()), 6)

    def to_keypoints(self) -> Poses:
        """What `Localizer.locate` gave for this person."""
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
    found: Poses,
    box_source: str = GROUND_TRUTH,
    box_scores: Sequence[float] | None = None,
) -> list[Prediction]:
    """What `Localizer.locate` found in one image, as records; ids and box scores go with its boxes.

    Where `Localizer.locate` was given no boxes, their source is `MODEL` and the scores are its own.
    Coordinates are rounded to 1/100 px here, so that a record and its line in a file are the same.
    """
    if len(person_ids) != len(found) or (box_scores is not None and len(box_scores) != len(found)):
        raise PosetalkError(f"image {image.id}: {len(found)} people found, {len(person_ids)} ids given")
    if found.box_scores is not None:
        box_source, box_scores = MODEL, found.box_scores.round(6).tolist()
    rows = np.concatenate([found.xy.round(2), found.score.round(6)[..., None]], axis=2)
    return [
        Prediction(
            image_id=image.id,
            person_id=person_id,
            file_name=readable(image.name),
            box=found.boxes[i],
            box_source=box_source,
            names=found.names,
            keypoints=frozen_array(rows[i]),
            std=None if found.std is None else frozen_array(found.std[i].round(2)),
            visible=None if found.visible is None else tuple(found.visible[i].tolist()),
            box_score=1.0 if box_scores is None else float(box_scores[i]),
        )
        for i, person_id in enumerate(person_ids)
    ]


def readable(text: str) -> str:
    """The text on one line, with what is no Unicode (bytes of a file's name) as backslash and number."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().splitlines())


def scored_people(truth: PoseSet) -> list[tuple[PoseImage, Person]]:
    """The people a run on labelled boxes is asked for: not a crowd, and at least one keypoint labelled."""
    return [
        (image, person) for image, person in truth.people() if not person.is_crowd and person.labelled.any()
    ]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    image_id: int
    person_id: int
    file_name: str
    box: tuple[float, float, float, float]
    box_source: str
    names: list[str]
    keypoints: list[tuple[float, float, float]]
    std: list[tuple[float, float]] | None
    box_score: float
    score: float  # written for the reader's eye; follows from the rest
    visible: list[bool] | None = None


def _encode(p: Prediction) -> bytes:
    line = _Line(
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
    )
    return msgspec.json.encode(line) + b"\n"


def _decode(raw: bytes, decoder: msgspec.json.Decoder[_Line]) -> Prediction:
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
    )


def _read(path: Path) -> tuple[list[Prediction], str | None, int]:
    """The predictions, a note if the last line was cut off, and the length of the whole lines in bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PosetalkError(f"cannot read the predictions {path}: {error.strerror}") from None
    *whole, tail = data.split(b"\n")
    decoder = msgspec.json.Decoder(_Line)
    found = []
    for number, raw in enumerate(whole, 1):
        try:
            found.append(_decode(raw, decoder))
        except (msgspec.MsgspecError, PosetalkError, UnicodeDecodeError) as error:
            raise PosetalkError(f"{path}, line {number} is not a prediction: {error}") from None
    note = f"{path}: the last line was cut off and is left out" if tail else None
    return found, note, len(data) - len(tail)


def read_predictions(path: str | Path) -> tuple[list[Prediction], str | None]:
    """Read predictions.jsonl. A last line without its line break was cut off: it is left out, with a note.

    Errors: unreadable file; a line that is not a prediction (the line number is named).
    """
    found, note, _ = _read(Path(path))
    return found, note


class PredictionLog:
    """Appends to predictions.jsonl, line by line, so that a killed run loses at most the line it was writing.

    before: what the file already held; `note` says if its last line was cut off (that line is removed).
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
            self.before, self.note, whole = _read(path)
        except PosetalkError:
            self._file.close()
            raise
        self._file.truncate(whole)

    def _failed(self, error: OSError) -> PosetalkError:
        return PosetalkError(
            f"cannot write the predictions {self._path}: {error.strerror}; what was written before is kept"
        )

    @property
    def done(self) -> frozenset[tuple[int, int]]:
        """(image_id, person_id) of the people the file already held."""
        return frozenset(p.key for p in self.before)

    def add(self, predictions: Iterable[Prediction]) -> None:
        try:
            self._file.write(b"".join(_encode(p) for p in predictions))
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
