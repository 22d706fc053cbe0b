"""What the people of an image are called, and sentences about them and its objects."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.fact import Facts
from posetalk.facts.ordinals import ordinal
from posetalk.facts.scene import Scene, people_in_order

# Words of captions for one person, with the pronoun that each allows. A word that three captions share is used.
NOUNS = {
    "man": "he", "woman": "she", "boy": "he", "girl": "she", "lady": "she", "guy": "he", "child": "they",
    "baby": "they", "toddler": "they", "skier": "they", "surfer": "they", "snowboarder": "they",
    "skateboarder": "they", "player": "they", "batter": "they", "catcher": "they", "pitcher": "they", "rider": "they",
    "cyclist": "they", "person": "they",
}  # fmt: skip
MIN_CAPTIONS = 3  # captions that must share a word
MIN_AREA_RATIO = 1.6  # of two boxes, from which one person is called the larger
FORMS = {
    "he": {"he": "he", "his": "his", "him": "him", "is": "is", "has": "has", "does": "does", "s": "s"},
    "she": {"he": "she", "his": "her", "him": "her", "is": "is", "has": "has", "does": "does", "s": "s"},
    "they": {"he": "they", "his": "their", "him": "them", "is": "are", "has": "have", "does": "do", "s": ""},
}
_NEARER = (
    "{0} looks much larger than {1}, and so is probably nearer.",
    "{0} is probably nearer to the camera, as they look much larger than {1}.",
    "Looking much larger than {1}, {0} is probably the nearer of the two.",
)
# The first wording is also the one in prompts for language models.
_PAIR_PHRASES = {
    "facing each other": ("{0} and {1} are facing each other.", "{0} and {1} are turned to each other."),
    "touching": (
        "{0} and {1} touch in the picture, or very nearly so.",
        "{0} and {1} are so close that they touch in the picture, or nearly do.",
    ),
    "first is nearer": _NEARER,
    "second is nearer": _NEARER,
}
_OF = re.compile(r"\bthe ((?:[\w{}]+ ){1,3})of \{S\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a person is called.

    Attributes:
        name: The name, such as `the man` or `the person on the left`.
        forms: The forms of the pronoun, see FORMS.
        unique: Whether nobody else of the image has this name; `one of the people` is not unique.
    """

    name: str
    forms: dict[str, str]
    unique: bool = True

    def fill(self, text: str, by_name: bool = False, **more: str) -> str:
        """A phrase with its fields filled in; {he}, and {S} in a question, become the name or the pronoun."""
        forms = self.forms
        if by_name:
            forms = FORMS["he"] | {"his": self.forms["his"], "him": self.forms["him"], "he": self.name}
            if text.startswith("{His} "):
                if " " in self.name.removeprefix("the "):  # "the person on the left's arm" is no English
                    return f"As for {self.name}, {lower(self.fill(text, False, **more))}"
                forms = forms | {"His": f"{upper(self.name)}'s"}
        elif "{S}" in text:
            text = _OF.sub(lambda match: f"{{his}} {match[1].strip()}", text)
        values = forms | {"S": forms["he"]} | more
        values = {upper(key): upper(value) for key, value in values.items()} | values
        return upper(text.format(**values))


def subjects(scene: Scene, captions: Sequence[str]) -> list[Subject]:
    """Name each person of a scene. A gender is only said of a single person, where captions agree on it.

    Args:
        scene: The scene.
        captions: The captions of the image.

    Returns:
        A subject for each of `scene.people`, in their order.
    """
    if len(scene.people) == 1 and not scene.others:
        noun = _noun(captions)
        return [Subject(f"the {noun}", FORMS[NOUNS[noun]])]
    placed_names = people_in_order(scene)
    position_names = _names_by_position(len(scene.people), scene.others)
    size_names = _names_by_size(scene) if len(scene.people) == 2 and not scene.others else []
    return [
        Subject(position_name, FORMS["they"])
        if person.name in placed_names
        else Subject(size_names[i], FORMS["they"])
        if size_names
        else Subject("one of the people", FORMS["they"], unique=False)
        for i, (person, position_name) in enumerate(zip(scene.people, position_names, strict=True))
    ]


def _names_by_size(scene: Scene) -> list[str]:
    """Names of two people by their size; none where they look about equally large."""
    first, second = (person.box.area for person in scene.people)
    if max(first, second) < MIN_AREA_RATIO * min(first, second):
        return []
    names = ["the larger person in the picture", "the smaller person in the picture"]
    return names if first > second else names[::-1]


def _noun(captions: Sequence[str]) -> str:
    words_of_captions = [set(re.findall(r"[a-z]+", caption.lower())) for caption in captions]
    counts = {noun: sum(noun in caption_words for caption_words in words_of_captions) for noun in NOUNS}
    plural = any(
        caption_words & {"men", "women", "people", "boys", "girls", "children", "couple", "group"}
        for caption_words in words_of_captions
    )
    best = max(counts, key=lambda noun: (counts[noun], noun == "person"))
    return best if counts[best] >= MIN_CAPTIONS and not plural else "person"


def _names_by_position(people: int, others: int) -> list[str]:
    if others:  # their bodies are not known, and they may stand anywhere
        if people == 1:
            return ["the most clearly visible person"]
        return [f"the {ordinal(i)} clearly visible person from the left" for i in range(1, people + 1)]
    if people == 2:
        return ["the person on the left", "the person on the right"]
    if people == 3:
        return ["the person on the left", "the person in the middle", "the person on the right"]
    return [f"the {ordinal(i)} person from the left" for i in range(1, people + 1)]


def relation_sentences(
    scene: Scene, person_subjects: Sequence[Subject], rng: random.Random | None = None
) -> list[str]:
    """Sentences about pairs of people, and about people and objects.

    Args:
        scene: The scene.
        person_subjects: A subject for each of `scene.people`.
        rng: Draws one of the wordings; None for the first of each.

    Returns:
        A sentence for each true relation of people whose names are unique.
    """
    subject_of = {person.name: subject for person, subject in zip(scene.people, person_subjects, strict=True)}
    sentences = []
    for fact in scene.facts.true:
        first, _, second = fact.part.partition(", ")
        if first not in subject_of or not all(
            subject_of[name].unique for name in (first, second) if name in subject_of
        ):
            continue
        subject = subject_of[first]
        if second in subject_of:
            templates = _PAIR_PHRASES.get(fact.predicate, ())
            if " larger " in f"{subject.name} {subject_of[second].name}" and "nearer" in fact.predicate:
                templates = ()  # the name says it
            names = [subject.name, subject_of[second].name]
            if fact.predicate == "second is nearer":
                names.reverse()
            template = rng.choice(templates) if rng and templates else "".join(templates[:1])
            sentence: str | None = template.format(*names)
        else:
            sentence = _object_sentence(subject, second, fact.predicate, scene.facts, fact.part)
        if sentence:
            sentences.append(upper(sentence))
    return sentences


def _object_sentence(
    subject: Subject, thing: str, predicate: str, facts: Facts, fact_part: str
) -> str | None:
    """A sentence about a person and an object. A hand is at an object or in front of it; a tie is worn."""
    object_name, his = article(thing), subject.forms["his"]
    hands = [side for side in ("left", "right") if facts.value(f"{fact_part}: at the {side} hand")]
    if predicate.startswith("at the ") and thing != "tie":
        if len(hands) == 2:
            return (
                f"{subject.name} has both hands at {object_name}."
                if predicate == "at the left hand"
                else None
            )
        return f"{subject.name} has {object_name} at {his} {hands[0]} hand."
    return {
        "sat on": f"{subject.name} is sitting on {object_name}.",
        "ridden": f"{subject.name} is riding {object_name}.",
    }.get(predicate)


def article(thing: str) -> str:
    """COCO's name of an object as people say it: `a ball`, `an umbrella`, `skis`."""
    thing = thing.removeprefix("sports ")
    if thing in ("skis", "scissors"):
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def upper(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """The text with its first letter in lower case."""
    return text[:1].lower() + text[1:]
