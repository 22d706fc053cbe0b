"""Keypoints with their descriptions, and named sets of them (skeletons/*.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.resources import resource_text
from posetalk.types import NoSuchKeypoint

BODIES = ("coco17", "mpii16", "lsp14", "h36m17", "humanart21")  # whose names a typed one is compared with
BUILT_IN = (
    *BODIES,
    *("wholebody133", "halpe26", "body25", "crowdpose14", "aic14", "ochuman19", "posetrack17", "mediapipe33"),
)
DEFAULT_SIGMA = 0.079  # of keypoints without a measured sigma: COCO's shoulder

_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}


def swap_sides(text: str) -> str:
    """`text` with the words left and right exchanged, as for a mirrored image."""
    return re.sub(r"\b(left|right|Left|Right)\b", lambda m: _SIDES[m.group()], text)


@dataclass(frozen=True, slots=True)
class Keypoint:
    """A keypoint: a name and a description, both of which go into the prompt.

    Args:
        name: One line, such as `left heel`.
        sentence: Where it is, one line; may be empty.
        sigma: The OKS constant of the keypoint (COCO keypoint evaluation); larger is more tolerant. None: nobody has
            measured it. OKS then takes DEFAULT_SIGMA, and scores do not get stricter in narrow boxes.
        mirror: The name of the keypoint on the other side; by default the name with left and right exchanged.
        place: Its average position (x, y) in 0..1 of the person's box, the baseline of evaluation reports.
        synonyms: Other names of it, for training: each question draws one of all its names.
        paraphrases: Other descriptions of it, likewise.

    Raises:
        PosetalkError: An empty name or synonym, a line break, text that is not UTF-8, a sigma or place out of range.
    """

    name: str
    sentence: str = ""
    sigma: float | None = None
    mirror: str = ""
    place: tuple[float, float] | None = None
    synonyms: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise PosetalkError("a keypoint needs a name, such as 'left heel'")
        texts = (self.name, self.sentence, *self.synonyms, *self.paraphrases)
        if any("\n" in text for text in texts):
            raise PosetalkError(
                f"the keypoint {self.name!r} has a line break; name and sentence are one line each"
            )
        if not all(text.strip() for text in (*self.synonyms, *self.paraphrases)):
            raise PosetalkError(
                f"the keypoint {self.name!r} has an empty synonym or paraphrase; leave it out"
            )
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            raise PosetalkError(
                f"the keypoint {self.name!r} has bytes in its name or sentence that are no text; write it in UTF-8"
            ) from None
        if self.sigma is not None and not 0 < self.sigma < 10:
            raise PosetalkError(
                f"the keypoint {self.name!r} has sigma {self.sigma}; give a number between 0 and 10"
            )
        if self.place is not None and not (len(self.place) == 2 and all(0 <= v <= 1 for v in self.place)):
            raise PosetalkError(
                f"the keypoint {self.name!r} has place {self.place}; give x and y in 0..1 of the person's box"
            )
        if not self.mirror:
            object.__setattr__(self, "mirror", swap_sides(self.name))

    @classmethod
    def parse(cls, text: str) -> Keypoint:
        """The keypoint of `"left heel: the back of the left foot"`, or of just a name."""
        name, _, sentence = text.partition(":")
        return cls(name.strip(), sentence.strip())

    def mirrored(self) -> Keypoint:
        """The keypoint with left and right exchanged, as in a mirrored image."""
        return replace(
            self,
            name=self.mirror,
            sentence=swap_sides(self.sentence),
            mirror=self.name,
            synonyms=tuple(map(swap_sides, self.synonyms)),
            paraphrases=tuple(map(swap_sides, self.paraphrases)),
        )


def sigmas_of(keypoints: Iterable[Keypoint]) -> tuple[float, ...]:
    """The OKS constants of keypoints, in order: DEFAULT_SIGMA for those that nobody has measured."""
    return tuple(DEFAULT_SIGMA if p.sigma is None else p.sigma for p in keypoints)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """An ordered set of keypoints and the limbs between them.

    Args:
        name: What the skeleton is called.
        keypoints: In the order of all arrays.
        limbs: Pairs of indices into the keypoints.

    Raises:
        PosetalkError: No keypoints, a name twice, mirrors that do not agree, a limb that joins no two keypoints.
    """

    name: str
    keypoints: tuple[Keypoint, ...]
    limbs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        names = self.names
        if not names:
            raise PosetalkError(f"the skeleton {self.name!r} has no keypoints")
        duplicates = sorted({n for n in names if names.count(n) > 1})
        if duplicates:
            raise PosetalkError(f"the skeleton {self.name!r} names {duplicates[0]!r} twice")
        for point in self.keypoints:
            if point.mirror not in names:
                raise PosetalkError(
                    f"the skeleton {self.name!r} mirrors {point.name!r} to {point.mirror!r}, "
                    "which it does not have"
                )
            if self[point.mirror].mirror != point.name:
                raise PosetalkError(f"the skeleton {self.name!r}: {point.name!r} and its mirror do not agree")
        for a, b in self.limbs:
            if not (0 <= a < len(names) and 0 <= b < len(names) and a != b):
                raise PosetalkError(
                    f"the skeleton {self.name!r} has a limb {(a, b)} that joins no two keypoints"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keypoints, in order."""
        return tuple(p.name for p in self.keypoints)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The OKS constants of the keypoints, in order."""
        return sigmas_of(self.keypoints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """For each keypoint the index of the one on the other side."""
        return tuple(self.names.index(p.mirror) for p in self.keypoints)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, name: str) -> Keypoint:
        """The keypoint of that name. Raises NoSuchKeypoint."""
        for point in self.keypoints:
            if point.name == name:
                return point
        raise NoSuchKeypoint.among(self.names, name, f"in the skeleton {self.name!r}")

    @classmethod
    def from_toml(cls, path: str | Path) -> Skeleton:
        """Read a skeleton file.

        Raises:
            PosetalkError: A file that cannot be read or is not TOML, missing or unknown keys, names that do not match.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PosetalkError(f"cannot read the skeleton {path}: {error}") from None
        return _parse(text, str(path), path.stem)


def _parse(text: str, where: str, default_name: str) -> Skeleton:
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also of numbers of thousands of digits
        raise PosetalkError(f"{where} is not valid TOML: {error}") from None
    _refuse_unknown_keys(data, {"name", "keypoint", "limbs", "source"}, where)
    rows = data.get("keypoint", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise PosetalkError(f"{where} has no keypoints; write one [[keypoint]] table for each")
    points = [_keypoint(row, f"{where}, keypoint {number}") for number, row in enumerate(rows, 1)]
    names = [p.name for p in points]
    pairs = data.get("limbs", [])
    if not isinstance(pairs, list):
        raise PosetalkError(f"{where}: limbs is not a list of pairs of keypoint names")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(n in names for n in pair)):
            raise PosetalkError(f"{where}: the limb {pair} is not a pair of its keypoint names")
    limbs = tuple((names.index(a), names.index(b)) for a, b in pairs)
    return Skeleton(_text(data, "name", default_name, where), tuple(points), limbs)


def _keypoint(row: dict[str, Any], where: str) -> Keypoint:
    _refuse_unknown_keys(row, {f.name for f in fields(Keypoint)}, where)
    if "name" not in row:
        raise PosetalkError(f"{where} has no name")
    sigma, place = row.get("sigma"), row.get("place")
    if "sigma" in row and not _is_number(sigma):
        raise PosetalkError(f"{where}: its sigma {sigma!r} is not a number")
    if place is not None and not (isinstance(place, list) and all(_is_number(v) for v in place)):
        raise PosetalkError(
            f"{where}: its place {place!r} is not a pair of numbers, x and y in 0..1 of the box"
        )
    name, sentence, mirror = (_text(row, key, "", where) for key in ("name", "sentence", "mirror"))
    pair: Any = None if place is None else tuple(float(v) for v in place)
    synonyms, paraphrases = (_texts(row, key, where) for key in ("synonyms", "paraphrases"))
    try:
        return Keypoint(
            name, sentence, None if sigma is None else float(sigma), mirror, pair, synonyms, paraphrases
        )
    except PosetalkError as error:
        raise PosetalkError(f"{where}: {error}") from None


def _text(table: dict[str, Any], key: str, default: str, where: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise PosetalkError(f"{where}: its {key} {value!r} is not text; put it in quotes")
    return value


def _texts(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise PosetalkError(f"{where}: its {key} {values!r} are not a list of texts")
    return tuple(values)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    )  # an int may be larger than any float


def _refuse_unknown_keys(table: dict[str, Any], keys: set[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise PosetalkError(f"{where} has the unknown key {key!r}; known are: {', '.join(sorted(keys))}")


def load_skeleton(name: str | Path) -> Skeleton:
    """A built-in skeleton or one from a file.

    Args:
        name: One of `BUILT_IN`, such as `coco17`, or the path of a TOML file.

    Returns:
        The skeleton: its keypoints in order, and its limbs.

    Raises:
        PosetalkError: Neither of these, or a file that is no skeleton; see `Skeleton.from_toml`.
    """
    name = str(name)
    if name in BUILT_IN:
        return _load_built_in(name)
    if not name.endswith(".toml"):
        raise PosetalkError(f"no skeleton {name!r}: built in are {', '.join(BUILT_IN)}; or give a .toml file")
    return Skeleton.from_toml(name)


@cache
def _load_built_in(name: str) -> Skeleton:
    path = f"skeletons/{name}.toml"
    return _parse(resource_text(path), path, name)


KeypointQuery = Skeleton | str | Path | Keypoint | Iterable[Keypoint | str]


def parse_keypoints(keypoints: KeypointQuery) -> tuple[Keypoint, ...]:
    """The keypoints that a caller asks for.

    Args:
        keypoints: A skeleton, a built-in skeleton's name or the path of a TOML file; one keypoint, as `Keypoint` or
            "name: description"; or a list of keypoints.

    Returns:
        The keypoints, in order.

    Raises:
        PosetalkError: An empty list, a string that is nearly a built-in skeleton's name, a skeleton inside a list,
            another type.
    """
    if isinstance(keypoints, str | Path):
        text = str(keypoints)
        if text in BUILT_IN or text.endswith(".toml") or isinstance(keypoints, Path):
            return load_skeleton(text).keypoints
        _refuse_misspelt_skeleton(text)
        return (Keypoint.parse(text),)
    if isinstance(keypoints, Skeleton):
        return keypoints.keypoints
    if isinstance(keypoints, Keypoint):
        return (keypoints,)
    if not isinstance(keypoints, Iterable):
        raise PosetalkError(f"keypoints are a skeleton or a list of 'name: description', not {keypoints!r}")
    points = tuple(map(_as_keypoint, keypoints))
    if not points:
        raise PosetalkError("no keypoints to look for; give a skeleton's name or 'name: description'")
    return points


def _as_keypoint(value: object) -> Keypoint:
    if isinstance(value, Keypoint):
        return value
    if not isinstance(value, str):
        raise PosetalkError(f"a keypoint is a Keypoint or a string 'name: description', not {value!r}")
    if value in BUILT_IN or value.endswith(".toml"):
        raise PosetalkError(f"{value!r} is a skeleton among single keypoints; ask for it alone")
    return Keypoint.parse(value)


def _refuse_misspelt_skeleton(text: str) -> None:
    """Refuse coco-17, COCO 17, coco, coco18: misspelt skeletons rather than keypoints."""
    letters = re.sub(r"[^a-z0-9]", "", text.lower())
    candidates = [name for name in BUILT_IN if len(letters) > 2 and name.startswith(letters)]
    if candidates := candidates or get_close_matches(letters, BUILT_IN, cutoff=0.8):
        raise PosetalkError(
            f"no skeleton {text!r}; did you mean {' or '.join(candidates)}? a keypoint is asked for "
            "as 'name: description'"
        )
