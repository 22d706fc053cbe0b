"""What people surely do and surely do not do: what captions say of them, and what nothing in the image speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posetalk.facts.fact import Fact
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.write.from_facts.sure import WITNESSES, is_sure


@dataclass(frozen=True, slots=True)
class Action:
    """An action that is asked about; questions.toml explains the fields."""

    name: str
    does: re.Pattern[str]
    words: re.Pattern[str]
    things: frozenset[str]

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Action:
        does = "|".join(re.escape(text).replace(r"\*", ".+") for text in row["does"])
        words = "|".join(map(re.escape, row["words"]))
        return cls(
            row["name"],
            re.compile(f"action: (?:{does})"),
            re.compile(rf"\b(?:{words})", re.IGNORECASE),
            frozenset(row["things"]),
        )

    def fact_of(self, figure: ScenePerson, scene: Scene, captions: Sequence[str]) -> Fact | None:
        """Whether a person does it: true by a sure fact, false where neither captions nor objects speak of it."""
        facts = [fact for fact in figure.facts if self.does.fullmatch(fact.key)]
        sure = next((fact for fact in facts if fact.value and is_sure(fact)), None)
        if sure is not None:
            return Fact("action", self.name, True, sure.numbers, sure.evidence)
        spoken_of = any(self.words.search(caption) for caption in captions)
        if (
            facts
            or spoken_of
            or len(captions) < WITNESSES
            or any(t.name in self.things for t in scene.things)
        ):
            return None
        return Fact("action", self.name, False, (), (f"captions {len(captions)} of {len(captions)}",))


def count_facts(scene: Scene) -> dict[str, Fact]:
    """How many people something is sure of, as facts `picture: 2 of several, body: standing`; only where there are
    several people and it is known of each."""
    found = {}
    for key in ("body: facing the camera", "body: standing", "body: sitting"):
        facts = [figure.facts[key] for figure in scene.people]
        if len(facts) > 1 and all(map(is_sure, facts)):
            count = sum(bool(fact.value) for fact in facts)
            for number in range(4):
                fact = Fact(
                    "picture", f"{number} of several, {key}", number == count, (("count", float(count)),)
                )
                found[fact.key] = fact
    return found
