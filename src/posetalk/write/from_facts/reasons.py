"""Reasoning: what a pose is for, what balances it, what may come next; from what is done, and from the body alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.scene import Scene
from posetalk.resources import resource_toml
from posetalk.write.from_facts.actions import definite, doings
from posetalk.write.from_facts.described import Described
from posetalk.write.from_facts.phrases import region_of
from posetalk.write.from_facts.sentences import listed, sentences_of
from posetalk.write.samples.sample import Turns

EVIDENCE = 3  # most statements that an answer adds or names
SHORTEST = 20  # words of an answer


@dataclass(frozen=True, slots=True)
class _Aspect:
    """A question about what is done. regions: the parts of the body that answers may name."""

    regions: tuple[str, ...]
    ask: tuple[str, ...]
    say: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Activity:
    does: tuple[str, ...]
    aspects: tuple[_Aspect, ...]


@dataclass(frozen=True, slots=True)
class _ReasonRule:
    """A row of reasons.toml.

    when:   Facts that must be true of a person, with "not " false.
    unless: Facts of which none may be true.
    free:   Whether it is not of somebody who is known to do or hold something.
    answer: The answers to each of `ask`.
    """

    when: tuple[str, ...]
    unless: tuple[str, ...]
    free: bool
    ask: tuple[str, ...]
    answer: tuple[list[str], ...]


_RULES = [
    _ReasonRule(
        tuple(r["when"]),
        tuple(r.get("unless", ())),
        r.get("free", False),
        tuple(q["ask"] for q in r["say"]),
        tuple(q["answer"] for q in r["say"]),
    )
    for r in resource_toml("write/from_facts/reasons.toml")["reason"]
]
_ACTIVITIES = [
    _Activity(
        tuple(row["does"]),
        tuple(_Aspect(tuple(a.get("in", ())), tuple(a["ask"]), tuple(a["say"])) for a in row["aspect"]),
    )
    for row in resource_toml("write/from_facts/activities.toml")["activity"]
]


def write_reasoning(
    described: Sequence[Described], scene: Scene, rng: random.Random, most: int = 1
) -> Turns | None:
    """Questions about the main person that need reasoning, and their answers; None if nothing follows from the facts.

    Args:
        described: The people, the main one first.
        scene: The scene.
        rng: The source of the random choices.
        most: Most questions: of what is done, and of the body.
    """
    main = described[0]
    used: set[str] = set()
    turns: list[tuple[str, str]] = [*(_about_activity(main, scene, rng, used) or ())]
    for person in (*described[:2], main):
        if len(turns) < most and (more := _about_body(person, scene, rng, used)):
            turns += [turn for turn in more if turn[0] not in [question for question, _ in turns]]
    return tuple(turns) or None


def _about_activity(main: Described, scene: Scene, rng: random.Random, told: set[str]) -> Turns | None:
    matches = [
        (activity, doing[len(pattern) - 1 :] if pattern.endswith("*") else "")
        for doing in doings(main.person, scene)
        for activity in _ACTIVITIES
        if (pattern := _pattern(activity, doing))
    ]
    if not matches:
        return None
    # what is done comes before what is held or looked at; an activity of its own before that of any thing
    matches.sort(key=lambda match: _ACTIVITIES.index(match[0]))
    activity, thing = matches[0] if rng.random() < 0.7 else rng.choice(matches)
    thing = definite(thing) if thing else ""
    aspects = [(aspect, texts) for aspect in activity.aspects if (texts := _texts(aspect, main, rng))]
    rng.shuffle(aspects)
    (first, texts), *others = aspects
    used: set[str] = set()
    answer = [_said(texts, used, rng)]
    if len(texts) > 1 and not first.regions:
        answer.append(_said([text for text in texts if text[0] != answer[0]], used, rng))
    others.sort(key=lambda pair: not pair[0].regions)
    for _, more in others[:2]:
        if unused := [text for text in more if not text[1] & used]:
            answer.append(_said(unused, used, rng))
    told |= used
    text = " ".join(main.subject.fill(text, False, thing=thing) for text in answer)
    if len(text.split()) < SHORTEST:
        return None
    return ((main.subject.fill(rng.choice(first.ask), True, thing=thing), text),)


def _pattern(activity: _Activity, doing: str) -> str:
    """The pattern of an activity that what is done is of; empty if there is none."""
    for pattern in activity.does:
        if doing == pattern or (pattern.endswith("*") and doing.startswith(pattern[:-1])):
            return pattern
    return ""


def _texts(aspect: _Aspect, main: Described, rng: random.Random) -> list[tuple[str, frozenset[str]]]:
    """The sentences of an aspect with {how} filled in, each with the keys of the statements that it names."""
    texts = []
    for say in rng.sample(aspect.say, len(aspect.say)):
        if "{how}" not in say:
            texts.append((say, frozenset[str]()))
            continue
        fitting = [
            one
            for one in main.true
            if one.region in aspect.regions and one.has("with") and one.part not in ("facing", "head")
        ]
        if len(fitting) > 1:  # one elbow alone explains little
            named = rng.sample(fitting, min(len(fitting), rng.choice((2, 2, EVIDENCE))))
            how = listed([one.draw("with", rng) for one in named])
            texts.append((say.replace("{how}", how), frozenset(one.key for one in named)))
    return texts


def _said(texts: list[tuple[str, frozenset[str]]], used: set[str], rng: random.Random) -> str:
    text, keys = rng.choice(texts)
    used |= keys
    return text


def _about_body(main: Described, scene: Scene, rng: random.Random, told: set[str]) -> Turns | None:
    matches: list[tuple[_ReasonRule, dict[str, str]]] = []
    name, facts = main.person.name, main.person.facts
    busy = bool(doings(main.person, scene)) or any(
        fact.predicate == "carried" and fact.part.startswith(f"{name}, ") for fact in scene.facts.true
    )
    for rule in _RULES:
        if (busy and rule.free) or any(facts.value(key) for key in rule.unless):
            continue
        sided = "{side}" in "".join(rule.when)
        for side, other in (("left", "right"), ("right", "left"))[: 2 if sided else 1]:
            keys = [key.format(side=side, other=other) for key in rule.when]
            if all(facts.value(key.removeprefix("not ")) is (not key.startswith("not ")) for key in keys):
                matches.append((rule, {"side": side, "other": other}))
    if not matches:
        return None
    # what follows from several facts says more of this body than what follows from one
    rule, sides = rng.choices(matches, [len(rule.when) ** 2 for rule, _ in matches])[0]
    form = rng.randrange(len(rule.ask))
    answer = [main.subject.fill(rng.choice(rule.answer[form]), False, **sides)]
    premises = {_unsided(key) for key in rule.when}
    regions = {region_of(key.removeprefix("not ").format(**sides).partition(":")[0]) for key in rule.when}
    side = sides["side"] if any("{side}" in key for key in rule.when) else ""
    evidence = [
        one
        for one in main.true
        if one.region in regions
        and one.part not in ("facing", "action")
        and one.kind not in premises
        and one.key not in told
        and (not side or not one.limb or side in one.limb)
    ]
    if not evidence:  # then how the rest of the body is held, so that no two answers are alike
        evidence = [
            one
            for one in main.true
            if one.region in ("body", "head", "arms", "legs") and one.part != "action" and one.key not in told
        ]
    if evidence:
        evidence = sorted(rng.sample(evidence, min(EVIDENCE, len(evidence))), key=main.statements.index)
        answer += sentences_of(evidence, rng)
        told |= {one.key for one in evidence}
    text = " ".join(answer)
    if len(text.split()) < SHORTEST:
        return None
    return ((main.subject.fill(rule.ask[form], True, **sides), text),)


def _unsided(key: str) -> str:
    key = key.removeprefix("not ")
    for side in ("{side} ", "{other} ", "left ", "right "):
        key = key.removeprefix(side)
    return key
