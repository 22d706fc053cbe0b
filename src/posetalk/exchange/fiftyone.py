"""FiftyOne's own data set on disk: samples.json and metadata.json, which it imports as FiftyOneDataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, size_of, underscored
from posetalk.formats.files import decode_file, decode_record, record_id
from posetalk.formats.names import our_name, skeleton_named
from posetalk.skeleton import Skeleton
from posetalk.types import Person

SAMPLES, METADATA = "samples.json", "metadata.json"
# Fields of a sample, for people's boxes and their keypoints; one `index` joins the two.
BOXES, POINTS = "people", "keypoints"
_MISSING = [float("nan"), float("nan")]  # what FiftyOne takes for a keypoint without a place


class _FiftyOneLabel(msgspec.Struct):
    index: int | None = None
    bounding_box: list[float] | None = None
    points: list[Any] | None = None
    confidence: Any = None
    hidden: list[bool] | None = None
    person_id: int | None = None
    track_id: int | None = None
    iscrowd: bool = False


class _FiftyOneLabels(msgspec.Struct):
    detections: list[_FiftyOneLabel] = []
    keypoints: list[_FiftyOneLabel] = []


class _FiftyOneSize(msgspec.Struct):
    width: int
    height: int


class _FiftyOneSample(msgspec.Struct):
    filepath: str
    metadata: _FiftyOneSize
    people: _FiftyOneLabels | None = None
    keypoints: _FiftyOneLabels | None = None
    image_id: int | None = None


class _FiftyOneSamples(msgspec.Struct):
    samples: list[msgspec.Raw]


def read(path: Path, images: Path, skeleton: Skeleton | None = None) -> LabelSet:
    """Read samples.json, or the folder with it, as `write` makes it or FiftyOne exports it.

    A keypoint that was moved in FiftyOne keeps its confidence.
    """
    path = path / SAMPLES if path.is_dir() else path
    raws = decode_file(path, _FiftyOneSamples, "FiftyOne's samples").samples
    records = Records(path, images, skeleton or _skeleton(path.with_name(METADATA)))
    decoder = msgspec.json.Decoder(_FiftyOneSample)
    for number, raw in enumerate(raws, 1):
        try:
            _add_sample(records, decode_record(decoder, raw))
        except PosetalkError as error:
            records.skipped.append(f"{path}: sample {record_id(raw, number)}: {error}")
    return records.labels()


def _skeleton(path: Path) -> Skeleton:
    """The skeleton in metadata.json: `default_skeleton`, or that in `info`, where `write` puts it."""
    metadata = decode_file(path, dict[str, Any], "FiftyOne's description of a data set")
    info = metadata.get("info")
    found = metadata.get("default_skeleton") or (info.get("skeleton") if isinstance(info, dict) else None)
    labels = found.get("labels") if isinstance(found, dict) else None
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise PosetalkError(f"{path} names no keypoints, as the labels of a skeleton; give the skeleton")
    try:
        return skeleton_named([our_name(label) for label in labels])
    except PosetalkError as error:
        raise PosetalkError(f"{path}: its skeleton: {error}") from None


def _add_sample(records: Records, sample: _FiftyOneSample) -> None:
    size = sample.metadata.width, sample.metadata.height
    records.add_image(sample.filepath, size, sample.image_id)
    found = {} if sample.keypoints is None else {label.index: label for label in sample.keypoints.keypoints}
    boxes = [] if sample.people is None else sample.people.detections
    for label in boxes:
        points = found.pop(label.index, None) if label.index is not None else None
        _add_person(records, sample.filepath, size, label, points)
    for points in found.values():  # of people without a box
        _add_person(records, sample.filepath, size, _FiftyOneLabel(), points)


def _add_person(
    records: Records, name: str, size: tuple[int, int], box: _FiftyOneLabel, points: _FiftyOneLabel | None
) -> None:
    k = len(records.skeleton)
    rows, scores = [(0.0, 0.0, 0)] * k, None
    if points is not None:
        hidden = points.hidden or [False] * k
        places = points.points or []
        if len(places) != k or len(hidden) != k:
            raise PosetalkError(f"it has {len(places)} keypoints instead of the {k} of the skeleton")
        rows = [_row(place, size, is_hidden) for place, is_hidden in zip(places, hidden, strict=True)]
        scores = points.confidence if isinstance(points.confidence, list) else None
    shares = box.bounding_box
    if shares is not None and len(shares) != 4:
        raise PosetalkError(f"its bounding_box has {len(shares)} numbers instead of 4")
    records.add_person(
        name,
        rows,
        None if shares is None else [share * side for share, side in zip(shares, size * 2, strict=True)],
        score=box.confidence,
        keypoint_scores=scores,
        id=box.person_id,
        track_id=box.track_id,
        iscrowd=box.iscrowd or None,
    )


def _row(place: Any, size: tuple[int, int], hidden: bool) -> tuple[float, float, int]:
    """x and y px and COCO's flag of a point, which is [x, y] as shares of the image, or NaN (here null) if missing."""
    if not isinstance(place, list) or len(place) != 2:
        raise PosetalkError("its points are not x and y each")
    x, y = place
    if not isinstance(x, int | float) or not isinstance(y, int | float):
        return 0.0, 0.0, 0
    return x * size[0], y * size[1], 1 if hidden else 2


def write(labels: LabelSet, folder: Path) -> None:
    """Write samples.json and metadata.json. FiftyOne looks for the images in the same folder."""
    samples = []
    for image in labels.data.images:
        width, height = size = size_of(image)
        people = list(enumerate(image.people))
        boxes = [_detection(index, person, size) for index, person in people]
        points = [_points(index, person, size) for index, person in people if person.labelled.any()]
        samples.append(
            {
                "filepath": image.name,
                "tags": [],
                "metadata": {"_cls": "ImageMetadata", "width": width, "height": height},
                BOXES: {"_cls": "Detections", "detections": boxes},
                POINTS: {"_cls": "Keypoints", "keypoints": points},
                "image_id": image.id,
            }
        )
    skeleton = {
        "labels": [underscored(name) for name in labels.skeleton.names],
        "edges": [list(limb) for limb in labels.skeleton.limbs],
    }
    # NaN is what FiftyOne reads and writes, and no JSON: msgspec would write null
    (folder / SAMPLES).write_text(json.dumps({"samples": samples}), encoding="utf-8")
    (folder / METADATA).write_text(json.dumps({"info": {"skeleton": skeleton}}), encoding="utf-8")


def _detection(index: int, person: Person, size: tuple[int, int]) -> dict[str, Any]:
    shares = [value / side for value, side in zip(person.box.xywh, size * 2, strict=True)]
    label: dict[str, Any] = {"_cls": "Detection", "label": "person", "bounding_box": shares, "index": index}
    extras = {"confidence": person.score, "track_id": person.track_id, "iscrowd": person.is_crowd or None}
    return (
        label | {"person_id": person.id} | {key: value for key, value in extras.items() if value is not None}
    )


def _points(index: int, person: Person, size: tuple[int, int]) -> dict[str, Any]:
    shares = (person.keypoints / size).tolist()
    label: dict[str, Any] = {
        "_cls": "Keypoint",
        "label": "person",
        "points": [place if flag else _MISSING for place, flag in zip(shares, person.visible, strict=True)],
        "hidden": (person.visible == 1).tolist(),
        "index": index,
    }
    return label if person.scores is None else label | {"confidence": person.scores.tolist()}
