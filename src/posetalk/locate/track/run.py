"""The work of `posetalk locate` on a video: predictions of every frame, and a drawn video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from posetalk.detect.detector import load_detector
from posetalk.errors import PosetalkError, shown
from posetalk.locate.engine import EngineName
from posetalk.locate.localizer import Decoding, Localizer
from posetalk.locate.one_image import same_file
from posetalk.locate.people_log import detector_content
from posetalk.locate.predictions import Prediction, PredictionLog, each_prediction, predictions_of
from posetalk.locate.run import check_source, name_of
from posetalk.locate.track.people import Following, TrackedFrame, follow_people
from posetalk.locate.track.settings import VideoSettings
from posetalk.locate.track.source import Source
from posetalk.locate.track.video import Video
from posetalk.locate.track.writer import check_name, write_video
from posetalk.messages import track
from posetalk.settings import Dtype, Readout
from posetalk.skeleton import Keypoint, KeypointQuery, parse_keypoints
from posetalk.types import PoseImage, Poses


@dataclass(frozen=True, slots=True)
class LocatedVideo:
    """What `locate_video` returns.

    Attributes:
        frames: How many frames were read.
        people: How many people have an id.
        predictions: predictions.jsonl, with a line for each person of each frame.
        notes: Sentences on what could not be read.
    """

    frames: int
    people: int
    predictions: Path
    notes: tuple[str, ...]


def locate_video(
    video: Source,
    keypoints: KeypointQuery = "coco17",
    *,
    out: str | Path,
    model: Localizer | str | Path = "bundled",
    fps: float | None = None,
    raw: bool = False,
    detector: str | Path = "bundled",
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
    drawing: str | Path | None = None,
    limbs: Sequence[tuple[int, int]] = (),
) -> LocatedVideo:
    """Locate and follow the people of a video, and write predictions.jsonl, with a line for each person of each frame.

    Each frame is written when it is done. Called again with the same arguments, it continues where it stopped, with the
    same ids. A line is that of `Prediction`: `image_id` is the frame's index, `person_id` the person's id, `time`
    the seconds from the beginning.

    Args:
        video: A video file, a folder of images (with `fps`), the number of a camera, or an address such as rtsp://...
            A camera and an address are followed until somebody interrupts.
        keypoints: As in `Localizer.locate`.
        out: The folder of the run. It is made if it does not exist.
        model: `bundled`, a model folder or a hub id; or a Localizer, which decides on detector, device, readout,
            decoding and flip test itself.
        fps: Frames a second of a folder of images.
        raw: Leave places as they were located, not smoothed.
        detector: See `Detector.from_pretrained`.
        whole_image: Look for one person in the whole of each frame instead.
        min_score: See `Detector`.
        max_people: See `Detector`.
        largest: See `Detector`.
        readout: See `Localizer`.
        decoding: See `Localizer`.
        flip_test: See `Localizer`.
        device: See `Localizer.from_pretrained`.
        dtype: See `Localizer.from_pretrained`.
        engine: See `Localizer.from_pretrained`.
        threads: See `Localizer.from_pretrained`.
        batch_size: See `Localizer`.
        drawing: A video to write (.mp4, .mov or .mkv), with the people drawn in and the sound of the original.
        limbs: Pairs of indices into the keypoints, drawn as lines, such as `Skeleton.limbs`.

    Returns:
        The number of frames and people, and sentences on what could not be read.

    Raises:
        PosetalkError: there is no video that can be read; the keypoints or the model are refused, see `Localizer`;
            `out` holds another run, or one of a video that was changed since; the drawing cannot be written.
    """
    check_source(None, whole_image, selection=(min_score, max_people, largest))
    points, out = parse_keypoints(keypoints), Path(out)
    source = Video(video, fps)
    drawing = None if drawing is None else Path(drawing)
    if drawing is not None:
        check_name(drawing)
        if same_file(drawing, Path(str(video))):
            raise PosetalkError(f"{drawing} is the video itself and would be lost; choose another place")
        if source.live:
            raise PosetalkError(
                f"{source.name} is live and does not come again to be drawn on; leave the drawing away"
            )
    if isinstance(model, Localizer):
        readout = None if model.readout == model.own_readout else model.readout
        decoding, flip_test = model.decoding, model.flip_test
    settings = VideoSettings(
        model=name_of(model, out),
        video=source.name if source.live else str(video),
        keypoints=tuple(f"{point.name}: {point.sentence}" for point in points),
        fps=fps,
        raw=raw,
        detector=None if whole_image else str(detector),
        min_score=min_score,
        max_people=max_people,
        largest=largest,
        readout=readout,
        decoding=decoding,
        flip_test=flip_test,
        dtype=dtype,
        engine=engine,
    )
    sigmas = " ".join(
        "none" if p.sigma is None else f"{p.sigma:g}" for p in points
    )  # the scores depend on them
    with settings.claim(out, also={"sigma of the keypoints": sigmas, **detector_content(settings.detector)}):
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
                detector=None if whole_image else load_detector(detector, 1, min_score, max_people, largest),
            )
        model.questions(points)
        found = _follow(model, source, points, settings, out)
        if drawing is not None:
            missing = write_video(drawing, source, _drawn(found.predictions), limbs)
            found = replace(found, notes=found.notes + missing)
    return found


def _follow(
    localizer: Localizer, video: Video, points: tuple[Keypoint, ...], settings: VideoSettings, out: Path
) -> LocatedVideo:
    """Write predictions.jsonl, from where an earlier run stopped."""
    path = out / "predictions.jsonl"
    notes: list[str] = []
    with PredictionLog(path) as log:
        if log.before and video.live:
            raise PosetalkError(
                f"{out} holds a run, and a live video does not come again; choose another folder"
            )
        following, first, done = Following(settings.raw), 0, frozenset[tuple[int, int]]()
        seen = {p.person_id for p in log.before}
        if log.before:
            # a killed run may have written a part of its last frame, which is located again
            first, done = max(p.image_id for p in log.before), log.done
            for time, people in _frames(p for p in log.before if p.image_id < first):
                following.again(time, tuple(p.person_id for p in people), _poses(people, raw=True))
        total = video.count()
        left = None if total is None else max(total - first, 0)
        found = follow_people(
            localizer, video, points, following, first=first, whole_image=not settings.detector
        )
        frames = first
        try:
            with closing(found):
                for frame in track(found, "following people", total=left):
                    frames = frame.index + 1
                    new = [p for p in _predictions(frame, video.name, settings) if p.key not in done]
                    log.add(new)
                    seen |= set(frame.ids)
        except KeyboardInterrupt:
            if not video.live:
                raise
    if video.damaged:
        some = ", ".join(f"{time:.2f}" for time in video.damaged[:5]) + " ..." * (len(video.damaged) > 5)
        notes.append(
            f"{len(video.damaged)} frames of {shown(video.name)} cannot be read, at {some} s; they are left out"
        )
    if video.left_out:
        notes.append(
            f"{video.left_out} frames of {shown(video.name)} came while others were located, and are left out"
        )
    return LocatedVideo(frames, len(seen), path, tuple(notes))


def _predictions(frame: TrackedFrame, name: str, settings: VideoSettings) -> list[Prediction]:
    image = PoseImage(frame.index, Path(name), None, None, (), name)
    scores = None if frame.poses.box_scores is None else frame.poses.box_scores.tolist()
    source = f"detector {settings.detector}" if settings.detector else "model"
    poses = replace(frame.poses, box_scores=None)
    rows = predictions_of(image, frame.ids, poses, source, scores)
    return [
        replace(row, time=frame.time, raw_xy=None if settings.raw else raw)
        for row, raw in zip(rows, frame.raw_xy, strict=True)
    ]


def _frames(predictions: Iterable[Prediction]) -> Iterator[tuple[float, list[Prediction]]]:
    """The predictions of each frame, and its time."""
    for _, group in groupby(predictions, key=lambda p: p.image_id):
        frame = list(group)
        yield frame[0].time or 0.0, frame


def _poses(frame: Sequence[Prediction], raw: bool = False) -> Poses:
    poses = Poses.concat([prediction.to_keypoints() for prediction in frame])
    if not raw or frame[0].raw_xy is None:
        return poses
    return replace(poses, xy=np.stack([p.raw_xy for p in frame if p.raw_xy is not None]))


def _drawn(path: Path) -> Iterator[tuple[int, tuple[int, ...], Poses]]:
    """The frames of predictions.jsonl, one at a time."""
    for index, group in groupby(each_prediction(path), key=lambda p: p.image_id):
        frame = list(group)
        yield index, tuple(p.person_id for p in frame), _poses(frame)
