"""One person's located keypoints as a figure of limbs and regions in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from posetalk.describe.parts import NamedPoint, Region, parts
from posetalk.facts.body import SHOULDERS, SIDES, Body
from posetalk.facts.head import facing_facts
from posetalk.types import Box, Floats, Person, Poses

Facing = Literal["front", "back", "left", "right"]
MIN_SCORE = 0.3  # of a keypoint that is used at all
TRUNK_OF_BOX = (
    0.29  # the trunk's length as a share of a standing person's height (Winter 2009, see facts/body.py)
)
HIPS = 0.72  # the width of the hips as a share of that of the shoulders; only for a hip that is not known
DEPTH = 0.25  # half the depth of the trunk, in trunk lengths


@dataclass(frozen=True, eq=False)
class Figure:
    """One person.

    index:   The person's row in the poses, or id in the labels.
    box:     The person's box, px of the full image.
    body:    The joints whose score is at least MIN_SCORE.
    located: The other keypoints that a model found, name -> (2,) px, as far as they are as sure.
    scores:  The score of every keypoint, by name.
    visible: Which keypoints the model considers visible, by name; empty where it does not say.
    """

    index: int
    box: Box
    body: Body
    located: Mapping[str, Floats]
    scores: Mapping[str, float]
    visible: Mapping[str, bool]

    @classmethod
    def of(cls, poses: Poses, index: int) -> Figure:
        """The person of a row of poses."""
        names = [name.replace("_", " ").lower() for name in poses.names]
        xy, score = poses.xy[index], poses.score[index]
        used = (score >= MIN_SCORE) & np.isfinite(xy).all(1)
        seen = np.ones(len(names), bool) if poses.visible is None else poses.visible[index]
        body = Body.from_keypoints(xy, np.where(used, np.where(seen, 2.0, 1.0), 0.0), names)
        known = {point.name for point in parts().points}
        return cls(
            index,
            poses.boxes[index],
            body,
            {name: xy[i] for i, name in enumerate(names) if used[i] and name in known},
            {name: float(value) for name, value in zip(names, score, strict=True)},
            {} if poses.visible is None else dict(zip(names, map(bool, seen), strict=True)),
        )

    @classmethod
    def of_person(cls, person: Person, names: Sequence[str]) -> Figure:
        """A labelled person, whose labels are sure. index: the person's id."""
        body = Body.from_keypoints(person.keypoints, person.visible, names)
        return cls(person.id, person.box, body, {}, dict.fromkeys(body.points, 1.0), {})

    @cached_property
    def size(self) -> float:
        """The trunk's length in px."""
        if self.body.size is not None:
            return self.body.size
        left, right = self.body["left shoulder"], self.body["right shoulder"]
        if left is not None and right is not None and (width := float(np.linalg.norm(left - right))) > 1:
            return width / SHOULDERS
        return max(TRUNK_OF_BOX * max(self.box.w, self.box.h), 1.0)

    @cached_property
    def facing(self) -> Facing | None:
        """Which side of the trunk the image shows, or where it faces in profile; None where that is not known."""
        facts = {fact.predicate: fact.value for fact in facing_facts(self.body)}
        front = facts["facing the camera"] or facts["facing roughly the camera"]
        back = facts["facing away"] or facts["facing roughly away"]
        sideways: dict[Facing, bool | None] = {
            "left": facts["facing left"],
            "right": facts["facing right"],
        }
        if front or back:
            return "front" if front else "back"
        return next((side for side, value in sideways.items() if value), None)

    @cached_property
    def trunk(self) -> TrunkFrame | None:
        """The frame of the trunk; None where the shoulders are not known."""
        left, right = (self.body[f"{side} shoulder"] for side in SIDES)
        if left is None or right is None:
            return None
        across = (left - right) / 2
        left_hip, right_hip = (self.body[f"{side} hip"] for side in SIDES)
        if left_hip is not None and right_hip is not None:
            of_hips, end = (left_hip - right_hip) / 2, (left_hip + right_hip) / 2
        elif left_hip is not None:
            of_hips, end = across * HIPS, left_hip - across * HIPS
        elif right_hip is not None:
            of_hips, end = across * HIPS, right_hip + across * HIPS
        elif (head := self.head_middle) is not None and (up := unit(head - (left + right) / 2)) is not None:
            of_hips, end = across * HIPS, (left + right) / 2 - up * self.size
        else:
            return None
        start = (left + right) / 2
        down = unit(end - start)
        return None if down is None else TrunkFrame(start, end, across, of_hips, down, self.size)

    @cached_property
    def head_middle(self) -> Floats | None:
        """The middle of the face and ears."""
        names = ("nose", "left eye", "right eye", "left ear", "right ear")
        found = [point for name in names if (point := self.body[name]) is not None]
        return np.mean(found, 0) if found else None

    @cached_property
    def head_up(self) -> Floats | None:
        """The direction from the neck to the head; upwards in the image where the shoulders are not known."""
        middle, shoulders = self.head_middle, self.body.middle("shoulder")
        if middle is None:
            return None
        up = None if shoulders is None else unit(middle - shoulders)
        return np.array([0.0, -1.0]) if up is None else up

    def place(self, point: NamedPoint) -> Floats | None:
        """Where a named point is: as a model located it, else by the joints; None where neither is known."""
        found = self.located.get(point.name)
        return self._by_joints(point) if found is None else found

    def _by_joints(self, point: NamedPoint) -> Floats | None:
        if point.at is None:
            return None
        across, along = point.at
        if point.region == "trunk":
            return None if self.trunk is None else self.trunk.at(across, along, point.seen, self.facing)
        if point.region in ("head", "neck"):
            return self._of_head(across, along)
        first, last = ("elbow", "wrist") if point.region == "hand" else ("knee", "ankle")
        start, end = self.body[f"{point.side} {first}"], self.body[f"{point.side} {last}"]
        if start is None or end is None or (onward := unit(end - start)) is None:
            return None
        return np.asarray(end + onward * along * self.size)

    def _of_head(self, across: float, up: float) -> Floats | None:
        eyes, axis = self.body.middle("eye"), self.head_up
        middle = eyes if eyes is not None else self.head_middle
        if axis is None or middle is None:
            return None
        left = np.array([-axis[1], axis[0]])  # of a face towards the camera
        left = -left if self.facing == "back" else left
        if (a := self.body["left ear"]) is not None and (b := self.body["right ear"]) is not None:
            left = (a - b) / (2 * 0.2 * self.size)  # ears are 0.2 trunk lengths from the middle
        return np.asarray(middle + (left * across + axis * up) * self.size)

    def points(self, region: Region) -> list[NamedPoint]:
        """The named points of a region that this side of the person shows."""
        return [point for point in parts().points if point.region == region and self._shows(point)]

    def _shows(self, point: NamedPoint) -> bool:
        facing = self.facing
        if point.seen == "":
            return True
        if point.seen == "unknown":
            return facing is None and not self.visible
        if facing is None:
            return self.visible.get(point.name, False)
        if point.seen == "side":
            return facing in ("front", "back", point.side)
        return facing in (point.seen, "left", "right")


@dataclass(frozen=True, eq=False)
class TrunkFrame:
    """The trunk between the middles of shoulders and hips, px of the image.

    start, end:      The middles of the shoulders and of the hips.
    across, of_hips: From there to the left shoulder and to the left hip.
    down:            The direction from start to end.
    size:            The trunk's full length.
    """

    start: Floats
    end: Floats
    across: Floats
    of_hips: Floats
    down: Floats
    size: float

    def at(self, across: float, along: float, seen: str, facing: Facing | None) -> Floats:
        """The place of a point; in profile the front and the back lie before and behind the line of the trunk."""
        middle = self.start + (self.end - self.start) * along
        if facing in ("left", "right"):
            ahead = np.array([self.down[1], -self.down[0]]) * (-1 if facing == "left" else 1)
            depth = {"front": DEPTH, "back": -DEPTH}.get(seen, 0.0)
            return np.asarray(middle + ahead * depth * self.size)
        share = float(np.clip(along, 0, 1))
        return np.asarray(middle + (self.across * (1 - share) + self.of_hips * share) * across)

    def outside(self, xy: Floats) -> float:
        """How far a place is outside the trunk, px; 0 inside."""
        offset = xy - self.start
        length = float(np.linalg.norm(self.end - self.start))
        along = float(offset @ self.down)
        share = float(np.clip(along / length, 0, 1)) if length else 0.0
        sideways = np.array([-self.down[1], self.down[0]])
        half = abs(float((self.across * (1 - share) + self.of_hips * share) @ sideways))
        beside = abs(float(offset @ sideways)) - max(half, DEPTH * 0.8 * self.size)
        beyond = max(-along - 0.08 * self.size, along - length - 0.15 * self.size)
        return float(np.hypot(max(beside, 0.0), max(beyond, 0.0)))


def unit(vector: Floats) -> Floats | None:
    """The vector of length 1 in the same direction; None of one without length."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else None
