"""YOLO-pose folders: data.yaml, and a text file an image with a line a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import (
    IMAGE_SUFFIXES,
    LabelSet,
    Records,
    named_like,
    only_of_size,
    size_of,
    size_of_file,
    stem_of,
    underscored,
)
from posetalk.formats.files import read_bytes
from posetalk.formats.names import skeleton_named
from posetalk.formats.paths import leads_out
from posetalk.skeleton import Skeleton
from posetalk.types import Person

SPLITS = ("train", "val", "test")
DIGITS = 8  # behind the point: 1e-8 of a side is far below what a label means


def read(path: Path, images: Path | None, skeleton: Skeleton | None = None) -> LabelSet:
    """Read a data set of YOLO-pose: data.yaml, or the folder that holds it.

    Boxes and keypoints are shares of the image's sides, so the images are needed: those of data.yaml, or `images`.
    A third number of a keypoint that is not 0, 1 or 2 is its score, as in predictions. The form has no ids.
    """
    path = path / "data.yaml" if path.is_dir() else path
    data = _yaml(path)
    count, dimensions = _shape(data, path)
    person_class = _person_class(data, path)
    if skeleton is None:
        names = _keypoint_names(data)
        skeleton = skeleton_named(names) if names else only_of_size(count, path)
    if len(skeleton) != count:
        raise PosetalkError(
            f"{path}: kpt_shape says {count} keypoints, and {skeleton.name} has {len(skeleton)}; give their skeleton"
        )
    root = path.parent / str(data.get("path") or ".")
    root = root if root.is_dir() else path.parent
    records = Records(path, images or root, skeleton)
    for name, label in _files(data, root, images):
        try:
            size = size_of_file(records.images, name)
        except PosetalkError as error:
            records.skipped.append(str(error))
            continue
        records.add_image(name, size)
        lines = label.read_bytes().decode("utf-8", "replace").splitlines() if label.is_file() else []
        for number, line in enumerate(lines, 1):
            try:
                _add(records, name, line.split(), person_class, dimensions, size)
            except (PosetalkError, ValueError) as error:
                records.skipped.append(f"{label}, line {number}: {error}")
    return records.labels()


def _yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PosetalkError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise PosetalkError(f"{path} is not YOLO's data.yaml; give the file with kpt_shape and names")
    return data


def _shape(data: dict[str, Any], path: Path) -> tuple[int, int]:
    shape = data.get("kpt_shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(type(n) is int for n in shape)
        or shape[0] < 1
        or shape[1] not in (2, 3)
    ):
        raise PosetalkError(f"{path}: kpt_shape is {shape!r}; give the number of keypoints and 2 or 3")
    return shape[0], shape[1]


def _person_class(data: dict[str, Any], path: Path) -> int:
    names = data.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict):
        for number, name in names.items():
            if str(name).lower() == "person" or len(names) == 1:
                return int(number)
    raise PosetalkError(f"{path}: none of its names is person; call the people's class person")


def _keypoint_names(data: dict[str, Any]) -> list[str]:
    """kpt_names: a list, or a list for each class."""
    names = data.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    return [str(name) for name in names] if isinstance(names, list) else []


def _files(data: dict[str, Any], root: Path, images: Path | None) -> Iterator[tuple[str, Path]]:
    """The name of each image, relative to `images` or else to `root`, and where its label file would be."""
    splits = [data.get(split) or [] for split in SPLITS]
    given_folders = [str(f) for split in splits for f in (split if isinstance(split, list) else [split])]
    for given in dict.fromkeys(given_folders):  # one folder may be both train and val
        folder = _inside(root, given)
        labels = _labels_of(folder)
        if folder.is_file():  # a list of images
            for line in folder.read_text("utf-8", "replace").split("\n"):
                if line.strip():
                    image = Path(os.path.normpath(root / line.strip()))
                    yield os.path.relpath(image, root), Path(stem_of(str(_labels_of(image))) + ".txt")
            continue
        if images:
            for label in sorted(labels.rglob("*.txt")):
                yield named_like(images, label.relative_to(labels).with_suffix("").as_posix()), label
            continue
        for image in (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES):
            label = labels / f"{stem_of(image.relative_to(folder).as_posix())}.txt"
            yield image.relative_to(root).as_posix(), label


def _inside(root: Path, given: str) -> Path:
    """A folder or list of data.yaml. `../train/images` may mean `train/images`, as in Roboflow's exports."""
    folder = Path(os.path.normpath(root / given))
    if not folder.is_relative_to(os.path.normpath(root)) and given.startswith("../"):
        folder = root / given.removeprefix("../")
    if not folder.is_relative_to(os.path.normpath(root)) or leads_out(os.path.relpath(folder, root)):
        raise PosetalkError(f"data.yaml names {given}, which leads out of {root}; put its path right")
    return folder


def _labels_of(path: Path) -> Path:
    """The path with its last `images` replaced by `labels`, as YOLO looks for them."""
    parts = list(path.parts)
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts)


def _add(
    records: Records,
    name: str,
    words: list[str],
    person_class: int,
    dimensions: int,
    size: tuple[int, int],
) -> None:
    if not words:
        return
    values = [float(word) for word in words]
    if values[0] != person_class:
        return
    count = len(records.skeleton) * dimensions
    score = values[5 + count] if len(values) == 6 + count else None  # of predictions
    if len(values) != 5 + count and score is None:
        raise PosetalkError(
            f"it has {len(values)} numbers instead of {5 + count} (class, box, and {dimensions} for each keypoint)"
        )
    width, height = size
    x, y, w, h = (value * side for value, side in zip(values[1:5], (width, height) * 2, strict=True))
    rows = [values[i : i + dimensions] for i in range(5, 5 + count, dimensions)]
    third = [row[2] if dimensions == 3 else 2.0 * (row[0] != 0 or row[1] != 0) for row in rows]
    predicted = not set(third) <= {0, 1, 2}
    records.add_person(
        name,
        [
            (row[0] * width, row[1] * height, (2 if value > 0 else 0) if predicted else value)
            for row, value in zip(rows, third, strict=True)
        ],
        (x - w / 2, y - h / 2, w, h),
        score=score,
        keypoint_scores=third if predicted else None,
    )


def write(labels: LabelSet, folder: Path) -> list[str]:
    """Write data.yaml and labels/train into a folder; the images belong into images/train.

    Returns:
        Sentences on keypoints that lie outside their images, which YOLO refuses.
    """
    skeleton, outside = labels.skeleton, 0
    for image in labels.data.images:
        size = size_of(image)
        lines = []
        for person in image.people:
            line, left_out = _line(person, size)
            lines.append(line)
            outside += left_out
        path = folder / "labels" / "train" / f"{stem_of(image.name)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "images" / "train").mkdir(parents=True, exist_ok=True)
    data = {
        "train": "images/train",
        "val": "images/train",
        "kpt_shape": [len(skeleton), 3],
        "flip_idx": list(skeleton.flip_order),
        "names": {0: "person"},
        "kpt_names": {0: [underscored(name) for name in skeleton.names]},
    }
    (folder / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    notes = [f"the images belong into {Path('images') / 'train'} of the folder, which is empty"]
    return notes + ([f"{outside:,} labelled keypoints outside their images are left out"] if outside else [])


def _line(person: Person, size: tuple[int, int]) -> tuple[str, int]:
    """A person's line, and how many labelled keypoints lie outside the image."""
    width, height = size
    left, top, right, bottom = person.box.xyxy
    left, right = max(left, 0), min(right, width)
    top, bottom = max(top, 0), min(bottom, height)
    box = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )
    words, outside = ["0", *(_number(value) for value in box)], 0
    for (x, y), flag in zip(person.keypoints.tolist(), person.visible.tolist(), strict=True):
        inside = 0 <= x <= width and 0 <= y <= height
        outside += bool(flag) and not inside
        words += (
            [_number(x / width), _number(y / height), str(int(flag))] if flag and inside else ["0", "0", "0"]
        )
    return " ".join(words), outside


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") or "0"
