"""The writer that needs no model: conversations, descriptions and reasoning out of facts and captions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.claims import check_claim, find_claims
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.resources import resource_toml
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.phrases import Statement, statements
from posetalk.write.from_facts.sentences import caption_sentence, woven
from posetalk.write.from_facts.speaker import Subject, lower, relation_between, subjects
from posetalk.write.samples.sample import Kind, Turns

TURNS = 5  # questions in a conversation, at most
PEOPLE = 3  # described one by one, at most; the largest
MOST = 7  # things said of each of several people
RICH = 3  # facts for each question of a conversation, at least
MORE = 3  # facts that an answer of a conversation adds, at most


@dataclass(frozen=True, slots=True)
class _Rule:
    """when: facts that must hold of one person; ask, answer: phrases, each question with answers of its own."""

    when: tuple[str, ...]
    ask: tuple[str, ...]
    answer: tuple[list[str], ...]


_FILE = resource_toml("write/from_facts/reasons.toml")
_RULES = [
    _Rule(tuple(r["when"]), tuple(q["ask"] for q in r["say"]), tuple(q["answer"] for q in r["say"]))
    for r in _FILE["reason"]
]
_DESCRIBE: list[str] = _FILE["describe"]
_Known = list[tuple[ScenePerson, Subject, list[Statement]]]


def write(scene: Scene, captions: Sequence[str], kind: Kind, seed: int = 0) -> Turns | None:
    """Questions and answers about one picture; None where too little is known of anybody in it.

    The same seed, picture and kind give the same words, whatever else is written.
    """
    rng = random.Random(f"{seed} {scene.image_id} {kind}")
    named = subjects(scene, captions)
    known_apart = [i for i, one in enumerate(named) if one.alone]
    shown = sorted(known_apart, key=lambda i: -scene.people[i].box.area)[:PEOPLE]
    figures = [(i, conservatively_true(scene.people[i], captions)) for i in sorted(shown)]
    known = [(figure, named[i], statements(figure, named[i], rng)) for i, figure in figures]
    relations = _relations(
        relation_between(scene, named, rng), [one.name for i, one in enumerate(named) if i not in shown]
    )
    match kind:
        case "conversation":
            return _conversation(known, relations, rng)
        case "detail":
            return _detail(scene, _of_noun(captions, named), known, relations, rng)
        case "reasoning":
            return _reasoning(known, rng)


def _relations(sentences: list[str], left_out: list[str]) -> list[str]:
    """What is between the people who are described; of those who merely look larger than others one is enough."""
    told = [one for one in sentences if not any(name in one.lower() for name in left_out)]
    larger = [one for one in told if " much larger than " in one]
    return [one for one in told if one not in larger[1:]]


def _of_noun(captions: Sequence[str], named: list[Subject]) -> Sequence[str]:
    """The captions that call the only person what everybody else does."""
    noun = named[0].name.removeprefix("the ") if len(named) == 1 else "person"
    return [text for text in captions if noun == "person" or noun in re.findall(r"[a-z]+", text.lower())]


def _conversation(known: _Known, relations: list[str], rng: random.Random) -> Turns | None:
    """Of one person after the other; as many questions are answered with no as with yes.

    There are as many questions as can be answered at some length: no fact is told twice.
    """
    pools = [[one for one in some if one.true or one.has("no")] for _, _, some in known]
    facts = sum(one.true and not one.view for pool in pools for one in pool)
    most = min(TURNS - bool(relations), facts // RICH)
    if not most or most + bool(relations) < 2:
        return None
    drawn = _checks(pools, most // 2, rng)
    used = {(i, one.part) for i, one in drawn}
    open_ = [
        (i, one)
        for i, pool in enumerate(pools)
        for one in pool
        if one.true and one.has("ask") and (i, one.part) not in used
    ]
    rng.shuffle(open_)
    open_.sort(key=lambda pair: pair[1].region != "body")
    for i, one in open_:
        if len(drawn) < most and not _told(i, one, drawn):
            drawn.append((i, one))
    if len(drawn) + bool(relations) < 2:
        return None
    yes_no = {id(one) for _, one in drawn[: len(used)]}
    rng.shuffle(drawn)
    people = list(range(len(known)))
    rng.shuffle(people)
    drawn.sort(key=lambda pair: (people.index(pair[0]), pair[1].region != "body"))
    more, rest = _more(drawn, pools, rng)
    turns: list[tuple[str, str]] = []
    before = -1
    for (i, one), added in zip(drawn, more, strict=True):
        form = "check" if id(one) in yes_no else "ask"
        question = one.draw(form, rng, by_name=i != before or rng.random() < 0.4)
        if question in [asked for asked, _ in turns]:  # of somebody else
            question = one.draw(form, rng, by_name=True)
        if form == "ask":
            first = one.draw("say", rng, by_name=rng.random() < 0.5)
        else:
            first = f"Yes, {lower(one.draw('say', rng))}" if one.true else one.draw("no", rng)
        turns.append((question, " ".join([first, *woven(added, rng)])))
        before = i
    if relations:
        told = [sentence for some in rest for sentence in woven(some[:2], rng, by_name=True)]
        turns.append((rng.choice(_FILE["relate"]), " ".join([*relations[:3], *told[:2]])))
    return tuple(turns)


def _checks(pools: list[list[Statement]], pairs: int, rng: random.Random) -> list[tuple[int, Statement]]:
    """As many yes-or-no questions to be answered with yes as with no, of different parts; two of each at most."""
    found: dict[bool, list[tuple[int, Statement]]] = {}
    for true in (True, False):
        some = [
            (i, one) for i, pool in enumerate(pools) for one in pool if one.true is true and one.has("check")
        ]
        rng.shuffle(some)
        kinds = sorted({one.kind for _, one in some})
        rng.shuffle(kinds)  # each kind of question as likely as any other, whatever there is most of
        found[true] = sorted(some, key=lambda pair: kinds.index(pair[1].kind))
    drawn: list[tuple[int, Statement]] = []
    for _ in range(min(pairs, rng.choice((1, 1, 2)))):
        pair: list[tuple[int, Statement]] = []
        for true in (False, True):
            for i, one in found[true]:
                same = any(one.kind == other.kind for _, other in drawn + pair)
                if not same and not _told(i, one, drawn + pair):
                    pair.append((i, one))
                    break
        if len(pair) == 2:
            drawn += pair
    return drawn


def _told(i: int, one: Statement, drawn: Sequence[tuple[int, Statement]]) -> bool:
    """Whether a part of a body was spoken of already; both elbows are each elbow."""
    joint = one.part.split()[-1]
    return any(
        j == i and (other.part in (one.part, f"{joint}s") or one.part == f"{other.part.split()[-1]}s")
        for j, other in drawn
    )


def _more(
    drawn: Sequence[tuple[int, Statement]], pools: list[list[Statement]], rng: random.Random
) -> tuple[list[list[Statement]], list[list[Statement]]]:
    """What each answer adds, of the same person, and what is left of each: first what is so instead after a no, then
    what else is known, of the same part of the body if there is any. Answer by answer in turn, so that none goes short.
    """
    spoken = list(drawn)
    left = [
        rng.sample(true, len(true)) for pool in pools for true in [[o for o in pool if o.true and not o.view]]
    ]
    more: list[list[Statement]] = [[] for _ in drawn]
    for number in range(MORE):
        for place, (i, one) in enumerate(drawn):
            if number == MORE - 1 and rng.random() < 0.5:
                continue
            free = [other for other in left[i] if not _told(i, other, spoken)]
            if number == 0 and not one.true:
                # it is said instead, whatever else was said of that part
                free = [o for o in left[i] if o.part == one.part and (i, o) not in spoken] or free
            free.sort(key=lambda other: (other.part != one.part, other.region != one.region))
            if free:
                more[place].append(free[0])
                spoken.append((i, free[0]))
    return more, [[o for o in some if not _told(i, o, spoken)] for i, some in enumerate(left)]


def _detail(
    scene: Scene, captions: Sequence[str], known: _Known, relations: list[str], rng: random.Random
) -> Turns | None:
    sentences = []
    for caption in rng.sample(list(captions), len(captions)):
        text = caption_sentence(caption)
        if text and _fits(text, scene):
            sentences.append(text)
            break
    facts = 0
    for _, _, some in known:
        true = [one for one in some if one.true and not one.view]
        parts = {
            one.part.split()[-1].rstrip("s") for one in true
        }  # what is said of a joint it need not be seen for
        hidden = [
            one
            for one in some
            if one.true and one.view and one.has("with") and one.part.split()[-1].rstrip("s") not in parts
        ]
        true += rng.sample(hidden, min(len(hidden), 2))
        if len(known) > 1 and len(true) > MOST:
            kept = set(rng.sample(range(1, len(true)), MOST - 1))
            true = [one for n, one in enumerate(true) if n == 0 or n in kept]
        facts += len(true)
        sentences += woven(true, rng, by_name=True)
    sentences += relations[:4]
    return ((rng.choice(_DESCRIBE), " ".join(sentences)),) if facts > 2 else None


def _fits(sentence: str, scene: Scene) -> bool:
    """Whether nothing that a caption says of bodies is denied by the facts: some captions are of another picture."""
    return all(check_claim(claim, scene) != "contradicts" for claim in find_claims(sentence))


def _reasoning(known: _Known, rng: random.Random) -> Turns | None:
    fits: dict[int, list[tuple[Subject, list[Statement], dict[str, str]]]] = {}
    for figure, subject, some in known:
        for number, rule in enumerate(_RULES):
            sided = "{side}" in "".join(rule.when)
            for side, other in (("left", "right"), ("right", "left"))[: 2 if sided else 1]:
                keys = [key.format(side=side, other=other) for key in rule.when]
                if all(
                    figure.facts.value(k.removeprefix("not ")) is (not k.startswith("not ")) for k in keys
                ):
                    fits.setdefault(number, []).append((subject, some, {"side": side, "other": other}))
    if not fits:
        return None
    about = [n for n in fits if not _RULES[n].when[0].endswith("hidden")]
    number = rng.choice(about or list(fits))
    subject, some, sides = rng.choice(fits[number])
    rule = _RULES[number]
    chosen = rng.randrange(len(rule.ask))
    answer = [subject.fill(rng.choice(rule.answer[chosen]), False, **sides)]
    given = {key.removeprefix("not ").removeprefix("{side} ").removeprefix("{other} ") for key in rule.when}
    given = {key.removeprefix("left ").removeprefix("right ") for key in given}
    true = [one for one in some if one.true]
    new = [one for one in true if one.kind not in given]
    evidence = [one for one in new if not one.view] or new or true
    if evidence:
        rng.shuffle(evidence)
        evidence = sorted(evidence[:3], key=some.index)
        lead, rest = rng.choice(_FILE["besides"]), woven(evidence, rng)
        answer += [lead, lower(rest[0]) if lead.endswith(":") else rest[0], *rest[1:]]
    return ((subject.fill(rule.ask[chosen], True, **sides), " ".join(answer)),)
