"""The parts of a body that places are named after (parts.toml), and the keypoints that show where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from posetalk.resources import resource_toml
from posetalk.skeleton import Keypoint, load_skeleton, swap_sides

Region = Literal["head", "neck", "trunk", "hand", "foot"]
Seen = Literal["front", "back", "side", "unknown", ""]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment between two joints.

    name:   `forearm`.
    ends:   The joints, the one nearer to the trunk first.
    radius: Half its width, in trunk lengths.
    front, back: What it is called where it is seen from the front or from behind.
    """

    name: str
    ends: tuple[str, str]
    radius: float
    front: str
    back: str

    @property
    def is_arm(self) -> bool:
        """Whether it belongs to an arm."""
        return self.ends[1] in ("elbow", "wrist")


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A named place of a region of the body.

    name:   As a model is asked for it: `tip of the left middle finger`.
    said:   As it is called: `fingers of the left hand`.
    region: The region.
    at:     Its place in the frame of the region, see parts.toml; None for a place that only a model finds.
    seen:   From where it is seen; empty where that does not matter, `unknown` where nothing else can be said.
    where:  What follows its name in a sentence.
    """

    name: str
    said: str
    region: Region
    at: tuple[float, float] | None
    seen: Seen
    where: str

    @property
    def side(self) -> str:
        """`left`, `right`, or nothing for the middle of the body."""
        return next((side for side in ("left", "right") if side in self.said.split()), "")

    def mirrored(self) -> NamedPoint:
        """The point of the other side of the body."""
        at = None if self.at is None else (-self.at[0], self.at[1])
        return replace(
            self,
            name=swap_sides(self.name),
            said=swap_sides(self.said),
            at=at,
            where=swap_sides(self.where),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts. joints: joint without side -> what follows its name in a sentence, with {side}."""

    limbs: tuple[Segment, ...]
    joints: dict[str, str]
    points: tuple[NamedPoint, ...]


@cache
def parts() -> Parts:
    """The parts of parts.toml, the right ones behind their left ones."""
    file = resource_toml("describe/parts.toml")
    limbs = tuple(
        Segment(
            row["name"],
            tuple(row["ends"]),
            row["radius"],
            row.get("front", row["name"]),
            row.get("back", row["name"]),
        )
        for row in file["limb"]
    )
    points: list[NamedPoint] = []
    for row in file["point"]:
        said = row.get("said", row["name"])
        at = tuple(row["at"]) if "at" in row else None
        where = row["where"].format(side="left")
        point = NamedPoint(row["name"], said, row["region"], at, row.get("seen", ""), where)
        points += [point, point.mirrored()] if point.side else [point]
    return Parts(limbs, file["joint"], tuple(points))


@cache
def body_points() -> tuple[Keypoint, ...]:
    """The keypoints to locate for `describe_point`: COCO's 17, and the named points of a body.

    Returns:
        The keypoints, in order; give them to `Localizer.locate`.
    """
    joints = load_skeleton("coco17").keypoints
    return (*joints, *(Keypoint(point.name) for point in parts().points))
