"""Read any annotation file of people: the format is recognised and its reader called."""

from __future__ import annotations

from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.formats.coco import read_coco
from posetalk.formats.files import read_start
from posetalk.formats.lsp import read_lsp
from posetalk.formats.mpii import read_mpii
from posetalk.skeleton import BUILT_IN, Skeleton, load_skeleton
from posetalk.types import PoseSet


def read_people(
    annotations: str | Path,
    images: str | Path,
    *,
    skeleton: Skeleton | None = None,
    first: int = 1,
    last: int | None = None,
    heads: str | Path | None = None,
) -> PoseSet:
    """Read the people of a COCO-style file (a JSON object), MPII's (a JSON list) or LSP's (joints.mat).

    Args:
        annotations: The annotation file, in any of these formats.
        images: The folder of the images. No image is opened.
        skeleton: For COCO-style files: whose keypoints these are, coco17 by default; see `read_coco`.
        first: For LSP: the number of the first image, from 1.
        last: For LSP: the number of the last image, the end by default.
        heads: For MPII: gt_valid.mat with the head boxes; see `read_mpii`.

    Returns:
        The images with their people, in px of the full image. What was left out is in `skipped`, doubts are in `notes`.

    Raises:
        PosetalkError: As the format's reader, for an option of another format, and for a file of none of these formats.
    """
    annotations, images = Path(annotations), Path(images)
    start = read_start(annotations)
    if start.startswith(b"MATLAB") or annotations.suffix == ".mat":
        _refuse_options(annotations, "joints.mat of LSP", skeleton=skeleton, heads=heads)
        return read_lsp(annotations, images, first=first, last=last)
    if start.startswith(b"{"):
        _refuse_options(
            annotations, "COCO-style file", first=None if first == 1 else first, last=last, heads=heads
        )
        return read_coco(annotations, images, skeleton=skeleton)
    if start.startswith(b"[") and b'"joints"' in start:
        first_option, last_option = (None if first == 1 else first), last
        _refuse_options(annotations, "MPII file", skeleton=skeleton, first=first_option, last=last_option)
        return read_mpii(annotations, images, heads=heads)
    if start.startswith(b"[") and b'"score"' in start:
        raise PosetalkError(
            f"{annotations} holds detections, not labels; give it as the boxes, and labels here"
        )
    raise PosetalkError(
        f"{annotations} is none of the forms that are read: COCO-style keypoints (a JSON object), "
        "MPII (a JSON list with joints), LSP (joints.mat)"
    )


def labelled_skeleton(truth: PoseSet) -> Skeleton:
    """The built-in skeleton with the keypoints of a data set."""
    return next(s for s in map(load_skeleton, BUILT_IN) if s.names == truth.keypoint_names)


def _refuse_options(annotations: Path, form: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise PosetalkError(f"{annotations} is a {form}, which takes no {name!r}; leave it out")
