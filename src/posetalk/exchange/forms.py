"""The formats of labels: what each keeps, reading and writing them, and converting one into another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from posetalk.atomic_files import check_free, whole_file, whole_folder
from posetalk.errors import PosetalkError
from posetalk.exchange import (
    aic,
    alphapose,
    coco_family,
    cvat,
    fiftyone,
    label_studio,
    mediapipe,
    ochuman,
    openpose,
    yolo,
)
from posetalk.exchange.form_names import FormName
from posetalk.exchange.labels import LabelSet, stem_of
from posetalk.exchange.matching import by_doubt, fitted
from posetalk.formats.dataset import labelled_skeleton, read_people
from posetalk.formats.files import read_start
from posetalk.formats.paths import leads_out
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.types import Person, PoseImage

Kept = Literal[
    "box", "hidden", "keypoint scores", "person score", "track", "crowd", "size", "image ids", "person ids"
]


@dataclass(frozen=True, slots=True)
class Form:
    """A format of labels.

    name:     What commands call it.
    title:    What people call it.
    files:    What it consists of.
    keeps:    What it keeps beside places and names of keypoints. `hidden` is whether a keypoint is hidden or visible.
    skeleton: The only skeleton that it can hold; None for any.
    folder:   Whether it is a folder.
    """

    name: FormName
    title: str
    files: str
    keeps: frozenset[Kept]
    skeleton: str | None = None
    folder: bool = False

    @property
    def lost(self) -> tuple[Kept, ...]:
        """What it does not keep."""
        return tuple(kept for kept in get_args(Kept) if kept not in self.keeps)


def _kept(*kept: Kept) -> frozenset[Kept]:
    return frozenset(kept)


_COCO = _kept(
    "box", "hidden", "keypoint scores", "person score", "track", "crowd", "size", "image ids", "person ids"
)
FORMS = (
    Form("coco", "COCO keypoints", "one JSON file", _COCO),
    Form("wholebody", "COCO-WholeBody", "one JSON file", _COCO, "wholebody133"),
    Form("halpe", "Halpe-FullBody (body and feet)", "one JSON file", _COCO, "halpe26"),
    Form("crowdpose", "CrowdPose", "one JSON file", _COCO, "crowdpose14"),
    Form("ochuman", "OCHuman", "one JSON file", _kept("box", "hidden", "size", "image ids"), "ochuman19"),
    Form("aic", "AI Challenger", "one JSON file", _kept("box", "hidden"), "aic14"),
    Form("posetrack", "PoseTrack 2018", "one JSON file", _COCO - {"hidden"}, "posetrack17"),
    Form("yolo", "YOLO-pose", "data.yaml, labels/*.txt", _kept("box", "hidden", "size"), folder=True),
    Form(
        "openpose",
        "OpenPose",
        "NAME_keypoints.json",
        _kept("keypoint scores", "track"),
        "body25",
        folder=True,
    ),
    Form("alphapose", "AlphaPose", "one JSON file", _kept("box", "keypoint scores", "person score", "track")),
    Form(
        "mediapipe",
        "MediaPipe pose landmarks",
        "NAME.json",
        _kept("hidden", "keypoint scores", "size"),
        "mediapipe33",
        folder=True,
    ),
    Form(
        "label-studio",
        "Label Studio",
        "tasks.json, label_config.xml",
        _COCO - {"track", "crowd"},
        folder=True,
    ),
    Form("cvat", "CVAT for images 1.1", "one XML file", _kept("box", "hidden", "size")),
    Form("fiftyone", "FiftyOne", "samples.json, metadata.json", _COCO, folder=True),
)
_BY_STEM = ("aic", "yolo", "openpose", "mediapipe")  # which name an image without its suffix


def form_named(name: str) -> Form:
    """The form of that name. Raises PosetalkError."""
    for form in FORMS:
        if form.name == name:
            return form
    raise PosetalkError(f"there is no format {name!r}; choose of {', '.join(get_args(FormName))}")


def read_labels_of(
    path: str | Path,
    form: FormName | None = None,
    *,
    images: str | Path | None = None,
    skeleton: Skeleton | None = None,
) -> LabelSet:
    """Read labels of any format.

    Args:
        path: The file, or the folder of a format that is one.
        form: The format. None for the labels that every command reads: COCO's form, MPII and LSP.
        images: The folder of the images; by default the one that `path` is in (for a folder, itself). Formats whose
            coordinates are shares of an image's sides need the images.
        skeleton: Whose keypoints these are, where the format does not say.

    Returns:
        The labels. What was left out is in `data.skipped`, doubts are in `data.notes`.

    Raises:
        PosetalkError: A file that cannot be read or has another form, a format that has a skeleton of its own, no
            person left.
    """
    path = Path(path)
    if not path.exists():
        raise PosetalkError(f"there is no file {path}; check the path")
    folder = Path(images) if images else path if path.is_dir() else path.parent
    if form is not None and skeleton is not None and (fixed := form_named(form).skeleton):
        raise PosetalkError(f"{form} has a skeleton of its own, {fixed}; leave the skeleton away")
    match form:
        case None:
            if path.is_file() and read_start(path).startswith(b"{"):
                return coco_family.read(path, folder, "coco", skeleton)
            data = read_people(path, folder, skeleton=skeleton)
            return LabelSet(data, skeleton or labelled_skeleton(data))
        case "coco" | "wholebody" | "halpe" | "crowdpose" | "posetrack":
            return coco_family.read(path, folder, form, skeleton)
        case "ochuman":
            return ochuman.read(path, folder)
        case "aic":
            return aic.read(path, folder)
        case "yolo":
            return yolo.read(path, Path(images) if images else None, skeleton)
        case "openpose":
            return openpose.read(path, folder)
        case "alphapose":
            return alphapose.read(path, folder, skeleton)
        case "mediapipe":
            return mediapipe.read(path, folder)
        case "label-studio":
            return label_studio.read(path, folder, skeleton)
        case "cvat":
            return cvat.read(path, folder, skeleton)
        case "fiftyone":
            return fiftyone.read(path, folder, skeleton)
    raise PosetalkError(f"there is no format {form!r}; choose of {', '.join(get_args(FormName))}")


def write_labels(labels: LabelSet, out: str | Path, form: FormName) -> list[str]:
    """Write labels in a format.

    Args:
        labels: The labels, whose skeleton the format can hold; see `fitted`.
        out: A new file, or a new folder for a format that is one.
        form: The format.

    Returns:
        Sentences on what the format could not hold.

    Raises:
        PosetalkError: Another skeleton than the format's, `out` is there already or cannot be written, an image's size
            is needed and not known, two images have the same name but for the suffix in a format that names images
            without it.
    """
    out, kind = Path(out), form_named(form)
    if kind.skeleton and labels.skeleton.names != load_skeleton(kind.skeleton).names:
        raise PosetalkError(
            f"{form} holds the keypoints of {kind.skeleton} alone, not {labels.skeleton.name}'s"
        )
    _check_names(labels.data.images, form)
    labels, notes = _without_what_it_cannot_hold(labels, kind)
    if kind.folder:
        with whole_folder(out) as folder:
            return notes + _write_folder(labels, folder, kind.name)
    if out.exists():
        raise PosetalkError(f"{out} is there already; give a new file")
    with whole_file(out) as file:
        match kind.name:
            case "ochuman":
                ochuman.write(labels, file)
            case "aic":
                aic.write(labels, file)
            case "alphapose":
                alphapose.write(labels, file)
            case "cvat":
                cvat.write(labels, file)
            case "coco" | "wholebody" | "halpe" | "crowdpose" | "posetrack":
                coco_family.write(labels, file, kind.name)
    return notes


def _write_folder(labels: LabelSet, folder: Path, form: FormName) -> list[str]:
    match form:
        case "yolo":
            return yolo.write(labels, folder)
        case "openpose":
            openpose.write(labels, folder)
        case "mediapipe":
            mediapipe.write(labels, folder)
        case "fiftyone":
            fiftyone.write(labels, folder)
        case _:
            label_studio.write(labels, folder)
    return []


def _check_names(images: Sequence[PoseImage], form: FormName) -> None:
    for image in images:
        if leads_out(image.name):
            raise PosetalkError(
                f"the image name {image.name!r} leads out of its folder; give names relative to it"
            )
    if form not in _BY_STEM:
        return
    counts = Counter(stem_of(image.name) for image in images)
    if doubles := [stem for stem, count in counts.items() if count > 1]:
        raise PosetalkError(
            f"{form} names images without their suffix, and several are called {doubles[0]}; rename one of them"
        )


def _without_what_it_cannot_hold(labels: LabelSet, form: Form) -> tuple[LabelSet, list[str]]:
    notes = []
    people = [person for _, person in labels.data.people()]
    crowds = sum(p.is_crowd for p in people) if "crowd" not in form.keeps else 0
    bare = sum(not p.labelled.any() and not p.is_crowd for p in people) if "box" not in form.keeps else 0
    if crowds:
        notes.append(f"{form.title} has no crowds: {crowds:,} are left out")
    if bare:
        notes.append(f"{form.title} has no boxes: {bare:,} people without labelled keypoints are left out")
    if not crowds and not bare:
        return labels, notes

    def holds(person: Person) -> bool:
        return not (crowds and person.is_crowd) and not (bare and not person.labelled.any())

    images = tuple(replace(i, people=tuple(filter(holds, i.people))) for i in labels.data.images)
    return replace(labels, data=replace(labels.data, images=images)), notes


def convert_labels(
    source: str | Path,
    out: str | Path,
    *,
    to: FormName,
    form: FormName | None = None,
    images: str | Path | None = None,
    skeleton: Skeleton | None = None,
    to_skeleton: Skeleton | None = None,
    doubtful_first: bool = False,
) -> tuple[LabelSet, list[str]]:
    """Convert labels from one format into another.

    Args:
        source: The labels, see `read_labels_of`.
        out: A new file or folder, see `write_labels`.
        to: The format to write.
        form: The format of `source`; see `read_labels_of`.
        images: The folder of the images.
        skeleton: Whose keypoints the labels have, where their format does not say.
        to_skeleton: The keypoints to write; by default those of the format, or else those of the labels.
        doubtful_first: Whether the images are put in the order of doubt; see `by_doubt`.

    Returns:
        What was written; and sentences on keypoints without a partner and on what the format cannot hold.

    Raises:
        PosetalkError: As `read_labels_of`, `fitted` and `write_labels`.
    """
    kind = form_named(to)
    if kind.folder:
        check_free(out)  # before everything is read
    if kind.skeleton and to_skeleton and to_skeleton.name != kind.skeleton:
        raise PosetalkError(
            f"{to} holds the keypoints of {kind.skeleton} alone; leave the skeleton to write away"
        )
    labels = read_labels_of(source, form, images=images, skeleton=skeleton)
    target = load_skeleton(kind.skeleton) if kind.skeleton else to_skeleton
    notes: list[str] = []
    if target:
        labels, notes = fitted(labels, target)
    if doubtful_first:
        labels = by_doubt(labels)
    return labels, notes + write_labels(labels, out, to)
