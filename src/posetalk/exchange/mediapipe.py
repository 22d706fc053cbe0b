"""MediaPipe's pose landmarks: a folder with one JSON file an image, each a PoseLandmarkerResult."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, named_like, size_of, size_of_file, stem_of
from posetalk.formats.files import decode_file
from posetalk.skeleton import load_skeleton

SEEN = 0.5  # visibility from which a landmark counts as visible
HIDDEN = 0.25  # what is written for a hidden one without a score
# The list of poses in the results of its JavaScript, Python and older programs.
_KEYS = ("landmarks", "pose_landmarks", "poseLandmarks")


class _Landmark(msgspec.Struct):
    x: float
    y: float
    visibility: float | None = None


def read(folder: Path, images: Path) -> LabelSet:
    """Read a folder of NAME.json. Landmarks are shares of the image's sides, so the images are needed.

    `visibility` is the score of a keypoint, and from 0.5 on the keypoint counts as visible. Depth is not read.
    """
    files = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    if not files:
        raise PosetalkError(f"{folder} is no folder with JSON files; give a folder with one an image")
    records = Records(folder, images, load_skeleton("mediapipe33"))
    for path in files:
        name = named_like(images, path.relative_to(folder).with_suffix("").as_posix())
        try:
            poses = _poses(decode_file(path, Any, "MediaPipe's result"))
            width, height = size_of_file(images, name)
        except PosetalkError as error:
            records.skipped.append(f"{path}: {str(error).removeprefix(f'{path} ')}")
            continue
        records.add_image(name, (width, height))
        for number, pose in enumerate(poses, 1):
            try:
                points = [_landmark(landmark) for landmark in pose]
                scores = [p.visibility for p in points if p.visibility is not None]
                records.add_person(
                    name,
                    [(p.x * width, p.y * height, _flag(p)) for p in points],
                    keypoint_scores=scores if len(scores) == len(points) else None,
                )
            except PosetalkError as error:
                records.skipped.append(f"{path}: pose {number}: {error}")
    return records.labels()


def _poses(result: Any) -> list[list[Any]]:
    """The poses of a result, each a list of landmarks."""
    if isinstance(result, dict):
        result = next((result[key] for key in _KEYS if key in result), result)
    if isinstance(result, dict):
        result = result.get("landmark")
    if isinstance(result, list) and result and not isinstance(result[0], list):
        if all(isinstance(item, dict) and "landmark" in item for item in result):
            result = [item["landmark"] for item in result]
        else:
            result = [result]  # one pose alone
    if not isinstance(result, list) or not all(isinstance(pose, list) for pose in result):
        raise PosetalkError(f"it is not MediaPipe's result; give JSON with {', '.join(_KEYS)} or landmark")
    return result


def _landmark(value: object) -> _Landmark:
    try:
        return msgspec.convert(value, _Landmark)
    except msgspec.ValidationError as error:
        raise PosetalkError(f"a landmark: {str(error).replace('`', '')}") from None


def _flag(point: _Landmark) -> int:
    if point.visibility is None:
        return 2
    if point.visibility == 0 and point.x == point.y == 0:
        return 0
    return 2 if point.visibility >= SEEN else 1


def write(labels: LabelSet, folder: Path) -> None:
    """Write a result an image. What is not labelled is at 0, 0 with visibility 0. Depth is 0."""
    for image in labels.data.images:
        width, height = size_of(image)
        poses = []
        for person in image.people:
            scores = person.scores
            if scores is None:
                scores = (person.visible > 1) * (1 - HIDDEN) + person.labelled * HIDDEN
            poses.append(
                [
                    {"x": x / width, "y": y / height, "z": 0.0, "visibility": score}
                    for (x, y), score in zip(
                        person.keypoints.tolist(), (scores * person.labelled).tolist(), strict=True
                    )
                ]
            )
        path = folder / f"{stem_of(image.name)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode({"landmarks": poses}))
