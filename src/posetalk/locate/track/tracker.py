"""Which person of a frame is which of the frames before.

People are matched in two rounds, the sure ones first, as in ByteTrack (arXiv 2110.06864), by where they are expected to
be: their boxes' overlap, and how alike their poses are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats, Poses

# The numbers were chosen on people of COCO train2017 moved over a background, see benchmarks/video.py.
SURE = 0.4  # people with a lower box score only go on being somebody
LEAST = 0.15  # of overlap and likeness, on average, for two to be one person
LEAST_UNSURE = 0.4  # the same for an unsure one, who may be a part of somebody
REACH = 0.2  # how far a keypoint is off and half alike, in square roots of the box's area
DRIFT = 0.5  # how much more for each second out of sight
PATIENCE = 1.0  # seconds that somebody may be out of sight
STEADY = 0.8  # seconds: how long a speed counts. Who is partly hidden seems to change it


@dataclass(slots=True)
class _Track:
    box: Floats  # left, top, right, bottom px
    xy: Floats
    score: Floats
    time: float
    velocity: Floats  # px a second

    def moved(self, time: float) -> Floats:
        """How far it is expected to have moved."""
        return np.asarray(self.velocity * (time - self.time))


class Tracker:
    """Gives people ids, from 1, which stay from frame to frame.

    Its state hangs on the people with ids alone, so that it can be made again from them (`follow`).
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._next = 1

    def update(self, poses: Poses, time: float) -> list[int | None]:
        """The id of each person of a frame, None for an unsure one that is like nobody before.

        poses: with `box_scores`, or all are sure; time: seconds, later than before.
        """
        self._tracks = {i: track for i, track in self._tracks.items() if time - track.time <= PATIENCE}
        scores = np.ones(len(poses)) if poses.box_scores is None else poses.box_scores
        ids: list[int | None] = [None] * len(poses)
        for chosen, least in ((scores >= SURE, LEAST), (scores < SURE, LEAST_UNSURE)):
            group = np.flatnonzero(chosen)
            free = [i for i in self._tracks if i not in ids]
            for row, column in self._pairs(poses, group, free, time, least):
                ids[group[row]] = free[column]
        for person in np.flatnonzero(scores >= SURE):
            if ids[person] is None:
                ids[person] = self._next
                self._next += 1
        self.follow(poses, ids, time)
        return ids

    def follow(self, poses: Poses, ids: list[int | None], time: float) -> None:
        """Take over people whose ids are known."""
        for index, i in enumerate(ids):
            if i is None:
                continue
            self._next = max(self._next, i + 1)
            box, before = np.array(poses.boxes[index].xyxy), self._tracks.get(i)
            velocity = np.zeros(2)
            if before is not None and time - before.time <= PATIENCE:
                step = max(time - before.time, 1e-3)
                now = (_middle(box) - _middle(before.box)) / step
                share = np.exp(-step / STEADY) if before.velocity.any() else 0.0
                velocity = share * before.velocity + (1 - share) * now
            self._tracks[i] = _Track(box, poses.xy[index], poses.score[index], time, velocity)

    def _pairs(
        self, poses: Poses, group: npt.NDArray[np.intp], free: list[int], time: float, least: float
    ) -> list[tuple[int, int]]:
        from scipy.optimize import linear_sum_assignment  # loads slowly

        if not len(group) or not free:
            return []
        likeness = np.zeros((len(group), len(free)))
        for column, i in enumerate(free):
            track = self._tracks[i]
            shift = track.moved(time)
            expected = track.box + np.tile(shift, 2)
            for row, person in enumerate(group):
                box = poses.boxes[person]
                overlap = _overlap(expected, np.array(box.xyxy))
                apart = ((poses.xy[person] - track.xy - shift) ** 2).sum(-1)
                reach = REACH + DRIFT * (time - track.time)
                alike = np.exp2(-apart / (reach**2 * (box.area + _area(expected)) / 2))
                weights = poses.score[person] * track.score + 1e-9
                likeness[row, column] = (overlap + (alike * weights).sum() / weights.sum()) / 2
        rows, columns = linear_sum_assignment(-likeness)
        return [
            (r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if likeness[r, c] >= least
        ]


def _middle(box: Floats) -> Floats:
    return np.asarray((box[:2] + box[2:]) / 2)


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _overlap(a: Floats, b: Floats) -> float:
    """IoU of two boxes, left, top, right, bottom."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    shared = float(sides.prod())
    return shared / (_area(a) + _area(b) - shared)
