"""What people do, and with which object, as statements; the phrases are in actions.toml."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from posetalk.facts.actions import with_article
from posetalk.facts.body import SIDES
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.resources import resource_toml
from posetalk.write.from_facts.names import MIN_CAPTIONS
from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import Subject

_FILE = resource_toml("write/from_facts/actions.toml")
_BASE: dict[str, str] = _FILE["base"]
_SAME: list[list[str]] = [row["does"] for row in _FILE["same"]]
_PLACES = [
    (
        word,
        said,
        re.compile(rf"\b(?:in|on|at|down|along|through|across|of|inside) (?:[\w'-]+ ){{0,3}}?{word}\b"),
    )
    for word, said in _FILE["places"].items()
]
_ASK: list[dict[str, str | list[str]]] = _FILE["ask"]
_WHY: list[dict[str, list[str]]] = resource_toml("write/from_facts/activities.toml")["why"]
PART = "action"
_POSTURES = ("standing", "sitting", "lying", "kneeling", "squatting", "bending over")
# Said after what is done: how somebody looks or what is in the hands.
_LATE = ("holding ", "looking ", "smiling", "posing", "waiting", "standing on ", "watching ", "wearing ")
WORN_THINGS = ("tie", "baseball glove")


def doings(person: ScenePerson, scene: Scene) -> list[str]:
    """What a person does as -ing forms, most important first: `riding a wave`, `holding a paddle`.

    From the facts of actions, and of objects that somebody rides or sits on. What only says a posture is left out; the
    facts of the body say it.
    """
    found = [
        fact.predicate for fact in person.facts.true if fact.part == PART and fact.predicate not in _POSTURES
    ]
    for thing in sorted({thing.name for thing in scene.things}):
        for relation, verb in (("ridden", "riding"), ("sat on", "sitting on")):
            doing = f"{verb} {with_article(thing)}"
            if scene.facts.value(f"{person.name}, {thing}: {relation}") and doing not in found:
                found.append(doing)
    return sorted(found, key=lambda doing: doing.startswith(_LATE))


def action_statements(
    person: ScenePerson, scene: Scene, subject: Subject, rng: random.Random
) -> list[Statement]:
    """Statements of what a person does and holds; of those that say the same one is drawn.

    Args:
        person: The person, one of `scene.people`.
        scene: The scene.
        subject: What the person is called.
        rng: The source of the random choices.
    """
    found = doings(person, scene)
    in_hands = dict(_in_hands(person, scene))
    chosen: list[str] = []
    while found:
        first = found[0]
        group = next((same for same in _SAME if _is_of(first, same)), [first])
        alike = [doing for doing in found if _is_of(doing, group)]
        chosen.append(rng.choice(alike))
        found = [doing for doing in found if doing not in alike]
    held = {doing.removeprefix("holding ") for doing in chosen if doing.startswith("holding ")}
    chosen += [f"holding {thing}" for thing in in_hands if thing not in held]
    return [_statement(doing, in_hands.get(doing.removeprefix("holding "), ""), subject) for doing in chosen]


def place_statement(captions: Sequence[str], subject: Subject) -> list[Statement]:
    """A statement of where the picture was taken, if MIN_CAPTIONS captions name the same place; else none."""
    texts = [caption.lower() for caption in captions]
    counts = {
        place: sum(word in text and bool(pattern.search(text)) for text in texts)
        for word, place, pattern in _PLACES
    }
    place = max(counts, key=lambda name: counts[name])
    if counts[place] < MIN_CAPTIONS:
        return []
    forms = {
        "say": [f"{{He}} {{is}} {place}."],
        "at": [place],
        "ask": ["Where {is} {S}?", "What kind of place {is} {S} in?"],
    }
    return [Statement(f"{PART}: {place}", "place", True, subject, {}, forms)]


def _is_of(doing: str, same: list[str]) -> bool:
    return any(doing == one or (one.endswith("*") and doing.startswith(one[:-1])) for one in same)


def _in_hands(person: ScenePerson, scene: Scene) -> Iterator[tuple[str, str]]:
    """The objects at a person's hands, with an article, and in which: ` in {his} left hand`."""
    for thing in sorted({thing.name for thing in scene.things} - {*WORN_THINGS}):
        hands = [s for s in SIDES if scene.facts.value(f"{person.name}, {thing}: at the {s} hand")]
        if hands:
            yield with_article(thing), " in both hands" if len(hands) == 2 else f" in {{his}} {hands[0]} hand"


def _statement(doing: str, where: str, subject: Subject) -> Statement:
    row = next(row for row in _ASK if doing.startswith(str(row["does"])))
    phrase = f"{doing}{where}"
    say = [f"{{He}} {{is}} {phrase}.", f"{{He}} {{is}} {phrase}.", f"{{He}} {{is}} {phrase}."]
    if present := _present(doing):
        say += [f"{{He}} {present}{where}."] * 2
    ask = list(row["ask"])
    if where:
        hand = "How" if "both" in where else "In which hand"
        ask += [f"{hand} {{does}} {{S}} hold {definite(doing.removeprefix('holding '))}?"]
    forms = {"say": say, "ing": [phrase], "ask": ask}
    return Statement(f"{PART}: {doing}", f"{doing} {row.get('region', PART)}", True, subject, {}, forms)


def with_purposes(body: Sequence[Statement], doing: Sequence[str]) -> list[Statement]:
    """The statements of a body, with what each part of the pose does for what the person is doing."""
    rows = [
        row for row in _WHY if any(fnmatchcase(does, pattern) for does in doing for pattern in row["does"])
    ]
    found = []
    for one in body:
        # "not straight" is told by its words
        kind = f"{one.kind} bent" if one.true and "bent" in one.forms["say"][0] else one.kind
        so = [text for row in rows if any(fnmatchcase(kind, of) for of in row["of"]) for text in row["so"]]
        found.append(replace(one, forms=one.forms | {"so": so}) if so and one.true else one)
    return found


def definite(thing: str) -> str:
    """A thing with the definite article: `a paddle` as `the paddle`."""
    return re.sub(r"^(?:an?|the) |^", "the ", thing, count=1)


def _present(doing: str) -> str:
    """The simple present with its ending as a field: `ride{s} a wave`; empty where it would change its spelling."""
    verb, _, rest = doing.partition(" ")
    base = _BASE.get(verb, verb.removesuffix("ing"))
    if not verb.endswith("ing") or (base.endswith("y") and base[-2:-1] not in "aeo"):
        return ""
    ending = "{es}" if base.endswith(("s", "sh", "ch", "x", "z", "o")) else "{s}"
    return f"{base}{ending} {rest}".strip()
