"""Any annotation file of people: its form is recognised and the right reader called."""

from __future__ import annotations

from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.formats.coco import read_coco
from posetalk.formats.files import read_start
from posetalk.formats.lsp import read_lsp
from posetalk.formats.mpii import read_mpii
from posetalk.skeleton import BUILT_IN, Skeleton
from posetalk.skeleton import load_skeleton
from posetalk.types import PoseSet


def read_people(
    annotations: Path,
    images: Path,
    *,
    skeleton: Skeleton | None = None,
    first: int = 1,
    last: int | None = None,
    heads: Path | None = None,
) -> PoseSet:
    """Read a COCO-style file (a JSON object), MPII's (a JSON list) or LSP's (joints.mat), whichever it is.

    skeleton:    for COCO-style files (see `read_coco`); first, last: for LSP; heads: for MPII.
    Errors: those of the reader, an argument of another form, a file of none of these forms.
    """
    annotations, images = Path(annotations), Path(images)
    start = read_start(annotations)
    if start.startswith(b"MATLAB") or annotations.suffix == ".mat":
        _unused(annotations, "joints.mat of LSP", skeleton=skeleton, heads=heads)
        return read_lsp(annotations, images, first=first, last=last)
    if start.startswith(b"{"):
        _unused(annotations, "COCO-style file", first=None if first == 1 else first, last=last, heads=heads)
        return read_coco(annotations, images, skeleton=skeleton)
    if start.startswith(b"[") and b'"joints"' in start:
        first_, last_ = (None if first == 1 else first), last
        _unused(annotations, "MPII file", skeleton=skeleton, first=first_, last=last_)
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
    """The built-in skeleton whose keypoints a data set labels."""
    return next(s for s in map(load_skeleton, BUILT_IN) if s.names == truth.keypoint_names)


def _unused(annotations: Path, form: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise PosetalkError(f"{annotations} is a {form}, which takes no {name!r}; leave it out")
