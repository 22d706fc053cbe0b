"""People in a video: located, followed, smoothed, frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import rounded
from posetalk.locate.track.smoothing import Smoother
from posetalk.locate.track.tracker import Tracker
from posetalk.locate.track.video import Video, VideoFrame
from posetalk.skeleton import Keypoint
from posetalk.types import Floats, Poses


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The people in a frame of a video.

    Attributes:
        index: The number of the frame among those that could be read, from 0.
        time: Seconds from the beginning of the video.
        image: (h, w, 3) uint8 RGB, upright.
        poses: The people, in pixels of the frame; smoothed unless that is switched off.
        ids: The id of each person, from 1; the same person has the same id in every frame.
        raw_xy: (n, k, 2) the places before smoothing.
    """

    index: int
    time: float
    image: Pixels
    poses: Poses
    ids: tuple[int, ...]
    raw_xy: Floats


class Following:
    """What is known of the people of a video so far. `raw`: their places stay as they were located."""

    def __init__(self, raw: bool) -> None:
        self._tracker, self._smoother, self._raw = Tracker(), Smoother(), raw

    def next(self, frame: VideoFrame, poses: Poses) -> TrackedFrame:
        """The people of the next frame. Coordinates are rounded first, as they stand in files."""
        poses = rounded(poses)
        ids = self._tracker.update(poses, frame.time)
        kept = [index for index, person in enumerate(ids) if person is not None]
        known = tuple(person for person in ids if person is not None)
        poses = poses.some(kept)
        smooth = replace(poses, xy=self._smooth(poses, known, frame.time).round(2))
        return TrackedFrame(frame.index, frame.time, frame.image, smooth, known, poses.xy)

    def again(self, time: float, ids: tuple[int, ...], poses: Poses) -> None:
        """Take over the people of a frame of an earlier run, with the places before smoothing."""
        self._tracker.follow(poses, list(ids), time)
        self._smooth(poses, ids, time)

    def _smooth(self, poses: Poses, ids: tuple[int, ...], time: float) -> Floats:
        xy = poses.xy.copy()
        for index, person in enumerate(ids if not self._raw else ()):
            std = None if poses.std is None else poses.std[index]
            xy[index] = self._smoother(person, poses.xy[index], std, poses.boxes[index].area, time)
        return xy


def follow_people(
    localizer: Localizer,
    video: Video,
    points: tuple[Keypoint, ...],
    following: Following,
    *,
    first: int = 0,
    whole_image: bool = False,
) -> Generator[TrackedFrame, None, None]:
    """Locate and follow the people of a video, from the frame `first` on; see `Localizer.track`.

    Frames are read, and people found in them, while those of the frames before are located.
    """
    waiting: deque[VideoFrame] = deque()

    def images() -> Iterator[tuple[Pixels, None, bool]]:
        for frame in video:
            if frame.index >= first:
                waiting.append(frame)
                yield frame.image, None, True

    with closing(localizer.locate_groups(images(), points, whole_image=whole_image)) as answers:
        for poses in answers:
            frame = waiting.popleft()
            if isinstance(poses, PosetalkError):  # sides that no image may have
                raise poses
            yield following.next(frame, _without_meaningless_scores(poses, whole_image))


def _without_meaningless_scores(poses: Poses, whole_image: bool) -> Poses:
    """For a person who was looked for in the whole image the score does not tell whether there is one."""
    return replace(poses, box_scores=np.ones(len(poses))) if whole_image else poses
