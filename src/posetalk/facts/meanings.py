"""What a statement claims: the rules of claims.toml."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from posetalk.facts.actions import with_article
from posetalk.facts.body import SIDES
from posetalk.facts.noun_phrases import BodyStatement
from posetalk.resources import resource_toml

_FILE: dict[str, Any] = resource_toml("facts/claims.toml")
_DOING: dict[str, str] = _FILE["doing"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a statement says by itself, without its negation.

    key:   the key of a fact.
    value: True, or False where the key is denied.
    last:  the number of the last word that says it.
    thing: COCO's name of the thing that the key begins with; empty if there is none.
    """

    key: str
    value: bool
    last: int
    thing: str = ""


@dataclass(frozen=True, slots=True)
class _MeaningRule:
    says: tuple[frozenset[str], ...]
    also: str
    means: tuple[str, ...]
    both: tuple[str, ...]


def _rules() -> dict[str, list[_MeaningRule]]:
    rules: dict[str, list[_MeaningRule]] = defaultdict(list)
    for row in (*_FILE["limbs"], *_FILE["doings"]):
        says = tuple(frozenset(one.split(" + ")) for one in row["says"])
        rule = _MeaningRule(says, row.get("also", ""), tuple(row["means"]), tuple(row.get("both", ())))
        for subject in row["of"].split():
            rules[subject].append(rule)
    for subject, keys in _FILE["always"].items():
        rules[subject].append(_MeaningRule((frozenset(),), "", tuple(keys), ()))
    return rules


_JOINTS = frozenset(["shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear"])
_RULES = _rules()


def meanings(statement: BodyStatement) -> list[Meaning]:
    """What a statement claims; empty if no rule knows it."""
    left = dict(statement.features)
    found: list[Meaning] = []
    for feature, thing in statement.things.items():
        if statement.subject == "hold" or feature.startswith("hold "):
            found += _held(statement, thing, left.pop(feature))
            break
    for rule in _RULES.get(statement.subject, ()):
        taken = next(
            (t for says in rule.says if (t := _taken(says, left, statement.things)) is not None), None
        )
        if taken is None:
            continue
        last = max((left[f] for f in taken), default=statement.head)
        made = [*_made(rule, statement, taken, last)]
        for feature in [f for f in left if f in taken or f" {f} " in f" {rule.also} "]:
            del left[feature]
        found += made
    if not found and statement.subject in _DOING and not statement.is_limb:
        found.append(Meaning(f"action: {_DOING[statement.subject]}", True, statement.head))
    return list({meaning.key: meaning for meaning in found}.values())


def _taken(
    says: frozenset[str], features: Mapping[str, int], things: Mapping[str, str]
) -> frozenset[str] | None:
    """The features that one way to say something takes, `*` for a thing; None if one is missing."""
    if says <= features.keys():
        return says
    for wild in ("*", "at *"):
        if says == {wild}:
            start = wild[:-1]
            return next(
                (frozenset([f]) for f, thing in things.items() if f == start + thing and f in features), None
            )
    return None


def _made(
    rule: _MeaningRule, statement: BodyStatement, taken: frozenset[str], last: int
) -> Iterator[Meaning]:
    thing = next((statement.things[f] for f in sorted(taken) if f in statement.things), "")
    at_side = next((statement.sides[f] for f in sorted(taken) if f in statement.sides), "one")
    is_both = statement.side == "both"
    for key in rule.both if rule.both and is_both else rule.means:
        spread = (is_both and "{side}" in key) or (at_side == "both" and "{at side}" in key)
        sides = SIDES if spread else (statement.side,)
        if "{joint}" in key and statement.form not in _JOINTS:
            continue
        if "{sure side}" in key and at_side not in SIDES:
            continue
        for side in sides:
            value = not key.startswith("not ")
            name = key.removeprefix("not ").format_map(
                {
                    "side": side,
                    "at side": side if at_side == "both" else at_side,
                    "sure side": at_side,
                    "thing": thing,
                    "joint": statement.form,
                    "a thing": with_article(thing) if thing else "",
                    "doing": _DOING.get(statement.subject, ""),
                }
            )
            yield Meaning(name, value, last, thing if "{thing}" in key else "")


def _held(statement: BodyStatement, thing: str, last: int) -> Iterator[Meaning]:
    """What is claimed of a thing in a hand, or held."""
    if not statement.is_limb:
        sides = next(
            (
                side
                for feature, side in statement.sides.items()
                if feature.endswith("hand") and feature.split()[0] in ("in", "with")
            ),
            "one",
        )
    else:
        sides = statement.side
    where = "shoulder" if statement.subject == "shoulder" else "hand"
    if sides == "one" or statement.subject == "arm" or (sides == "both" and not statement.is_counted):
        yield Meaning(f"{thing}: carried", True, last, thing)
        return
    for side in SIDES if sides == "both" else (sides,):
        yield Meaning(f"{thing}: at the {side} {where}", True, last, thing)
