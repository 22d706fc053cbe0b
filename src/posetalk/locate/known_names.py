"""Names of keypoints: those that nearly are known ones, and what a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

NAME_SIMILARITY = 0.85  # difflib's ratio for a misspelt name: `lft knee` for `left_knee`, but not `left heel`
MAX_NAMED = 12  # names in the sentence on what a model was trained on

_SIDES = {
    "l": "left",
    "lft": "left",
    "r": "right",
    "rt": "right",
    "rgt": "right",
    "left": "left",
    "right": "right",
}


def near_misses(name: str, known: Iterable[str]) -> list[str]:
    """Up to two known names that were probably meant: of `lft knee`, `L_Knee`, `kneeLeft` it is `left knee`."""
    known = sorted(known)
    candidates = list(dict.fromkeys([_plain(name), name.replace("_", " ").lower()]))
    for candidate in candidates:
        if candidate in known:
            return [candidate]
    similar = [
        near for candidate in candidates for near in get_close_matches(candidate, known, 2, NAME_SIMILARITY)
    ]
    return list(dict.fromkeys(similar))[:2]


def has_same_sides(name: str, other: str) -> bool:
    """Whether both name the same sides, each as a word of its own: `lft knee`, `left_knee` and `kneeLeft` name none."""
    sides = [set(re.findall(r"\b(?:left|right)\b", text.lower())) for text in (name, other)]
    return sides[0] == sides[1]


def _plain(name: str) -> str:
    """The words in lower case, with single blanks, and with the side in full and first."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\b[LR])(?=[A-Z][a-z])", " ", name))
    words = [word.lower() for word in words]
    sides = [word for word in words if word in _SIDES]
    if len(sides) == 1:
        words = [_SIDES[sides[0]], *(word for word in words if word != sides[0])]
    return " ".join(words)


def trained_on(names: Sequence[str]) -> str:
    """`left and right ankle, ear and knee; head top, nose`: the names a model was trained on, in few words."""
    parts = {
        side: [n.removeprefix(f"{side} ") for n in names if n.startswith(f"{side} ")]
        for side in ("left", "right")
    }
    both = [part for part in parts["left"] if part in parts["right"]]
    others = [n for n in names if not any(n == f"{side} {part}" for part in both for side in parts)]
    more = len(both) + len(others) - MAX_NAMED
    both, others = both[:MAX_NAMED], others[: max(MAX_NAMED - len(both), 0)]
    joined = " and ".join([", ".join(both[:-1]), both[-1]] if len(both) > 1 else both)
    listed = "; ".join(filter(None, [f"left and right {joined}" if both else "", ", ".join(others)]))
    return listed + (f" and {more} more" if more > 0 else "")
