"""Facts: statements about a body that are true, false or unknown, with the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from posetalk.facts.body import Numbers


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement about a part of a body.

    part:      What the statement is about: `body`, `left elbow`, `arms`; between people `person 1, person 2`.
    predicate: What is stated: `standing`, `straight`, `raised`.
    value:     True, False, or None where the keypoints do not tell.
    numbers:   (name, value) pairs of the measurements that decided: degrees in the image for `angle` and `lean`,
               trunk lengths for all others.
    evidence:  What the fact rests on, one entry a kind: `joints` (the numbers say which), `captions 3 of 5`,
               `object horse at 12,40 200x180` (left, top, width x height, px), `people` (what is known of the others).
    """

    part: str
    predicate: str
    value: bool | None
    numbers: tuple[tuple[str, float], ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its evidence: of `joints`, `captions`, `object`, `people`."""
        return frozenset(entry.split()[0] for entry in self.evidence)

    @property
    def key(self) -> str:
        """Part and predicate: `left elbow: straight`."""
        return f"{self.part}: {self.predicate}"

    def to_dict(self) -> dict[str, Any]:
        """The fact as JSON-ready data: of (part), says (predicate), holds (value), numbers and evidence."""
        return {
            "of": self.part,
            "says": self.predicate,
            "holds": self.value,
            "numbers": dict(self.numbers),
            "evidence": list(self.evidence),
        }


class Facts:
    """Facts by key, in order: of one person, or of an image.

    Iterating gives each `Fact`; `facts[key]` gives one, and raises KeyError for a key that was not evaluated.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts = {fact.key: fact for fact in facts}

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())

    def __len__(self) -> int:
        return len(self._facts)

    def value(self, key: str) -> bool | None:
        """Whether a statement is true.

        Args:
            key: Part and predicate, such as `left elbow: straight`.

        Returns:
            True, False, or None where it is unknown or there is no fact of that key.
        """
        fact = self._facts.get(key)
        return None if fact is None else fact.value

    def __getitem__(self, key: str) -> Fact:
        return self._facts[key]

    @property
    def true(self) -> list[Fact]:
        """The facts whose value is True."""
        return [fact for fact in self if fact.value]


def make_fact(
    part: str, predicate: str, value: bool | None, numbers: Numbers | None = None, **extra: float | None
) -> Fact:
    """A fact with its numbers rounded; extra numbers that are None are left out."""
    known = (numbers or {}) | {name: number for name, number in extra.items() if number is not None}
    evidence = () if value is None or not known else ("joints",)
    return Fact(
        part, predicate, value, tuple((name, round(number, 3)) for name, number in known.items()), evidence
    )
