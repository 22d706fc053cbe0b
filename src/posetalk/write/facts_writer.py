"""The writer that needs no model: conversations, descriptions and reasoning out of facts and captions."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from posetalk.facts.scene import Figure, Scene
from posetalk.write.sample import Kind, Turns
from posetalk.write.speaker import Said, Subject, between, said, subjects

TURNS = 5  # questions in a conversation, at most
PEOPLE = 3  # described one by one, at most; the largest


@dataclass(frozen=True, slots=True)
class _Rule:
    """when: facts that must hold of one person; ask, answer: phrases."""

    when: tuple[str, ...]
    ask: tuple[str, ...]
    answer: tuple[str, ...]


_FILE = tomllib.loads(files("posetalk.write").joinpath("reasons.toml").read_text(encoding="utf-8"))
_RULES = [_Rule(tuple(r["when"]), tuple(r["ask"]), tuple(r["answer"])) for r in _FILE["reason"]]
_DESCRIBE: list[str] = _FILE["describe"]


def write(scene: Scene, captions: Sequence[str], kind: Kind, seed: int = 0) -> Turns | None:
    """Questions and answers about one picture; None where too little is known of anybody in it.

    The same seed, picture and kind give the same words, whatever else is written.
    """
    rng = random.Random(f"{seed} {scene.image_id} {kind}")
    named = subjects(scene, captions)
    shown = sorted(range(len(named)), key=lambda i: -scene.people[i].box.area)[:PEOPLE]
    known = [(scene.people[i], named[i], said(scene.people[i], named[i], rng)) for i in sorted(shown)]
    match kind:
        case "conversation":
            return _conversation(known, between(scene, named), rng)
        case "detail":
            return _detail(scene, captions, known, between(scene, named), rng)
        case "reasoning":
            return _reasoning(known, rng)


_Known = list[tuple[Figure, Subject, list[Said]]]


def _conversation(known: _Known, relations: list[str], rng: random.Random) -> Turns | None:
    """What is so, the whole body first; among it a few questions whose answer is no."""
    pool = [(subject, one) for _, subject, some in known for one in some]
    rng.shuffle(pool)
    pool.sort(key=lambda pair: pair[1].fact.of != "body")
    true = _topics([pair for pair in pool if pair[1].fact.holds])[: TURNS - 1]
    false = _topics([pair for pair in pool if not pair[1].fact.holds and pair[1].check and pair[1].no], true)
    turns: list[tuple[str, str]] = []
    for subject, one in true:
        if one.check and rng.random() < 0.3:
            turns.append((one.check, f"Yes, {_lower(one.say)}"))
        else:
            turns.append((one.ask, _first(subject, one.say)))
    for _, one in false[: max(1, len(true) // 2)]:
        turns.insert(rng.randint(min(1, len(turns)), len(turns)), (one.check or "", one.no or ""))
    if relations:
        turns.append((rng.choice(_FILE["relate"]), " ".join(relations[:3])))
    return tuple(turns[:TURNS]) if true and len(turns) > 1 else None


_Pairs = list[tuple[Subject, Said]]


def _topics(pairs: _Pairs, taken: _Pairs | None = None) -> _Pairs:
    """One thing of each part of each body."""
    found: dict[tuple[str, str], tuple[Subject, Said]] = {}
    for subject, one in pairs:
        found.setdefault((subject.name, one.fact.of), (subject, one))
    for subject, one in taken or ():
        found.pop((subject.name, one.fact.of), None)
    return list(found.values())


def _detail(
    scene: Scene, captions: Sequence[str], known: _Known, relations: list[str], rng: random.Random
) -> Turns | None:
    sentences = []
    if captions:
        sentences.append(_sentence(rng.choice(list(captions))))
    facts = 0
    for _, subject, some in known:
        true = [one for one in some if one.fact.holds]
        facts += len(true)
        sentences += _joined(subject, [one.say for one in true], rng)
    sentences += relations
    return ((rng.choice(_DESCRIBE), " ".join(sentences)),) if facts > 2 else None


def _reasoning(known: _Known, rng: random.Random) -> Turns | None:
    fits = []
    for figure, subject, some in known:
        for rule in _RULES:
            for side, other in (("left", "right"), ("right", "left")):
                keys = [key.format(side=side, other=other) for key in rule.when]
                if all(
                    figure.facts.holds(k.removeprefix("not ")) is (not k.startswith("not ")) for k in keys
                ):
                    fits.append((rule, subject, some, {"side": side, "other": other}))
                if "{side}" not in "".join(rule.when):
                    break
    if not fits:
        return None
    rule, subject, some, sides = rng.choice(fits)
    evidence = [one.say for one in some if one.fact.holds]
    rng.shuffle(evidence)
    chosen = rng.randrange(len(rule.ask))  # each question has its own answer
    answer = [subject.fill(rule.answer[chosen], **sides)]
    if evidence:
        answer += [rng.choice(_FILE["besides"]), *_joined(subject, evidence[:3], rng, name=False)]
    return ((subject.fill(rule.ask[chosen], **sides), " ".join(answer)),)


def _joined(subject: Subject, sentences: list[str], rng: random.Random, name: bool = True) -> list[str]:
    """Sentences about one person: the first with the person's name, now and then two made one."""
    found: list[str] = []
    for sentence in sentences:
        if not found and name:
            first = _first(subject, sentence)
            found.append(first if first != sentence else f"As for {subject.name}, {_lower(sentence)}")
        elif found and rng.random() < 0.4 and " and " not in found[-1] and found[-1].count(",") == 0:
            found[-1] = f"{found[-1].removesuffix('.')}, {rng.choice(('and', 'while'))} {_lower(sentence)}"
        else:
            found.append(sentence)
    return found


def _first(subject: Subject, sentence: str) -> str:
    """The sentence with the person's name in place of the pronoun it begins with."""
    he, his = subject.forms["he"], subject.forms["his"]
    for pronoun, name in ((he, subject.name), (his, f"{subject.name}'s")):
        start = f"{pronoun[0].upper()}{pronoun[1:]} "
        if sentence.startswith(start):
            rest = sentence[len(start) :]
            if pronoun == he and he == "they":
                rest = _singular(rest)
            elif pronoun == his and " the " in subject.name:
                return sentence  # "the person on the left's arm" is no English
            return f"{name[0].upper()}{name[1:]} {rest}"
    return sentence


def _singular(rest: str) -> str:
    for plural, single in (("are ", "is "), ("have ", "has ")):
        if rest.startswith(plural):
            return single + rest[len(plural) :]
    return rest


def _sentence(caption: str) -> str:
    text = caption.strip().rstrip(".! ")
    return f"{text[:1].upper()}{text[1:]}."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
