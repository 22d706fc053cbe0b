"""The tables of describe_round_trip.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from posetalk.score.bootstrap import interval
from posetalk.score.tables import span, table
from posetalk.types import Floats

WAYS = ("both", "joints", "nearest")
LENGTHS = ("name", "phrase", "sentence", "name: sentence")
LOCATED = {
    "both": "sentence",
    "joints": "sentence",
    "nearest": "name",
    "label": "name",
}  # by what a way is measured
NEAR = 0.06  # of the longer side of the box
Row = dict[str, object]


def report(rows: Sequence[Row], on_people: Sequence[Row]) -> str:
    """All tables in Markdown."""
    lines: list[str] = []
    for kind in dict.fromkeys(str(row["kind"]) for row in rows):
        lines += ["", f"## {kind}", "", *_of_kind([row for row in rows if row["kind"] == kind])]
    both = [row for row in rows if row["kind"] in ("joint", "between")]
    if both:
        lines += ["", "## joint and between", "", *_of_kind(both)]
    if rows:
        lines += ["", "## by part, way `both`", "", *_by_part([row for row in rows if row["way"] == "both"])]
    if on_people:
        lines += ["", "## on a person or not", "", *_on_person(on_people)]
    return "\n".join(lines).strip() + "\n"


def _of_kind(rows: Sequence[Row]) -> list[str]:
    groups = {
        "all": rows,
        "visible, box of 96 px or more": [row for row in rows if row["visible"] and row["big"]],
        "certain": [row for row in rows if row.get("certain")],
        "not certain": [row for row in rows if row.get("certain") is False],
    }
    lines = []
    for title, group in groups.items():
        for way in (*WAYS, "label"):
            chosen = [row for row in group if row["way"] == way]
            if chosen:
                lines.append([title, way, str(len(chosen)), *_errors_of(way, chosen), *_named(way, chosen)])
    heads = ["places", "way", "n", *LENGTHS, f"within {NEAR}", "part", "part and side"]
    chosen = [row for row in rows if row["way"] == "both"]
    errors, people = _errors(chosen, "sentence"), np.array([row["person"] for row in chosen])
    drawn = interval([float(np.median(errors[some])) for some in _draws(people)])
    right = _share(bool(row["own_person"]) for row in chosen)
    note = f"`both`, sentence: median {np.median(errors):.3f} ({span(drawn)}); the right person: {right}"
    return [*table(heads, lines), "", note]


def _errors(rows: Sequence[Row], length: str) -> Floats:
    """(n,) errors; that of the middle of the box where nothing was located."""
    return np.array([row["errors"].get(length, row["middle"]) for row in rows])  # type: ignore[attr-defined]


def _errors_of(way: str, rows: Sequence[Row]) -> list[str]:
    """The median by length, and the share that is near."""
    lengths = LENGTHS if way == "both" else (LOCATED[way],)
    medians = [f"{np.median(_errors(rows, length)):.3f}" if length in lengths else "" for length in LENGTHS]
    return [*medians, _share(_errors(rows, LOCATED[way]) <= NEAR)]


def _named(way: str, rows: Sequence[Row]) -> list[str]:
    if way == "label":
        return ["", ""]
    part = [bool(row["part_right"]) for row in rows]
    both = [bool(row["part_right"] and row["side_right"]) for row in rows]
    return [_share(part), _share(both)]


def _by_part(rows: Sequence[Row]) -> list[str]:
    by: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        name = str(row["name"]).removeprefix("left ").removeprefix("right ")
        part = row["parts"][0] if row["kind"] == "between" else name  # type: ignore[index]
        by[str(row["kind"]), str(part)].append(row)
    lines = [
        [kind, part, str(len(some)), f"{np.median(_errors(some, 'sentence')):.3f}", *_named("both", some)]
        for (kind, part), some in by.items()
    ]
    return table(["places", "labelled", "n", "median error", "part", "part and side"], lines)


def _on_person(rows: Sequence[Row]) -> list[str]:
    lines = []
    for title, truth in (("inside a person's mask", True), ("near a person, in no mask", False)):
        chosen = [row for row in rows if row["truth"] is truth]
        sure = [row for row in chosen if row["certain"]]
        said = [_share(bool(row["said"]) for row in some) for some in (chosen, sure)]
        own = _share(bool(row["own"]) for row in chosen) if truth else ""
        lines.append([title, str(len(chosen)), said[0], own, str(len(sure)), said[1]])
    heads = ["places", "n", "called a person", "that person", "certain", "of these called a person"]
    return table(heads, lines)


def _share(values: Iterable[object]) -> str:
    return f"{np.mean([bool(value) for value in values]):.3f}"


def _draws(people: np.ndarray, count: int = 1000) -> Iterator[np.ndarray]:
    """Rows of as many people drawn with replacement."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(people == person) for person in np.unique(people)]
    for _ in range(count):
        yield np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
