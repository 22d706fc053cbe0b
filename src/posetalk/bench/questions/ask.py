"""The questions that can be asked of a scene, because its facts surely answer them; wording in questions.toml."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from posetalk.bench.questions.questions import LETTERS, Evidence, Kind, Question, drawn
from posetalk.facts.claims import Claim, check_claim
from posetalk.facts.fact import Fact, make_fact
from posetalk.facts.person import OTHER
from posetalk.facts.scene import Scene
from posetalk.formats.annotated import AnnotatedImage
from posetalk.resources import resource_toml
from posetalk.score.metrics import LARGE_KEYPOINTS, LARGE_SIDE
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.speaker import article, subjects

PEOPLE = 4  # in a picture, at most: more are hard to tell apart by "the third person from the left"
_ALL = "all"  # in place of a person, where a question is about how many there are
NOT_ASKED = ("tie",)  # among what can be carried
_SIDED = re.compile(r"\{side\}")


@dataclass(frozen=True, slots=True)
class _Form:
    """conditions: of the choices in their order, `left arm: raised`, `not right arm: raised`; a yes-or-no question has
    one choice, yes."""

    kind: Kind
    of: str
    name: str
    ask: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whom a question is about. id: `p1`, `p1-p2`; words: for {S}, {T} and {thing}; find: a fact by its key."""

    id: str
    words: dict[str, str]
    find: Callable[[str], tuple[str, Fact | None]]


def _forms() -> dict[str, list[_Form]]:
    """By whose facts they look at; {side} and {place} filled in."""
    data = resource_toml("bench/questions/questions.toml")
    found: dict[str, list[_Form]] = {"person": [], "pair": [], "object": [], "picture": []}
    for row in data["yes_no"]:
        for places in [("face", "shoulder", "chest", "hip", "knee")] if "{place}" in row["fact"] else [("",)]:
            for place in places:
                for side in OTHER if _SIDED.search(row["fact"]) else [""]:

                    def fill(text: str, side: str = side, place: str = place) -> str:
                        return text.replace("{side}", side).replace("{place}", place)

                    key = fill(row["fact"])
                    asks = tuple(fill(text) for text in row["ask"])
                    found[row["of"]].append(_Form(row["kind"], row["of"], key, asks, (("", key),)))
    for row in data["choice"]:
        for side in OTHER if _SIDED.search(row["name"]) else [""]:
            filled = tuple(
                tuple(text.replace("{side}", side) for text in choice) for choice in row["choices"]
            )
            asks = tuple(text.replace("{side}", side) for text in row["ask"])
            found[row["of"]].append(
                _Form(row["kind"], row["of"], row["name"].replace("{side}", side), asks, filled)
            )
    return found


_FORMS = _forms()


def can_ask(picture: AnnotatedImage, scene: Scene) -> bool:
    """Whether everybody in a picture is large, labelled well, and told apart from the others by place."""
    people = scene.people
    if not 1 <= len(people) <= PEOPLE or scene.others or any(p.is_crowd for p in picture.image.people):
        return False
    if any(len(f.body.points) < LARGE_KEYPOINTS or max(f.box.w, f.box.h) < LARGE_SIDE for f in people):
        return False
    return all(
        scene.facts.value(f"{a.name}, {b.name}: first on the left") for a, b in combinations(people, 2)
    )


def questions_of(picture: AnnotatedImage, scene: Scene, seed: int = 0) -> Iterator[Question]:
    """Every question that the facts of a picture surely answer; none where `can_ask` is not so.

    The wording and the order of the choices depend on the picture, whom it is about, the form and the seed alone.
    """
    if not can_ask(picture, scene):
        return
    scene = replace(
        scene, people=tuple(conservatively_true(figure, picture.captions) for figure in scene.people)
    )
    for of, some in _asked(scene).items():
        for asked in some:
            for form in _FORMS[of]:
                question = _question(form, asked, picture, seed)
                if question is not None:
                    yield question


def counts_people(question: Question) -> bool:
    """Whether its answer is only known where the labels name everybody in the picture."""
    return question.id.split("-")[1] == _ALL


def _question(form: _Form, asked: _Asked, picture: AnnotatedImage, seed: int) -> Question | None:
    """None where it is not known of every choice whether it is so, or more than one is, or none of four."""
    evidence: dict[tuple[str, str], Evidence] = {}
    so = []
    for _, *conditions in form.choices:
        values = [_value(condition, asked, evidence) for condition in conditions]
        if all(value is True for value in values):
            so.append(True)
        elif any(value is False for value in values):
            so.append(False)
        else:
            return None
    name = f"{picture.image.id}-{asked.id}-{re.sub('[^a-z0-9]+', '-', form.name)}"
    rng = random.Random(drawn(seed, name))
    text = _fill(rng.choice(form.ask), asked.words)
    choices: tuple[str, ...] = ()
    if len(form.choices) == 1:
        answer = "yes" if so[0] else "no"
    elif sum(so) == 1:
        order = list(range(len(form.choices)))
        rng.shuffle(order)
        choices = tuple(_fill(form.choices[i][0], asked.words) for i in order)
        answer = LETTERS[order.index(so.index(True))]
    else:
        return None
    image = picture.image
    found = tuple(evidence.values())
    return Question(name, image.id, image.name, form.kind, form.name, text, choices, answer, found)


def _value(condition: str, asked: _Asked, evidence: dict[tuple[str, str], Evidence]) -> bool | None:
    """Whether a condition is met; the fact is kept as evidence."""
    key = condition.removeprefix("not ")
    who, found = asked.find(key)
    if found is None or found.value is None:
        return None
    evidence[who, found.key] = Evidence(who, found.key, found.value, found.numbers)
    return found.value is (key == condition)


def _asked(scene: Scene) -> dict[str, list[_Asked]]:
    """Everybody and everything in a scene that questions are about."""
    people = scene.people
    called = {figure.name: subject.name for figure, subject in zip(people, subjects(scene, ()), strict=True)}
    facts = {one.key: one for one in scene.facts}
    short = {figure.name: f"p{number}" for number, figure in enumerate(people, 1)}

    def of_person(name: str) -> Callable[[str], tuple[str, Fact | None]]:
        own = {one.key: one for one in next(f for f in people if f.name == name).facts}

        def find(key: str) -> tuple[str, Fact | None]:
            found = own.get(key)
            # a fact that is false by a little denies nothing that people say
            if (
                found is None
                or found.value
                or check_claim(Claim(key, True, "", name), scene) == "contradicts"
            ):
                return name, found
            return name, None

        return find

    def of_pair(first: str, second: str) -> Callable[[str], tuple[str, Fact | None]]:
        one, other, both = of_person(first), of_person(second), f"{first}, {second}"

        def find(key: str) -> tuple[str, Fact | None]:
            if key.startswith("S "):
                return one(key[2:])
            return other(key[2:]) if key.startswith("T ") else (both, facts.get(f"{both}: {key}"))

        return find

    def of_thing(name: str, thing: str) -> Callable[[str], tuple[str, Fact | None]]:
        return lambda key: (name, facts.get(f"{name}, {thing}: {key}"))

    counted = {
        f"picture: {n} people": make_fact("picture", f"{n} people", len(people) == n) for n in range(1, 5)
    }
    things = sorted({thing.name for thing in scene.things} - {*NOT_ASKED})
    return {
        "person": [_Asked(short[f.name], {"S": called[f.name]}, of_person(f.name)) for f in people],
        "pair": [
            _Asked(
                f"{short[a.name]}-{short[b.name]}",
                {"S": called[a.name], "T": called[b.name]},
                of_pair(a.name, b.name),
            )
            for a, b in combinations(people, 2)
        ],
        "object": [
            _Asked(
                f"{short[f.name]}-{thing.replace(' ', '-')}",
                {"S": called[f.name], "thing": article(thing)},
                of_thing(f.name, thing),
            )
            for f in people
            for thing in things
        ],
        "picture": [_Asked(_ALL, {}, lambda key: ("picture", counted.get(key) or facts.get(key)))],
    }


def _fill(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text
