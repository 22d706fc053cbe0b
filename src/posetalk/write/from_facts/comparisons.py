"""Sentences that compare the people of a picture: what they share, and what one does and another does not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from posetalk.write.from_facts.described import Described
from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.sentences import listed
from posetalk.write.from_facts.speaker import FORMS, Subject, lower

MOST = 4  # sentences
# Parts of which the one or the other is told; a place in the picture is in the names.
_UNLIKE = ("facing", "trunk", "legs", "body", "head")


def comparisons(described: Sequence[Described], rng: random.Random) -> list[str]:
    """What two of the people share, as one sentence, and what tells them apart, as others."""
    sentences: list[str] = []
    told: set[tuple[str, str]] = set()
    known: list[dict[str, list[str]]] = []
    for first, second in combinations(described, 2):
        shared = [one for one in first.true if any(_same(one, other) for other in second.true)]
        both = Subject(
            "both of them" if len(described) == 2 else f"both {first.subject.name} and {second.subject.name}",
            FORMS["they"],
        )
        fresh = any(one.forms not in known for one in shared)  # else the same was said of another two
        if fresh and (sentence := _shared([replace(one, subject=both) for one in shared], both, rng)):
            sentences.append(sentence)
            known += [one.forms for one in shared]
        unlike = [
            (one, other)
            for one in first.true
            for other in second.true
            if one.part == other.part
            and one.forms != other.forms
            and _can_contrast(one)
            and _can_contrast(other)
        ]
        unlike = [pair for pair in unlike if (first.subject.name, pair[0].part) not in told]
        rng.shuffle(unlike)
        for one, other in unlike[:2]:
            told |= {(first.subject.name, one.part), (second.subject.name, one.part)}
            join = rng.choice((", whereas ", ", while ", "; "))
            text = one.draw("say", rng, by_name=True).removesuffix(".")
            sentences.append(f"{text}{join}{lower(other.draw('say', rng, by_name=True))}")
    rng.shuffle(sentences)
    return sentences[:MOST]


def _same(one: Statement, other: Statement) -> bool:
    """The same is said of both; a straight and a bent knee have the same key, but not the same words."""
    return one.forms == other.forms and one.fields == other.fields and one.region not in ("place", "around")


def _can_contrast(one: Statement) -> bool:
    if one.region in ("arms", "legs"):
        return one.has("state")
    return one.part in _UNLIKE


def _shared(statements: list[Statement], both: Subject, rng: random.Random) -> str:
    """`Both of them are sitting with bent elbows.`; empty if nothing can be said."""
    doing = [one for one in statements if one.has("ing")]
    having = [one for one in statements if one.has("with")]
    main = [one for one in doing if one.region in ("action", "body")] or doing
    if main:
        first = main[0]
        alike = [one for one in having if not first.limb or one.limb == first.limb]
        more = [one for one in alike if one.part != first.part][:2]
        phrases = f" with {listed([one.draw('with', rng) for one in more])}" if more else ""
        doing_text = first.draw("ing", rng)
        if " with " in doing_text:
            phrases = ""
        return both.fill(f"{{He}} are {doing_text}{phrases}.", by_name=True)
    if having:
        return both.fill(
            f"{{He}} have {listed([one.draw('with', rng) for one in having[:2]])}.", by_name=True
        )
    return ""
