"""Places read out of a model's reply, in whatever syntax it writes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from posetalk.pointer.form import Place, PointForm

Outcome = Literal[
    "found",  # there is a place
    "left out",  # the reply has places, but none for this name
    "off scale",  # outside of the picture that was shown
    "refused",  # the reply says that it does not or cannot tell: in words, by null or by an empty list
    "unreadable",  # the reply has no place and is no refusal
    "not answered",  # there is no reply
]

_LONGEST = 20_000  # characters that are read of a reply
_TRIES = 200  # brackets that are tried as the beginning of JSON
_DEEPEST = 8  # levels of JSON that are looked into
_NUMBER = r"[-+]?\d{1,9}(?:\.\d{0,15})?"
_TAG = re.compile(r"<points?\b([^<>]{1,4000})>([^<>]{0,300})", re.I)
_ATTRIBUTE = re.compile(
    r"\b([xy])(\d{0,3})\s{0,3}=\s{0,3}[\"']\s{0,3}(" + _NUMBER + r")\s{0,3}%?\s{0,3}[\"']", re.I
)
_ALT = re.compile(r"\balt\s{0,3}=\s{0,3}(?:\"([^\"]{0,300})\"|'([^']{0,300})')", re.I)
_COORDS = re.compile(r"\bcoords\s{0,3}=\s{0,3}[\"']([\d\s:;,.]{0,2000})[\"']", re.I)
_LOCS = re.compile(r"(?:<loc_\d{1,6}>){2,}", re.I)
_LOC = re.compile(r"<loc_(\d{1,6})>", re.I)
_PAIR = re.compile(rf"[(\[]\s{{0,9}}({_NUMBER})\s{{0,9}},\s{{0,9}}({_NUMBER})\s{{0,9}}[)\]]")
_BRACKET = re.compile(r"[\[{]")
_WORDS = re.compile(r"[^\W_]+")
_LABELS = ("label", "name", "text", "alt", "place", "keypoint", "part", "object")
_COORDINATES = {"point_2d", "point", "points", "coordinates", "coordinate", "coords", "xy", "location", "position",
                "bbox_2d", "box_2d", "bbox", "box"}  # fmt: skip
_DENIAL = re.compile(
    r"\b(?:sorry|cannot|unable|refuse|declin\w+|inappropriate|no such|no visible|none|there (?:is|are) no|"
    r"(?:ca|wo|do|does|is|are)n['’]t|"
    r"not (?:able|visible|shown|present|possible|appropriate|in the (?:image|picture|photo)))\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class AnsweredPlace:
    """What a reply says of one place that was asked for. place: where, only for `found`."""

    outcome: Outcome
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class _FoundNumbers:
    """Two numbers of a reply, None for an explicit null. ordered: x is known to come first."""

    label: str
    numbers: tuple[float, float] | None
    ordered: bool = False


def read_places(
    reply: str | None, form: PointForm, names: Sequence[str], size: tuple[int, int]
) -> list[AnsweredPlace]:
    """What a reply says of each of the places that were asked for.

    Every syntax is read in every form, as models mix them; the form decides on scale and order. Places belong to names
    by their labels. Without labels that fit, they are in the order of the question if they are as many. Of several
    places for one name the first counts.

    Args:
        reply: The model's text, None if there is none.
        form: The form that it was asked in.
        names: What was asked for.
        size: Width and height of the picture that was shown, px.

    Returns:
        One for each name, in their order.
    """
    if reply is None:
        return [AnsweredPlace("not answered")] * len(names)
    text = reply[:_LONGEST]
    found = next((some for read in (_tags, _locs, _json) if (some := list(read(text)))), [])
    found = found or list(_pairs(text, names))
    if not any(one.numbers for one in found):
        refused = (
            found
            or _DENIAL.search(text)
            or re.fullmatch(r"[\s`]*(?:json)?\s*(?:\[\s*\]|\{\s*\}|null)[\s`]*", text)
        )
        return [AnsweredPlace("refused" if refused else "unreadable")] * len(names)
    by_name = _by_name(found, names)
    return [_answered(by_name.get(name), form, size) for name in names]


def _answered(found: _FoundNumbers | None, form: PointForm, size: tuple[int, int]) -> AnsweredPlace:
    if found is None:
        return AnsweredPlace("left out")
    if found.numbers is None:
        return AnsweredPlace("refused")
    x, y = form.place(found.numbers, size, found.ordered)
    if not (0 <= x <= 1 and 0 <= y <= 1):
        return AnsweredPlace("off scale")
    return AnsweredPlace("found", (x, y))


def _by_name(found: Sequence[_FoundNumbers], names: Sequence[str]) -> dict[str, _FoundNumbers]:
    by_name: dict[str, _FoundNumbers] = {}
    rest = []
    for one in found:
        name = _name_in(one.label, names)
        if name is None:
            rest.append(one)
        else:
            by_name.setdefault(name, one)
    if not by_name and (len(names) == 1 or len(rest) == len(names)):
        return dict(zip(names, rest, strict=False))
    return by_name


def _name_in(label: str, names: Sequence[str]) -> str | None:
    """The longest of the names whose words stand in a label, one after the other."""
    words = f" {_plain(label)} "
    fitting = [name for name in names if (plain := _plain(name)) and f" {plain} " in words]
    return max(fitting, key=len, default=None)


def _plain(text: str) -> str:
    return " ".join(_WORDS.findall(text.casefold()))


def _tags(text: str) -> Iterator[_FoundNumbers]:
    """Molmo's <point x= y= alt=> and <points x1= y1= x2= y2=>, and Molmo2's <points coords="1 1 452 321">."""
    for tag in _TAG.finditer(text):
        attributes, inside = tag.groups()
        alt = _ALT.search(attributes)
        label = (alt[1] or alt[2] or "" if alt else "") or inside
        if coords := _COORDS.search(attributes):
            for group in re.split(r"[;\t:,]", coords[1]):
                values = [value for text in group.split() if (value := _number(text)) is not None]
                # the picture's number, then number, x, y of each place
                for start in range(len(values) % 3 == 1, len(values) - 2, 3):
                    yield _FoundNumbers(label, (values[start + 1], values[start + 2]), ordered=True)
            continue
        numbers: dict[str, dict[str, float]] = {}
        for axis, number_text, value_text in _ATTRIBUTE.findall(attributes):
            numbers.setdefault(number_text, {}).setdefault(axis.lower(), float(value_text))
        for pair in numbers.values():
            if len(pair) == 2:
                yield _FoundNumbers(label, (pair["x"], pair["y"]), ordered=True)


def _locs(text: str) -> Iterator[_FoundNumbers]:
    """Florence-2's label<loc_1><loc_2><loc_3><loc_4>: the middle of the box. A step means its middle."""
    end = 0
    for group in _LOCS.finditer(text):
        label, end = text[end : group.start()], group.end()
        values = [float(step) + 0.5 for step in _LOC.findall(group[0])]
        for start in range(0, len(values) - 1, 4):
            box = values[start : start + 4]
            numbers = (box[0], box[1]) if len(box) < 4 else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            yield _FoundNumbers(label, numbers, ordered=True)


def _json(text: str) -> Iterator[_FoundNumbers]:
    """Every piece of JSON in the text, in fences, among words, or cut off. A bare pair is left to `_pairs`."""
    decoder, position = json.JSONDecoder(), 0
    for _ in range(_TRIES):
        bracket = _BRACKET.search(text, position)
        if bracket is None:
            return
        try:
            value, position = decoder.raw_decode(text, bracket.start())
        except (ValueError, RecursionError):
            position = bracket.end()
            continue
        if not (isinstance(value, list) and _pair(value)):
            yield from _walk(value, "", 0)


def _walk(value: Any, label: str, depth: int) -> Iterator[_FoundNumbers]:
    """The places in decoded JSON."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        if pair := _pair(value):
            yield _FoundNumbers(label, pair)
        else:
            for item in value:
                yield from _walk(item, label, depth + 1)
    elif isinstance(value, dict):
        label = next((text for key in _LABELS if isinstance(text := value.get(key), str)), label)
        x, y = _number(value.get("x")), _number(value.get("y"))
        if x is not None and y is not None:
            yield _FoundNumbers(label, (x, y), ordered=True)
            return
        for key, item in sorted(value.items(), key=lambda row: "point" not in row[0]):  # before a box
            is_coordinates = key.lower() in _COORDINATES
            if item is None and (is_coordinates or not label):
                yield _FoundNumbers(label or key, None)
            elif isinstance(item, list | dict):
                yield from _walk(item, label if is_coordinates or label else key, depth + 1)


def _pair(values: list[Any]) -> tuple[float, float] | None:
    """Two numbers as they are, or the middle of the box that four numbers are."""
    numbers = [_number(value) for value in values] if len(values) in (2, 4) else []
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(values):
        return None
    return (known[0], known[1]) if len(known) == 2 else ((known[0] + known[2]) / 2, (known[1] + known[3]) / 2)


def _pairs(text: str, names: Sequence[str]) -> Iterator[_FoundNumbers]:
    """(x, y) and [x, y] among words. The label is the name that stands last before it, after the pair before."""
    end = 0
    for pair in _PAIR.finditer(text):
        before = f" {_plain(text[end : pair.start()])} "
        places = [(before.rfind(f" {_plain(name)} "), len(name), name) for name in names]
        at, _, name = max(places, default=(-1, 0, ""))
        yield _FoundNumbers(name if at >= 0 else "", (float(pair[1]), float(pair[2])))
        end = pair.end()


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        if not re.fullmatch(rf"\s{{0,9}}{_NUMBER}\s{{0,9}}", value):
            return None
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        return None
    return float(value) if math.isfinite(value) else None
