"""Photos without any label: the people in them are found and located, and written as a COCO label file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from posetalk.atomic_files import whole_file, write_text
from posetalk.errors import PosetalkError
from posetalk.exchange.coco_family import numbers_of, save_coco
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.formats.files import decode_file
from posetalk.images.opening import upright_size
from posetalk.inputs import contents_of, mark_of, model_files
from posetalk.locate.image_files import find_images
from posetalk.locate.jobs import image_jobs
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction, readable
from posetalk.locate.run import locate_images, name_of
from posetalk.locate.things import load_things_detector, write_things
from posetalk.lock import only_run
from posetalk.resources import model_path
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import Floats, PoseImage

LABELS, CAPTIONS = "labels.json", "captions.json"
# The bundled model's best F1 for "a person labelled this keypoint", see docs/guides/label.md.
MIN_KEYPOINT_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """What `label_images` wrote.

    Attributes:
        images: The number of images in labels.json.
        people: The number of people in them.
        captions: The number of captions in captions.json; None where none were given.
        objects: The number of things in objects.json; None where no detector of things was named.
        paths: The file of each image, by its id in labels.json.
        skipped: A sentence for each image that could not be located or read, and for each caption without an image.
        passed_over: One sentence on the files and folders that were not taken as images, or None.
    """

    images: int
    people: int
    captions: int | None
    objects: int | None
    paths: Mapping[int, Path]
    skipped: tuple[str, ...]
    passed_over: str | None


def label_images(
    images: str | Path | Iterable[str | Path],
    *,
    out: str | Path,
    skeleton: Skeleton | str | Path = "coco17",
    captions: str | Path | None = None,
    objects: str | Path | None = None,
    min_keypoint_score: float = MIN_KEYPOINT_SCORE,
    model: Localizer | str | Path = "bundled",
    **options: Any,
) -> LabelledImages:
    """Find and locate the people in photos, and write them as COCO person keypoints, labels.json.

    The file is read wherever COCO's own is. A person has also `score`, and for each keypoint `keypoint_scores` and
    `keypoint_std` (standard deviation along x and y, px), and `predicted`, true. `info` names the model and its
    fingerprint. The flag of a keypoint is 2 if the model considers it visible, 1 if hidden, and 0, as not labelled,
    below `min_keypoint_score` and outside the image.

    Called again with the same model, keypoints and folder, it continues where it stopped; images may be added.

    Args:
        images: As in `locate_images`.
        out: The folder of the run. It gets what `locate_images` writes, too.
        skeleton: The keypoints to locate.
        captions: What people wrote of the images: COCO's captions file, or a JSON object of file names and a caption
            or a list of captions each. It becomes captions.json, with the image ids of labels.json.
        objects: A folder or hub id of a model for object detection that knows COCO's categories. What it finds beside
            people becomes objects.json, in the form of COCO's instances file; see `PretrainedThings`.
        min_keypoint_score: The lowest score of a keypoint that is labelled, 0 to 1.
        model: As in `locate_images`.
        options: Any others of `locate_images`.

    Raises:
        PosetalkError: As `locate_images`, or for captions that cannot be read or belong to none of the images.
    """
    skeleton = skeleton if isinstance(skeleton, Skeleton) else load_skeleton(skeleton)
    if not 0 <= min_keypoint_score <= 1:
        raise PosetalkError(
            f"the lowest score of a keypoint is {min_keypoint_score}; give a number from 0 to 1"
        )
    out = Path(out)
    written = None if captions is None else read_given_captions(Path(captions))
    paths = [Path(image) for image in ([images] if isinstance(images, str | Path) else images)]
    things = None if objects is None else load_things_detector(objects)
    name = name_of(model, out)
    located = locate_images(paths, skeleton, out=out, model=model, **options)
    skipped = list(located.skipped)
    rows: list[dict[str, Any]] = []
    images_read: list[PoseImage] = []
    sizes: dict[int, tuple[int, int]] = {}
    for job in image_jobs(find_images(paths, [out]).images, located.predictions):
        try:
            width, height = sizes[job.image.id] = upright_size(job.image.path)
        except PosetalkError:
            continue  # it is among those that could not be located
        rows.append(
            {"id": job.image.id, "file_name": readable(job.image.name), "width": width, "height": height}
        )
        images_read.append(job.image)
    people = [p for p in located.predictions if p.image_id in sizes]
    annotations = [
        _annotation(number, person, sizes[person.image_id], min_keypoint_score)
        for number, person in enumerate(people, 1)
    ]
    info = {
        "description": "predicted by a model, not labelled by people",
        "predicted": True,
        "model": name,
        "model_fingerprint": _fingerprint(name) if name else None,
        "min_keypoint_score": min_keypoint_score,
    }
    with whole_file(out / LABELS) as file:
        save_coco(file, rows, annotations, skeleton, info=info)
    joined = None if written is None else join_captions(written, rows, Path(str(captions)), skipped)
    if joined is not None:
        text = json.dumps({"images": rows, "annotations": joined}, ensure_ascii=False)
        write_text(out / CAPTIONS, text)
    found = None
    if things is not None:
        with only_run(out):
            found, faults = write_things(images_read, rows, things, str(objects), out)
        skipped += faults
    return LabelledImages(
        len(rows),
        len(people),
        None if joined is None else len(joined),
        found,
        {image.id: image.path for image in images_read},
        tuple(skipped),
        located.passed_over,
    )


def _annotation(
    number: int, person: Prediction, size: tuple[int, int], min_keypoint_score: float
) -> dict[str, Any]:
    xy, scores = person.keypoints[:, :2], person.keypoints[:, 2]
    flags = np.full(len(scores), 2) if person.visible is None else np.where(person.visible, 2, 1)
    inside = ((xy >= 0) & (xy <= size)).all(axis=1)
    flags = flags * (inside & (scores >= min_keypoint_score))
    triples: Floats = np.concatenate([xy * (flags > 0)[:, None], flags[:, None]], axis=1)
    return {
        "id": number,
        "image_id": person.image_id,
        "category_id": 1,
        "bbox": [round(value, 2) for value in person.box.xywh],
        "area": round(AREA_OF_BOX * person.box.area, 2),
        "iscrowd": 0,
        "num_keypoints": int((flags > 0).sum()),
        "keypoints": numbers_of(triples),
        "score": person.score,
        "keypoint_scores": scores.tolist(),
        **({} if person.std is None else {"keypoint_std": person.std.tolist()}),
        "predicted": True,
    }


def _fingerprint(model: str) -> str | None:
    """32 digits that stand for the files of a model; None of one that is not a folder here."""
    folder = Path(model_path(model))
    return mark_of(contents_of(model_files(folder), {})) if folder.is_dir() else None


def read_given_captions(path: Path) -> dict[str | int, tuple[str, ...]]:
    """Captions by file name, or by image id where the file names none."""
    content = decode_file(path, dict[str, Any], "captions: COCO's file, or names and captions")
    if isinstance(content.get("annotations"), list):
        by_id, _ = read_captions(path)
        names = {
            image["id"]: image["file_name"]
            for image in content.get("images") or ()
            if isinstance(image, dict) and {"id", "file_name"} <= set(image)
        }
        return {str(names[key]) if key in names else key: texts for key, texts in by_id.items()}
    found: dict[str | int, tuple[str, ...]] = {}
    for name, given in content.items():
        try:
            texts = msgspec.convert([given] if isinstance(given, str) else given, list[str])
        except msgspec.ValidationError:
            raise PosetalkError(f"{path}: {name}: give a caption, or a list of captions") from None
        if any(text.strip() for text in texts):
            found[name] = tuple(" ".join(text.split()) for text in texts if text.strip())
    return found


def join_captions(
    captions: Mapping[str | int, Sequence[str]], images: list[dict[str, Any]], path: Path, skipped: list[str]
) -> list[dict[str, Any]]:
    """COCO's records of the captions of these images, matched by name, the last part of a name, or id."""
    ids = {key: image["id"] for image in images for key in (image["id"], Path(image["file_name"]).name)}
    ids |= {image["file_name"]: image["id"] for image in images}
    rows: list[dict[str, Any]] = []
    without: list[str] = []
    for key, texts in captions.items():
        image_id = ids.get(key, ids.get(Path(key).name) if isinstance(key, str) else None)
        if image_id is None:
            without.append(str(key))
            continue
        rows += [
            {"id": len(rows) + n, "image_id": image_id, "caption": text} for n, text in enumerate(texts, 1)
        ]
    if not rows:
        raise PosetalkError(
            f"none of the captions of {path} is of one of the images; name images as file_name does"
        )
    if without:
        skipped.append(
            f"{path}: captions of {len(without):,} other images, such as {without[0]}, are left out"
        )
    return rows
