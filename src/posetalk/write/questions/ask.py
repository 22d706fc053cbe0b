"""Write the questions that the facts of a scene answer; the templates are in questions.toml."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from posetalk.facts.actions import with_article
from posetalk.facts.claims import Claim, check_claim
from posetalk.facts.fact import Fact, make_fact
from posetalk.facts.person import OTHER
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.formats.annotated import AnnotatedImage
from posetalk.resources import resource_toml
from posetalk.score.metrics import LARGE_KEYPOINTS
from posetalk.types import Box
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.sure import is_sure
from posetalk.write.questions.actions import Action, count_facts
from posetalk.write.questions.questions import LETTERS, Evidence, Kind, Question, stable_hash

MAX_PEOPLE = 4  # in an image; more are hard to tell apart by "the third person from the left"
SMALLEST = 96  # px, of the longer side of a box: of smaller people nobody can check an elbow
_ALL = "all"  # stands for a person in the id of a question about the number of people
NOT_ASKED = ("tie",)  # objects that are worn, not carried
_USES = ("carried", "ridden", "sat on")
_SIDED = re.compile(r"\{side\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A template of questions.toml with {side} and {action} filled in.

    choices: for each choice its text and then its conditions, such as `left arm: raised` or `not right arm: raised`. A
    yes-or-no question has one choice, yes. in_words: the answer is the text of the right choice, and none is listed.
    """

    kind: Kind
    of: str
    name: str
    ask: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    in_words: bool = False


@dataclass(frozen=True, slots=True)
class SceneSubject:
    """Whom a question is about.

    id: `p1`, or `p1-p2` for a pair. words: values of {S}, {T} and {thing}. find_fact: key -> whose fact it is, and the
    fact. marks: the people and objects, with their boxes in px of the full image.
    """

    id: str
    words: dict[str, str]
    find_fact: Callable[[str], tuple[str, Fact | None]]
    marks: tuple[tuple[str, Box], ...] = ()


_FILE = resource_toml("write/questions/questions.toml")
_ACTIONS = {f"action: {action.name}": action for action in map(Action.of_row, _FILE["action"])}


def _load_templates() -> dict[str, list[Template]]:
    """Templates by what they are about: a person, a pair, an object or the picture."""
    templates: dict[str, list[Template]] = {"person": [], "pair": [], "object": [], "picture": []}
    for row in _FILE["yes_no"]:
        for action in _ACTIONS.values() if "{action}" in row["fact"] else [None]:
            for side in OTHER if _SIDED.search(row["fact"]) else [""]:

                def fill(text: str, side: str = side, action: Action | None = action) -> str:
                    return text.replace("{side}", side).replace("{action}", action.name if action else "")

                key = fill(row["fact"])
                asks = tuple(fill(text) for text in row["ask"])
                templates[row["of"]].append(Template(row["kind"], row["of"], key, asks, (("", key),)))
    in_words = resource_toml("write/questions/short.toml")["word"]
    for row in (*_FILE["choice"], *in_words):
        for side in OTHER if _SIDED.search(row["name"]) else [""]:
            choices = tuple(
                tuple(text.replace("{side}", side) for text in choice) for choice in row["choices"]
            )
            asks = tuple(text.replace("{side}", side) for text in row["ask"])
            templates[row["of"]].append(
                Template(
                    row["kind"],
                    row["of"],
                    row["name"].replace("{side}", side),
                    asks,
                    choices,
                    row in in_words,
                )
            )
    return templates


TEMPLATES = _load_templates()


def can_ask(annotated: AnnotatedImage, scene: Scene) -> bool:
    """Whether everybody in an image is large, well labelled, and told apart from the others by their place."""
    people = scene.people
    if (
        not 1 <= len(people) <= MAX_PEOPLE
        or scene.others
        or any(person.is_crowd for person in annotated.image.people)
    ):
        return False
    if any(
        len(figure.body.points) < LARGE_KEYPOINTS or max(figure.box.w, figure.box.h) < SMALLEST
        for figure in people
    ):
        return False
    return all(
        scene.facts.value(f"{first.name}, {second.name}: first on the left")
        for first, second in combinations(people, 2)
    )


def questions_of(
    annotated: AnnotatedImage, scene: Scene, seed: int = 0, in_words: bool = False
) -> Iterator[Question]:
    """Every question that the facts of an image answer; none where `can_ask` is false.

    The text and the order of the choices depend on the image, the subject, the template and the seed alone.

    in_words: also those of short.toml, whose answers are a word or two, with no choices listed.
    """
    if not can_ask(annotated, scene):
        return
    scene = replace(scene, people=tuple(conservatively_true(figure) for figure in scene.people))
    for of, scene_subjects in subjects_of(scene, annotated.captions).items():
        for subject in scene_subjects:
            for template in TEMPLATES[of]:
                if template.in_words and not in_words:
                    continue
                question = _question(template, subject, annotated, seed)
                if question is not None:
                    yield question


def counts_people(question: Question) -> bool:
    """Whether the answer is only known where the labels name everybody in the image."""
    return question.id.split("-")[1] == _ALL


def _question(
    template: Template, subject: SceneSubject, annotated: AnnotatedImage, seed: int
) -> Question | None:
    """None where a choice is neither surely true nor surely false, or where not exactly one of four is true."""
    evidence: dict[tuple[str, str], Evidence] = {}
    truth = []
    for _, *conditions in template.choices:
        values = [is_met(condition, subject, evidence) for condition in conditions]
        if all(value is True for value in values):
            truth.append(True)
        elif any(value is False for value in values):
            truth.append(False)
        else:
            return None
    image = annotated.image
    name = f"{image.id}-{subject.id}-{re.sub('[^a-z0-9]+', '-', template.name)}"
    rng = random.Random(stable_hash(seed, name))
    text = filled(rng.choice(template.ask), subject.words)
    choices: tuple[str, ...] = ()
    if len(template.choices) == 1:
        answer = "yes" if truth[0] else "no"
    elif template.in_words:
        if sum(truth) != 1:
            return None
        answer = filled(template.choices[truth.index(True)][0], subject.words)
    elif sum(truth) == 1:
        order = list(range(len(template.choices)))
        rng.shuffle(order)
        choices = tuple(filled(template.choices[i][0], subject.words) for i in order)
        answer = LETTERS[order.index(truth.index(True))]
    else:
        return None
    return Question(
        name,
        image.id,
        image.name,
        template.kind,
        template.name,
        text,
        choices,
        answer,
        tuple(evidence.values()),
        subject.marks,
        (image.width, image.height) if image.width and image.height else None,
    )


def is_met(condition: str, subject: SceneSubject, evidence: dict[tuple[str, str], Evidence]) -> bool | None:
    """Whether a condition is met; its fact is added to the evidence. None where the fact is not sure."""
    key = condition.removeprefix("not ")
    who, fact = subject.find_fact(key)
    if fact is None or not is_sure(fact):
        return None
    evidence[who, fact.key] = Evidence(who, fact.key, bool(fact.value), fact.numbers, fact.evidence)
    return fact.value is (key == condition)


def subjects_of(scene: Scene, captions: Sequence[str]) -> dict[str, list[SceneSubject]]:
    """All people, pairs and objects of a scene that questions are about."""
    people = scene.people
    names = {figure.name: subject.name for figure, subject in zip(people, subjects(scene, ()), strict=True)}
    facts = {fact.key: fact for fact in scene.facts}
    ids = {figure.name: f"p{number}" for number, figure in enumerate(people, 1)}

    def of_person(figure: ScenePerson) -> Callable[[str], tuple[str, Fact | None]]:
        person_facts = {fact.key: fact for fact in figure.facts}

        def find_fact(key: str) -> tuple[str, Fact | None]:
            if key in _ACTIONS:
                return figure.name, _ACTIONS[key].fact_of(figure, scene, captions)
            fact = person_facts.get(key)
            # a fact that is only just false does not contradict what people say
            if (
                fact is None
                or fact.value
                or check_claim(Claim(key, True, "", figure.name), scene) == "contradicts"
            ):
                return figure.name, fact
            return figure.name, None

        return find_fact

    def of_pair(first: ScenePerson, second: ScenePerson) -> Callable[[str], tuple[str, Fact | None]]:
        of_first, of_second, pair = of_person(first), of_person(second), f"{first.name}, {second.name}"

        def find_fact(key: str) -> tuple[str, Fact | None]:
            if key.startswith("S "):
                return of_first(key[2:])
            return of_second(key[2:]) if key.startswith("T ") else (pair, facts.get(f"{pair}: {key}"))

        return find_fact

    def of_object(figure: ScenePerson, thing: str) -> Callable[[str], tuple[str, Fact | None]]:
        near = any(t.name == thing and _overlap(t.box, figure.box) for t in scene.things)

        def find_fact(key: str) -> tuple[str, Fact | None]:
            fact = facts.get(f"{figure.name}, {thing}: {key}")
            # an object that overlaps the person may be held behind or before the body
            unsure = fact is not None and not fact.value and near and key in _USES
            return figure.name, None if unsure else fact

        return find_fact

    counts: dict[str, Fact] = {}
    if (
        scene.facts.value("picture: one person") is not None
    ):  # else a detector found them, and may have missed some
        of_picture = (make_fact("picture", f"{n} people", len(people) == n) for n in range(1, 5))
        counts = count_facts(scene) | {fact.key: fact for fact in of_picture}
    things = sorted({thing.name for thing in scene.things} - {*NOT_ASKED})
    return {
        "person": [
            SceneSubject(ids[figure.name], {"S": names[figure.name]}, of_person(figure), _marks(figure))
            for figure in people
        ],
        "pair": [
            SceneSubject(
                f"{ids[first.name]}-{ids[second.name]}",
                {"S": names[first.name], "T": names[second.name]},
                of_pair(first, second),
                _marks(first, second),
            )
            for first, second in combinations(people, 2)
        ],
        "object": [
            SceneSubject(
                f"{ids[figure.name]}-{thing.replace(' ', '-')}",
                {"S": names[figure.name], "thing": with_article(thing)},
                of_object(figure, thing),
                (*_marks(figure), *((t.name, t.box) for t in scene.things if t.name == thing)),
            )
            for figure in people
            for thing in things
        ],
        "picture": [SceneSubject(_ALL, {}, lambda key: ("picture", counts.get(key) or facts.get(key)))],
    }


def _marks(*people: ScenePerson) -> tuple[tuple[str, Box], ...]:
    return tuple((figure.name, figure.box) for figure in people)


def _overlap(a: Box, b: Box) -> bool:
    (left, top, right, bottom), (x1, y1, x2, y2) = a.xyxy, b.xyxy
    return left < x2 and x1 < right and top < y2 and y1 < bottom


def filled(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text
