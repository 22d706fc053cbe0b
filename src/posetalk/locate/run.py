"""The work of `posetalk locate` on many images: predictions, and drawings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from posetalk.detect.detector import Detector, load_detector
from posetalk.detect.people import People
from posetalk.draw import draw_pose
from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.locate.engine import EngineName
from posetalk.locate.image_files import ImageFile, find_images
from posetalk.locate.jobs import LocateJob, NothingLocated, image_jobs, people_jobs, run_jobs
from posetalk.locate.localizer import Decoding, Localizer
from posetalk.locate.one_image import NOBODY, Limbs, same_file, write_answer
from posetalk.locate.people_file import HOW_RECORDS_NAME_IMAGES, people_of_file
from posetalk.locate.people_log import as_detections, detect_people, detector_content
from posetalk.locate.predictions import GROUND_TRUTH, Prediction, readable, write_results
from posetalk.model.graphs import cores
from posetalk.resources import BUNDLED
from posetalk.settings import Dtype, LocateSettings, Readout
from posetalk.skeleton import KeypointQuery, parse_keypoints
from posetalk.types import PoseImage, Poses


@dataclass(frozen=True, slots=True)
class LocatedImages:
    """What `locate_images` returns.

    Attributes:
        predictions: One for each person, in the order of the images.
        skipped: A sentence for each image that could not be located or drawn, or was left out of keypoints.json.
        passed_over: One sentence on the files and folders that were not taken as images, or None.
    """

    predictions: tuple[Prediction, ...]
    skipped: tuple[str, ...]
    passed_over: str | None


def locate_images(
    images: str | Path | Iterable[str | Path],
    keypoints: KeypointQuery = "coco17",
    *,
    out: str | Path,
    model: Localizer | str | Path = "bundled",
    detector: str | Path = "bundled",
    boxes: str | Path | None = None,
    whole_image: bool = False,
    min_score: float | None = None,
    max_people: int | None = None,
    largest: bool = False,
    readout: Readout | None = None,
    decoding: Decoding = "expected",
    flip_test: bool = False,
    device: str | None = None,
    dtype: Dtype | None = None,
    engine: EngineName | None = None,
    threads: int | None = None,
    batch_size: int = 8,
    drawings: str | Path | None = None,
    limbs: Limbs = (),
) -> LocatedImages:
    """Locate people in many images, and write predictions.jsonl and keypoints.json (COCO results).

    Each image is written when it is done. Called again with the same model, keypoints and folder, it continues where it
    stopped; images may be added.

    Args:
        images: Image files, folders (searched with all their folders), patterns such as `party/*.jpg`, or lists of
            images (see `image_lists.read_list`); or one of them.
        keypoints: As in `Localizer.locate`.
        out: The folder of the run. It is made if it does not exist.
        model: `bundled`, a model folder or a hub id, which is loaded once the images and the folder are known to be
            good; or a Localizer, which decides on device, readout, decoding and flip test itself.
        detector: `bundled`, a folder or a hub id, see `Detector.from_pretrained`: everybody it finds is located.
            people.jsonl has the boxes, predictions.jsonl the answer in each of them, keypoints.json and the drawings
            each person once.
        boxes: A file of the people's boxes (COCO results) to use instead. A record names its image as `file_name`, or
            in `image_id`: by its name, or by the number that it is named after.
        whole_image: Look for one person in the whole of each image instead.
        min_score: See `Detector`.
        max_people: See `Detector`.
        largest: See `Detector`.
        readout: See `Localizer`.
        decoding: See `Localizer`.
        flip_test: See `Localizer`.
        device: See `Localizer.from_pretrained`.
        dtype: See `Localizer.from_pretrained`.
        engine: See `Localizer.from_pretrained`.
        threads: See `Localizer.from_pretrained`; the bundled detector's too.
        batch_size: See `Localizer`.
        drawings: A folder for the images with the keypoints drawn in.
        limbs: Pairs of indices into the keypoints, drawn as lines, such as `Skeleton.limbs`.

    Returns:
        The predictions, and a sentence for each image without one.

    Raises:
        PosetalkError: there is no image; the keypoints or the model are refused, see `Localizer`; nothing could be
            located; `out` holds another run, or one of another model; drawings would lie among the images; boxes and
            the whole image are both asked for, or the whole image and a selection of people.
    """
    check_source(boxes, whole_image, selection=(min_score, max_people, largest))
    points, out = parse_keypoints(keypoints), Path(out)
    paths = [Path(image) for image in ([images] if isinstance(images, str | Path) else images)]
    drawings = None if drawings is None else Path(drawings)
    if isinstance(model, Localizer):
        readout = None if model.readout == model.own_readout else model.readout
        decoding, flip_test = model.decoding, model.flip_test
    settings = LocateSettings(
        model=name_of(model, out),
        keypoints=tuple(f"{point.name}: {point.sentence}" for point in points),
        detector=None if whole_image or boxes else str(detector),
        boxes=None if boxes is None else str(boxes),
        min_score=min_score,
        max_people=max_people,
        largest=largest,
        readout=readout,
        decoding=decoding,
        flip_test=flip_test,
        dtype=dtype,
        engine=engine,
    )
    if drawings and any(same_file(drawings, path) for path in paths):
        raise PosetalkError(
            f"the drawings in {drawings} would be the next run's images; choose another folder for the drawings"
        )
    files = find_images(paths, [out, *([drawings] if drawings else [])])
    drawing_paths = _drawing_paths(files.images, drawings) if drawings else {}
    sigmas = " ".join(
        "none" if p.sigma is None else f"{p.sigma:g}" for p in points
    )  # the scores depend on them
    also = {"sigma of the keypoints": sigmas, **detector_content(settings.detector)}
    with settings.claim(out, also=also):
        if not isinstance(model, Localizer):
            model = Localizer.from_pretrained(
                model,
                device=device,
                dtype=dtype,
                readout=readout,
                decoding=decoding,
                flip_test=flip_test,
                engine=engine,
                threads=threads,
                batch_size=batch_size,
            )
        model.questions(points)
        jobs, source, faults = partial(image_jobs, files.images), GROUND_TRUTH, list[str]()
        if boxes is not None:
            people = partial(
                people_of_file, Path(boxes), min_score=min_score, max_people=max_people, largest=largest
            )
            jobs, source = partial(_jobs_of_file, files.images, people, faults), f"boxes {Path(boxes).name}"
        elif not whole_image:
            finder = load_detector(detector, 1, min_score, max_people, largest)
            together = (
                (threads or cores()) if str(detector) == "bundled" else 1
            )  # others have threads of their own
            found = out / "people.jsonl"
            jobs, source = (
                partial(_jobs_of_people, files.images, finder, found, together, faults),
                f"detector {detector}",
            )
        predictions, skipped = run_jobs(
            model,
            jobs,
            points,
            out / "predictions.jsonl",
            box_source=source,
            each_once=not whole_image,
            may_be_nobody=True,
        )
        if not whole_image:
            skipped = faults + skipped
            predictions = [prediction for prediction in predictions if not prediction.double]
        if ambiguous := sorted({p.file_name for p in predictions} & files.ambiguous_names):
            skipped.append(
                f"left out of keypoints.json: {ambiguous[0]}{' and others' * (len(ambiguous) > 1)} of an earlier run; "
                "several images are called so now, and each has its own answer"
            )
            predictions = [p for p in predictions if p.file_name not in ambiguous]
        write_results(predictions, out / "keypoints.json")
        skipped += _draw(files.images, predictions, limbs, drawing_paths, model)
    return LocatedImages(tuple(predictions), tuple(skipped), files.passed_over)


def name_of(model: Localizer | str | Path, out: Path) -> str:
    """What a run's settings call a model."""
    if not isinstance(model, Localizer):
        return str(model)
    name = model.source
    if not name and (out / "run.toml").exists():
        raise PosetalkError(
            f"{out} holds a run, and a model that was not loaded from a folder cannot be told from the one that made "
            "it; choose another folder"
        )
    return "bundled" if name == str(BUNDLED) else name


def _jobs_of_people(
    images: Sequence[ImageFile],
    detector: Detector,
    path: Path,
    threads: int,
    faults: list[str],
    before: Sequence[Prediction],
) -> list[LocateJob]:
    """The people found in each image; `faults` gets a sentence for each image that cannot be read or has nobody."""
    pose_images = [job.image for job in image_jobs(images, before)]
    detections, unread = detect_people(pose_images, detector, path, threads)
    empty = len(pose_images) - len(unread) - len(detections)
    faults += unread
    if len(unread) == len(pose_images):
        raise NothingLocated(f"nothing could be located; {unread[0]}")
    if empty:
        faults.append(f"nobody was found in {empty} of {len(pose_images)} images; {NOBODY}")
    return people_jobs(pose_images, detections)


def _jobs_of_file(
    images: Sequence[ImageFile],
    people: Callable[[Sequence[PoseImage]], tuple[dict[int, People], tuple[str, ...]]],
    faults: list[str],
    before: Sequence[Prediction],
) -> list[LocateJob]:
    """The people of each image in a file; `faults` gets a sentence for each image without any."""
    pose_images = [job.image for job in image_jobs(images, before)]
    found, notes = people(pose_images)
    detections = as_detections(found)
    faults += notes
    if without := [image.name for image in pose_images if image.id not in detections]:
        more = f" and {len(without) - 3:,} more" if len(without) > 3 else ""
        faults.append(f"no boxes are given for {', '.join(without[:3])}{more} of {len(images):,} images")
    if not detections:
        raise PosetalkError("none of the boxes is of one of the images; " + HOW_RECORDS_NAME_IMAGES)
    return people_jobs(pose_images, detections)


def check_source(boxes: object, whole_image: bool, selection: tuple[float | None, int | None, bool]) -> None:
    """Refuse two sources of people, and a selection among people who are not found."""
    if boxes is not None and whole_image:
        raise PosetalkError("boxes and the whole image are two ways to say where people are; give one")
    if whole_image and selection != (None, None, False):
        raise PosetalkError(
            "min_score, max_people and largest choose among several people; leave them or the whole image away"
        )


def _drawing_paths(images: Sequence[ImageFile], folder: Path) -> dict[str, Path]:
    """The file of each image's drawing, by key: sub/7.png for sub/7.jpg, or sub/7.jpg.png if two would share a file."""
    short_names = [str(Path(image.key).with_suffix(".png")) for image in images]
    count = Counter(name.lower() for name in short_names)
    used, paths = set[str](), {}
    image_folders = {parent.resolve() for parent in {image.path.parent for image in images}}
    drawing_folders = {(folder / name).parent for name in short_names}
    if shared := image_folders & {path.resolve() for path in drawing_folders}:
        raise PosetalkError(
            f"drawings in {min(shared)} would lie among the images, where one would take an image's place; choose "
            "another folder for the drawings"
        )
    for image, name in zip(images, short_names, strict=True):
        if count[name.lower()] > 1:
            name = image.key + ".png"
        while name.lower() in used:
            name += ".png"
        used.add(name.lower())
        paths[image.key] = folder / name
    return paths


def _draw(
    images: Sequence[ImageFile],
    predictions: Sequence[Prediction],
    limbs: Limbs,
    paths: Mapping[str, Path],
    model: Localizer,
) -> list[str]:
    """Write the drawings; returns a sentence for each that could not be made."""
    skipped: list[str] = []
    by_key: dict[str, list[Poses]] = {}
    for prediction in predictions:
        by_key.setdefault(prediction.file_name, []).append(prediction.to_keypoints())
    for image in images if paths else ():
        if people := by_key.get(image.key):
            try:
                poses = Poses.concat(people)
                poses = replace(poses, trained=model.trained_on(poses.names))
                drawing = draw_pose(read_image(image.path), poses, limbs)
                write_answer(paths[image.key], Image.fromarray(drawing).save)
            except PosetalkError as error:
                skipped.append(readable(f"not drawn: {error}"))
    return skipped
