"""Labelled points with names of their own: described points, and COCO-WholeBody's feet, hands and faces."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.skeleton import Keypoint, swap_sides
from posetalk.types import Box

HERE = Path(__file__).parent
NAMES = "names"  # the wording that is the bare name of the point
OWN = "own"  # the wording of the labels


@dataclass(frozen=True, slots=True)
class DescribedPerson:
    """A person in a photo and the labelled points by name: x, y in px of the full image, origin top left."""

    image: Path
    box: Box
    points: Mapping[str, tuple[float, float]]


def part_of(name: str) -> str:
    """The point without its side: `heel` of `left heel`."""
    return name.removeprefix("left ").removeprefix("right ")


def side_of(name: str) -> str:
    """`left`, `right`, or nothing for the middle of the body."""
    first = name.split(" ")[0]
    return first if first in ("left", "right") else ""


def read_described(path: Path, images: Path) -> list[DescribedPerson]:
    """Points that were labelled by eye: `people` with `image`, `bbox` and `points` of `name`, `x`, `y`.

    Raises:
        PosetalkError: a file in another form.
    """
    try:
        return [
            DescribedPerson(
                image=images / person["image"],
                box=Box(*person["bbox"]),
                points={q["name"]: (float(q["x"]), float(q["y"])) for q in person["points"]},
            )
            for person in json.loads(path.read_text(encoding="utf-8"))["people"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PosetalkError(f"cannot read described points from {path}: {error!r}") from None


def read_wholebody(path: Path, images: Path, indices: Mapping[str, list[Any]]) -> list[DescribedPerson]:
    """COCO-WholeBody's labels of the points in `indices`: name -> field of the annotation and indices there.

    Only parts that the labels call valid, and points all of whose flags are above 0.

    Raises:
        PosetalkError: a file in another form.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = {image["id"]: image["file_name"] for image in data["images"]}
        people = []
        for person in data["annotations"]:
            points = {}
            for name, (field, *numbers) in indices.items():
                rows = [person[field][3 * number : 3 * number + 3] for number in numbers]
                if person[f"{field.removesuffix('_kpts')}_valid"] and all(v > 0 for _, _, v in rows):
                    x, y = (sum(row[axis] for row in rows) / len(rows) for axis in (0, 1))
                    points[name] = (x, y)
            if points:
                people.append(
                    DescribedPerson(images / files[person["image_id"]], Box(*person["bbox"]), points)
                )
        return people
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PosetalkError(f"cannot read COCO-WholeBody's labels from {path}: {error!r}") from None


def read_wordings(path: Path, own: Path | None = None) -> dict[str, dict[str, str]]:
    """Ways of asking by name: point without side -> "name: description" with {side}.

    Args:
        path: TOML, a table for each way.
        own: A Python file that says in a dictionary SENTENCES how the labels' own author describes each point, with {}
            for the side. It is read, not run.

    Raises:
        PosetalkError: a file in another form, or a point that one way has and another has not.
    """
    try:
        wordings: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PosetalkError(f"cannot read the wordings in {path}: {error}") from None
    parts = set().union(*wordings.values())
    for way, texts in wordings.items():
        if lacking := sorted(parts - set(texts)):
            raise PosetalkError(f"{path}: [{way}] does not word {', '.join(lacking)}")
    found = {} if own is None else {OWN: _own_wording(own)}
    return {**found, **wordings, NAMES: {part: f"{{side}} {part}" for part in parts}}


def _own_wording(path: Path) -> dict[str, str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise PosetalkError(f"cannot read the labels' own wording from {path}: {error}") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SENTENCES"]:
            sentences = ast.literal_eval(node.value)
            return {
                part: f"{{side}} {part}: {text.replace('{}', '{side}')}" for part, text in sentences.items()
            }
    raise PosetalkError(f"{path} has no dictionary SENTENCES")


def keypoint(text: str, name: str) -> Keypoint:
    """The keypoint that `text` asks for, with the side of the labelled point `name`."""
    worded = text.replace("{side}", side_of(name)).strip()
    return Keypoint.parse(" ".join(worded.split()))


def arithmetic(
    weights: Mapping[str, float], name: str, joints: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:
    """The point `name` as a weighted sum of joints, whose names may have {side} and {other side} in them.

    Raises:
        PosetalkError: weights that do not sum to 1, or a joint that there is not.
    """
    if abs(sum(weights.values()) - 1) > 1e-9:
        raise PosetalkError(f"the weights of {name!r} sum to {sum(weights.values())}, not 1")
    side = side_of(name)
    x = y = 0.0
    for joint, weight in weights.items():
        full = joint.replace("{side}", side).replace("{other side}", swap_sides(side))
        if full not in joints:
            raise PosetalkError(f"the arithmetic of {name!r} uses {full!r}, which is no joint of coco17")
        x, y = x + weight * joints[full][0], y + weight * joints[full][1]
    return x, y
