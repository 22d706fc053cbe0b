"""The named points of a body, with everything that they are called (points.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from posetalk.errors import PosetalkError
from posetalk.skeleton import Keypoint, Skeleton

FILE = Path(__file__).with_name("points.toml")
SIDED = re.compile(r"\bleft\b")


@dataclass(frozen=True, slots=True)
class AtlasPoint:
    """A point of the body: what it is called, and where it lies (`at`, in the language of points.toml)."""

    keypoint: Keypoint
    at: str

    def mirrored(self) -> AtlasPoint:
        """The point of the other side. `at` says so with a last word `mirrored`."""
        return AtlasPoint(self.keypoint.mirrored(), f"{self.at} mirrored")

    @property
    def inside(self) -> bool:
        """Whether it lies inside the body: a joint, or the middle of a limb."""
        return self.at.startswith(("keypoint", "inside"))


def read_points(without: Sequence[str] = (), file: Path = FILE) -> tuple[AtlasPoint, ...]:
    """All points, the right ones behind their left ones.

    Args:
        without: Words that no text may hold, such as `knee`: a point whose name holds a word that begins so is left
            out, and so is every other text.
        file: The TOML file.

    Raises:
        PosetalkError: A file that is not of this form.
    """
    points = []
    for row in tomllib.loads(file.read_text(encoding="utf-8"))["point"]:
        if set(row) != {"name", "sentence", "at", "synonyms", "paraphrases"}:
            raise PosetalkError(f"{file}: {row.get('name')!r} has other keys than a point of the atlas")
        if holds(row["name"], without):
            continue
        kept = {
            key: tuple(text for text in row[key] if not holds(text, without))
            for key in ("synonyms", "paraphrases")
        }
        sentence = "" if holds(row["sentence"], without) else row["sentence"]
        if not sentence and kept["paraphrases"]:
            sentence, *others = kept["paraphrases"]
            kept["paraphrases"] = tuple(others)
        point = AtlasPoint(Keypoint(row["name"], sentence, **kept), row["at"])
        points.append(point)
        if SIDED.search(point.keypoint.name):
            points.append(point.mirrored())
    return tuple(points)


def holds(text: str, without: Sequence[str]) -> bool:
    """Whether a word of the text begins with one of `without`, in capitals or not."""
    return any(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) for word in without)


def skeleton_of(points: Sequence[AtlasPoint]) -> Skeleton:
    """The points as a skeleton without limbs."""
    return Skeleton("atlas", tuple(point.keypoint for point in points))


def write_skeleton(skeleton: Skeleton, file: Path) -> None:
    """Write a skeleton of keypoints with their other names and descriptions as a TOML file."""
    rows = [
        {
            "name": k.name,
            "sentence": k.sentence,
            **({} if k.sigma is None else {"sigma": k.sigma}),
            "mirror": k.mirror,
            "synonyms": list(k.synonyms),
            "paraphrases": list(k.paraphrases),
        }
        for k in skeleton.keypoints
    ]
    source = "Rendered people of anny (Apache-2.0, bodies CC0). Names and descriptions: posetalk's own."
    data = {"name": skeleton.name, "source": source, "limbs": [], "keypoint": rows}
    file.write_text(tomli_w.dumps(data), encoding="utf-8")
