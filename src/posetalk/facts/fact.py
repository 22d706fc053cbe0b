"""A fact: something about a body that is true, false or not known, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from posetalk.facts.body import Numbers


@dataclass(frozen=True, slots=True)
class Fact:
    """part: of the body (`body`, `left elbow`, `arms`); predicate: what of it; value: True, False, None (not known).

    numbers: what it was decided by: degrees of the projection (`angle`, `lean`), everything else in trunk lengths.
    """

    part: str
    predicate: str
    value: bool | None
    numbers: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> str:
        return f"{self.part}: {self.predicate}"

    def to_dict(self) -> dict[str, Any]:
        return {"of": self.part, "says": self.predicate, "holds": self.value, "numbers": dict(self.numbers)}


class Facts:
    """The facts of one body, by key."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts = {fact.key: fact for fact in facts}

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())

    def __len__(self) -> int:
        return len(self._facts)

    def value(self, key: str) -> bool | None:
        """Whether `left elbow: straight` is so; None where that is not known, or no such fact was looked for."""
        fact = self._facts.get(key)
        return None if fact is None else fact.value

    def __getitem__(self, key: str) -> Fact:
        return self._facts[key]

    @property
    def true(self) -> list[Fact]:
        return [fact for fact in self if fact.value]


def make_fact(
    of: str, says: str, holds: bool | None, numbers: Numbers | None = None, **more: float | None
) -> Fact:
    """A fact; numbers that are not known are left out, the others rounded."""
    given = (numbers or {}) | {name: value for name, value in more.items() if value is not None}
    return Fact(of, says, holds, tuple((name, round(value, 3)) for name, value in given.items()))
