"""Answer somebody's question from facts, where it asks what a template or a phrase asks, in about its words."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from posetalk.facts.scene import Scene, ScenePerson
from posetalk.facts.subject import PERSONS
from posetalk.formats.annotated import AnnotatedImage
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.phrases import statements
from posetalk.write.questions.ask import TEMPLATES, SceneSubject, Template, filled, is_met, subjects_of
from posetalk.write.questions.questions import Evidence

# Words that tell no question from another.
_PLAIN = PERSONS - {"people"} | {
    "a", "an", "the", "this", "that", "is", "are", "am", "was", "were", "does", "do", "did", "has", "have", "being",
    "been", "be", "can", "of", "in", "on", "at", "to", "from", "with", "own", "he", "she", "they", "it", "his", "her",
    "hers", "their", "them", "him", "themselves", "seen", "shown", "visible", "there", "image", "picture", "photo",
}  # fmt: skip
_OPEN = frozenset(["what", "where", "which", "who", "how", "whose"])


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """An answer in a few words, None where the facts do not tell; and the facts behind it, by key.

    keys: (who, key) pairs, who being `person 1` or `picture`.
    """

    text: str | None
    keys: tuple[tuple[str, str], ...]


def is_open(question: str) -> bool:
    """Whether a question asks for more than yes or no."""
    words = re.findall(r"[a-z']+", question.lower())
    return bool(words) and (not _OPEN.isdisjoint(words[:3]) or "or" in words)


def answer_of(
    question: str, annotated: AnnotatedImage, scene: Scene, person: ScenePerson | None = None
) -> QuestionAnswer | None:
    """Answer a question that begins with what, which, how many and the like, or offers a choice.

    Args:
        question: English text. It may say whom it means: `person 2`, `the person on the left`.
        annotated: The image.
        scene: The facts of it.
        person: Whom it is about, where the question does not say; None for the only one.

    Returns:
        The answer; None where the question is none that is known, or is about one of several people and says not whom.
    """
    names = [subject.name for subject in subjects(scene, annotated.captions)]
    text = question.lower()
    for figure, name in zip(scene.people, names, strict=True):
        for called in (name, figure.name):
            if re.search(rf"\b{re.escape(called.lower())}\b", text) and (len(names) > 1 or person is None):
                person, text = figure, text.replace(called.lower(), " ")
    if person is None and len(scene.people) == 1:
        person = scene.people[0]
    asked = _words(text)
    found = _by_template(asked, annotated, scene, person)
    if person is not None and (found is None or found.text is None):
        return _by_phrase(asked, annotated, scene, person) or found
    return found


def _words(text: str) -> frozenset[str]:
    """What tells a question from others: its words without endings."""
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(
        re.sub(r"(?<=\w{3})(?:ing|ed|e|s|es)$", "", word) for word in words if word not in _PLAIN
    )


def _by_template(
    asked: frozenset[str], annotated: AnnotatedImage, scene: Scene, person: ScenePerson | None
) -> QuestionAnswer | None:
    sure = replace(scene, people=tuple(conservatively_true(figure) for figure in scene.people))
    for subject, template in _asked_in_words(sure, annotated, person):
        if asked not in {_words(filled(ask, subject.words | {"S": ""})) for ask in template.ask}:
            continue
        evidence: dict[tuple[str, str], Evidence] = {}
        true = [
            choice
            for choice, *conditions in template.choices
            if {is_met(condition, subject, evidence) for condition in conditions} == {True}
        ]
        text = filled(true[0], subject.words) if len(true) == 1 else None
        return QuestionAnswer(text, tuple(evidence))
    return None


def _asked_in_words(
    scene: Scene, annotated: AnnotatedImage, person: ScenePerson | None
) -> Iterator[tuple[SceneSubject, Template]]:
    for of, found in subjects_of(scene, annotated.captions).items():
        for subject in found:
            if of == "pair" or (
                of != "picture" and (person is None or person.name not in dict(subject.marks))
            ):
                continue
            yield from ((subject, template) for template in TEMPLATES[of] if len(template.choices) > 1)


def _by_phrase(
    asked: frozenset[str], annotated: AnnotatedImage, scene: Scene, person: ScenePerson
) -> QuestionAnswer | None:
    rng = random.Random(f"{scene.image_id} {person.name}")
    subject = subjects(scene, annotated.captions)[scene.people.index(person)]
    said: list[str] = []
    keys: list[tuple[str, str]] = []
    for one in statements(conservatively_true(person), subject, rng):
        asks = (
            {_words(subject.fill(text, False, **one.fields)) for text in one.forms.get("ask", [])}
            if one.true
            else set()
        )
        if asked in asks and one.has("say"):
            said.append(one.draw("say", rng, by_name=not said))
            part, _, predicate = one.key.partition(": ")
            sides = [f"{side} {part.removesuffix('s')}: {predicate}" for side in ("left", "right")]
            keys += [(person.name, key) for key in (one.key, *sides)]
    return QuestionAnswer(" ".join(said), tuple(keys)) if said else None
