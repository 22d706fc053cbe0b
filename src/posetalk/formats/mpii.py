"""MPII Human Pose in the JSON format of HRNet and mmpose, with the head boxes of gt_valid.mat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.formats.coco import AREA_OF_BOX, image_path
from posetalk.formats.files import decode_file, decode_record, load_mat, need_folder, none_left
from posetalk.formats.fit import check_labels, evenly_spaced
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Floats, Person, PoseImage, PoseSet, frozen_array

JOINTS = 16
PIXEL_STD = 200.0  # MPII's `scale` is the person's height / 200 px
SHIFT_DOWN = 15.0  # HRNet moves the centre down by 15 * scale px, so that feet are cropped less often
PADDING = 1.25  # HRNet enlarges the square by a quarter; LocLLM does both too
HEAD_BIAS = 0.6  # PCKh's reference length is 0.6 of the head box's diagonal (MPII's SC_BIAS)
SAME_LABEL = 2.0  # px; labels of the JSON and of gt_valid.mat that differ more are of different people


class _MpiiRecord(msgspec.Struct):
    image: str
    joints: list[list[float]]
    joints_vis: list[float]
    center: list[float]
    scale: float


@dataclass(frozen=True, slots=True)
class _Heads:
    """The ground truth of PCKh for n records: head size (n,), joints (n, 16, 2), missing (n, 16)."""

    size: Floats
    joints: Floats
    missing: npt.NDArray[np.bool_]


def read_mpii(annotations: str | Path, images: str | Path, *, heads: str | Path | None = None) -> PoseSet:
    """Read MPII's train.json or valid.json in the format of HRNet and mmpose (a list with joints, center, scale).

    Args:
        annotations: The JSON file.
        images: The folder of the images.
        heads: gt_valid.mat, whose n-th column belongs to the n-th record. It gives `head_size` = 0.6 x the head box's
            diagonal, the joints that PCKh is measured on and which of them are missing. Without it `head_size` is
            None, and PCKh falls back to the distance from upper neck to head top, which is not comparable.

    Returns:
        The people. A box is HRNet's square: centre (c_x, c_y + 15 scale), side 250 scale (200 x 1.25), which includes
        a quarter of padding. Pixels count from 0, while MATLAB's labels count from 1, so 1 is subtracted. `visible` is
        2 or 0, because the files do not distinguish hidden joints. `area` is 0.53 of the box around the joints. A
        person's id is the record's position in the file from 1; an image's id is its file name if that is a number.

    Raises:
        PosetalkError: A file that cannot be read or has another form, heads of other records, no record left.
    """
    annotations, images = Path(annotations), Path(images)
    need_folder(images)
    raws = decode_file(annotations, list[msgspec.Raw], "MPII's list of people")
    head_labels = None if heads is None else _read_heads(Path(heads), len(raws), annotations)
    decoder = msgspec.json.Decoder(_MpiiRecord)
    skipped: list[str] = []
    people: dict[str, list[Person]] = {}
    paths: dict[str, Path] = {}
    for number, raw in enumerate(raws, 1):
        try:
            record = decode_record(decoder, raw)
            person = _person(record, number, head_labels)
            if record.image not in paths:
                paths[record.image] = image_path(images, record.image)
        except PosetalkError as error:
            skipped.append(f"{annotations}: record number {number}: {error}")
            continue
        people.setdefault(record.image, []).append(person)
    if not people:
        raise none_left(annotations, skipped, "people")
    ids = image_ids(list(people))
    pose_images = tuple(
        PoseImage(ids[name], paths[name], None, None, tuple(people_of_image))
        for name, people_of_image in people.items()
    )
    return PoseSet(
        name="mpii",
        source=annotations,
        keypoint_names=load_skeleton("mpii16").names,
        images=pose_images,
        skipped=tuple(skipped),
        padding=PADDING,
        notes=tuple(check_labels(evenly_spaced(pose_images), annotations, corners=False)),
    )


def _person(record: _MpiiRecord, number: int, head_labels: _Heads | None) -> Person:
    if not record.image.strip():
        raise PosetalkError("it names no image")
    if len(record.joints) != JOINTS or any(len(xy) != 2 for xy in record.joints):
        raise PosetalkError(f"it has {len(record.joints)} joints instead of {JOINTS} pairs x, y")
    if len(record.joints_vis) != JOINTS or not set(record.joints_vis) <= {0, 1}:
        raise PosetalkError(f"joints_vis is not {JOINTS} times 0 or 1")
    if len(record.center) != 2 or record.center[0] == -1:
        raise PosetalkError(f"it has no centre (center is {record.center})")
    if record.scale <= 0:
        raise PosetalkError(f"its scale is {record.scale}")
    joints = np.array(record.joints) - 1
    visible = np.array(record.joints_vis) > 0
    head_size = None
    if head_labels is not None:
        joints, visible, head_size = _with_heads(joints, visible, head_labels, number - 1)
    if not visible.any():
        raise PosetalkError("none of its joints is labelled")
    side = PIXEL_STD * PADDING * record.scale
    x, y = record.center[0] - 1, record.center[1] + SHIFT_DOWN * record.scale - 1
    return Person(
        id=number,
        box=Box(x - side / 2, y - side / 2, side, side),
        keypoints=frozen_array(np.where(visible[:, None], joints, 0)),
        visible=frozen_array(visible * 2),
        area=AREA_OF_BOX * Box.around(joints[visible]).area,
        head_size=head_size,
    )


def _with_heads(
    joints: Floats, visible: npt.NDArray[np.bool_], head_labels: _Heads, column: int
) -> tuple[Floats, npt.NDArray[np.bool_], float]:
    size = float(head_labels.size[column])
    if not (np.isfinite(size) and size > 0):
        raise PosetalkError(f"its head box has the size {size}")
    labelled = ~head_labels.missing[column]
    if not np.isfinite(head_labels.joints[column][labelled]).all():
        raise PosetalkError("a joint of its head file's column is not a number")
    differences = np.abs(head_labels.joints[column] - joints)[labelled & visible]
    if differences.size and differences.max() > SAME_LABEL:
        raise PosetalkError(
            f"its joints are up to {differences.max():.0f} px from those of its head file's column; "
            "give the gt_valid.mat of this very file"
        )
    return head_labels.joints[column], labelled, size


def _read_heads(path: Path, records: int, annotations: Path) -> _Heads:
    data = load_mat(path)
    shapes = {
        "headboxes_src": (2, 2, records),
        "pos_gt_src": (JOINTS, 2, records),
        "jnt_missing": (JOINTS, records),
    }
    arrays: dict[str, Floats] = {}
    for key, shape in shapes.items():
        if key not in data:
            raise PosetalkError(f"{path} has no {key}; give MPII's gt_valid.mat")
        array = np.asarray(data[key])
        if array.shape != shape or array.dtype.kind not in "biuf":
            raise PosetalkError(
                f"{path}: {key} has the shape {array.shape} where the {records} records of {annotations} "
                f"need {shape}; the two files do not belong together"
            )
        arrays[key] = array.astype(np.float64)
    corners = arrays["headboxes_src"]
    return _Heads(
        size=HEAD_BIAS * np.linalg.norm(corners[1] - corners[0], axis=0),
        joints=arrays["pos_gt_src"].transpose(2, 0, 1) - 1,
        missing=arrays["jnt_missing"].T > 0,
    )


def image_ids(names: list[str]) -> dict[str, int]:
    """005808361.jpg -> 5808361 if all names are such numbers, else 1, 2, 3 ..."""
    stems = [Path(name).stem for name in names]
    if all(s.isascii() and s.isdigit() for s in stems) and len({int(s) for s in stems}) == len(stems):
        return {name: int(stem) for name, stem in zip(names, stems, strict=True)}
    return {name: number for number, name in enumerate(names, 1)}
